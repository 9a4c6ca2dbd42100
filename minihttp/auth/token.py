# SPDX-License-Identifier: MIT
"""The text of a token: JWS in its compact form (RFC 7515 §7.1) holding a JWT (RFC 7519), read strictly.

A token has one spelling: a strict alphabet, no padding, no unused bits, no name twice. Nothing is verified
here, so nothing that this file returns may be believed yet.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import hashing
from ..errors import AuthError
from ..json_numbers import STRICT

MAX_TOKEN_BYTES = 8 * 1024  # a header field of a request may be this long; real tokens have 1 to 2 KiB
_LARGEST_TIME = 2**53

_is_base64url = re.compile(r"[A-Za-z0-9_-]*").fullmatch


class Token(NamedTuple):
    """A token as it is spelled."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes


def parse(text: str) -> Token:
    """The parts of a token.

    Raises:
        AuthError: `InvalidAuthHeader` for what is not three base64url parts of which two are JSON objects,
            for more than 8 KiB, and for `crit` in the header (RFC 7515 §4.1.11: no extension is understood).
    """
    if len(text) > MAX_TOKEN_BYTES:
        raise _invalid(f"The token has {len(text)} bytes, the limit is {MAX_TOKEN_BYTES}")
    parts = text.split(".")
    if len(parts) != 3:
        raise _invalid("Could not parse the token: a JWT has three base64-encoded parts separated by dots")
    try:
        header, claims, signature = map(decode_base64url, parts)
        token = Token(
            decode_object(header), decode_object(claims), text.rpartition(".")[0].encode(), signature
        )
    except ValueError as error:
        raise _invalid(
            "Could not parse the token: a JWT has three base64-encoded parts separated by dots,"
            f" the first two of them JSON objects; {error}"
        ) from None
    if "crit" in token.header:
        raise _invalid("The token's header has 'crit', and no extension of JWS is supported")
    return token


def decode_base64url(text: str) -> bytes:
    """The bytes of base64url text in its one spelling (RFC 4648 §5, RFC 7515 §2); ValueError for another."""
    if not _is_base64url(text) or len(text) % 4 == 1:
        raise ValueError(f"{text[:20]!r} is not base64url without padding")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode_base64url(data) != text:
        raise ValueError(f"the last character of {text[-20:]!r} has bits that stand for nothing")
    return data


def encode_base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_object(data: bytes) -> dict[str, Any]:
    """A JSON object without NaN, lone surrogates or a name twice; ValueError for anything else."""
    text = data.decode("utf-8")
    try:
        value = _decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # fails for a surrogate that is not one of a pair
    return value


def time_claim(claims: Mapping[str, Any], name: str) -> float | None:
    """A claim in Unix seconds (RFC 7519 §2, NumericDate), or None; AuthError for anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST_TIME:
        raise _invalid(f"The token's claim {name!r} is not a number of seconds: {value!r:.40}")
    return float(value)


def sign(claims: Mapping[str, Any], secret: str | bytes, **header: Any) -> str:
    """A token of one's own, signed by HS256 (RFC 7518 §3.2): what `auth.shared_secret` takes.

    Args:
        claims: with `iss`, `sub` and `exp` (Unix seconds) at least.
        secret: 32 random bytes or more, or their text: `secrets.token_urlsafe(32)`.
        header: further fields of the token's header, such as `kid`.
    """
    parts = ({"alg": "HS256", "typ": "JWT", **header}, dict(claims))
    signing_input = ".".join(encode_base64url(json.dumps(p, separators=(",", ":")).encode()) for p in parts)
    key = secret.encode() if isinstance(secret, str) else secret
    return f"{signing_input}.{encode_base64url(hashing.hmac.digest(key, signing_input.encode(), 'sha256'))}"


def _invalid(message: str) -> AuthError:
    return AuthError("InvalidAuthHeader", message)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands in it twice")
    return fields


_decode = json.JSONDecoder(object_pairs_hook=_no_name_twice, **STRICT).decode
