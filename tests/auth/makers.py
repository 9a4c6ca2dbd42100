# SPDX-License-Identifier: MIT
"""Keys and tokens for tests: RSA keys that were made for them, and tokens signed by these on integers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from minihttp.auth.token import encode_base64url

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example.com/1"
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
_KEYS = json.loads(Path(__file__).with_name("rsa_keys.json").read_text("utf-8"))


class RSAKey:
    """A private key of rsa_keys.json."""

    def __init__(self, name: str) -> None:
        self.n, self.e, self.d = (int(_KEYS[name][part], 16) for part in "ned")
        self.size = (self.n.bit_length() + 7) // 8

    def jwk(self, kid: str = "one", **more: Any) -> dict[str, Any]:
        e = self.e.to_bytes(3, "big").lstrip(b"\0")
        n = encode_base64url(self.n.to_bytes(self.size, "big"))
        return {"kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": encode_base64url(e), **more}

    def sign_block(self, block: bytes) -> bytes:
        return pow(int.from_bytes(block, "big"), self.d, self.n).to_bytes(self.size, "big")

    def sign(self, data: bytes) -> bytes:
        return self.sign_block(block(self.size, SHA256_PREFIX + sha256(data).digest()))


def block(size: int, info: bytes) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017 §9.2)."""
    return b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info


ONE, TWO = RSAKey("one"), RSAKey("two")
JWKS = {"keys": [ONE.jwk("one"), TWO.jwk("two")]}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "alice",
    "aud": "App 1",
    "iat": int(NOW),
    "exp": int(NOW) + 3_600,
}


def encode(part: Mapping[str, Any] | str) -> str:
    text = part if isinstance(part, str) else json.dumps(part)
    return encode_base64url(text.encode("utf-8", "surrogatepass"))


def make_token(
    claims: Mapping[str, Any] | str | None = None,
    header: Mapping[str, Any] | str | None = None,
    key: RSAKey = ONE,
    **changed: Any,
) -> str:
    """An RS256 token; a changed claim of None is left out."""
    merged = {**CLAIMS, **changed} if claims is None else claims
    if not isinstance(merged, str):
        merged = {name: value for name, value in merged.items() if value is not None}
    head = {"alg": "RS256", "kid": "one", "typ": "JWT"} if header is None else header
    signing_input = f"{encode(head)}.{encode(merged)}"
    return f"{signing_input}.{encode_base64url(key.sign(signing_input.encode()))}"
