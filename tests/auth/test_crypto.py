# SPDX-License-Identifier: MIT
"""ES256 and EdDSA through the package cryptography: tokens of keys that are made here."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import auth
from minihttp.auth.token import encode_base64url
from minihttp.errors import AuthError
from tests.auth.makers import CLAIMS, NOW, ONE, encode

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256


def world(algorithm: str) -> tuple[auth.Authenticator, Any]:
    """An authenticator for one new key, and what signs by it."""
    if algorithm == "EdDSA":
        edwards = ed25519.Ed25519PrivateKey.generate()
        x = encode_base64url(edwards.public_key().public_bytes_raw())
        jwk, sign = {"kty": "OKP", "crv": "Ed25519", "x": x}, edwards.sign
    else:
        private = ec.generate_private_key(ec.SECP256R1())
        numbers = private.public_key().public_numbers()
        x, y = (encode_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}

        def sign(data: bytes) -> bytes:
            r, s = utils.decode_dss_signature(private.sign(data, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    jwks = {"keys": [{**jwk, "kid": "k"}, ONE.jwk("rsa")]}
    provider = auth.jwt(issuer="https://me", jwks=jwks, algorithm=algorithm)
    return auth.Authenticator([provider], clock=lambda: NOW), sign


def make_token(algorithm: str, sign: Any, kid: str = "k") -> str:
    signing_input = f"{encode({'alg': algorithm, 'kid': kid})}.{encode({**CLAIMS, 'iss': 'https://me'})}"
    return f"{signing_input}.{encode_base64url(sign(signing_input.encode()))}"


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_token(algorithm: str) -> None:
    authenticator, sign = world(algorithm)
    assert authenticator.identify(make_token(algorithm, sign)).subject == "alice"
    other = world(algorithm)[1]
    wrong = [
        make_token(algorithm, other),
        make_token(algorithm, lambda data: b""),
        make_token(algorithm, lambda data: bytes(64)),
        make_token(algorithm, lambda data: sign(data)[:63]),
        make_token(algorithm, lambda data: sign(data) + b"\0"),
        make_token("RS256", ONE.sign, "rsa"),
        make_token(algorithm, ONE.sign, "rsa"),
    ]
    for token in wrong:
        with pytest.raises(AuthError):
            authenticator.identify(token)


def test_es256_is_r_and_s_within_the_order_and_not_der() -> None:
    authenticator, sign = world("ES256")

    def changed(change: Any) -> str:
        def signature(data: bytes) -> bytes:
            signed = sign(data)
            return bytes(change(int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:], "big")))

        return make_token("ES256", signature)

    def pair(r: int, s: int) -> bytes:
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    authenticator.identify(changed(pair))
    for token in (
        changed(utils.encode_dss_signature),
        changed(lambda r, s: pair(0, s)),
        changed(lambda r, s: pair(r, 0)),
        changed(lambda r, s: pair(N, s)),
        changed(lambda r, s: pair(r, N)),
        changed(lambda r, s: pair(s, r)),
        changed(lambda r, s: pair(r + N, s) if r + N < 1 << 256 else b""),
        changed(lambda r, s: pair(1, 1)),
    ):
        with pytest.raises(AuthError):
            authenticator.identify(token)
