# SPDX-License-Identifier: MIT
"""Keys: a JSON Web Key becomes a function that says whether a signature is right.

Each key has one algorithm, which its provider declared, so what a token says of itself cannot change how it
is checked. RS256 is here; ES256 and EdDSA are in `crypto.py`, which needs the package `cryptography`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import hashing
from .token import decode_base64url

Verify = Callable[[bytes, bytes], bool]
"""verify(signing_input, signature): whether the signature is this key's."""

SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 §9.2, note 1


def key_set(data: object, algorithm: str) -> dict[str, Verify]:
    """The keys of a JWK Set (RFC 7517 §5) by `kid`, without those that cannot check this algorithm.

    Raises:
        ValueError: for what is not a JWK Set.
    """
    listed = data.get("keys") if isinstance(data, Mapping) else None
    if not isinstance(listed, list):
        raise ValueError("a JWK Set is an object with a list 'keys'")
    keys: dict[str, Verify] = {}
    for jwk in listed:
        kid = jwk.get("kid") if isinstance(jwk, Mapping) else None
        if isinstance(kid, str) and kid not in keys and _is_for(jwk, algorithm):
            try:
                keys[kid] = key(jwk, algorithm)
            except (KeyError, TypeError, ValueError):  # RFC 7517 §5: such keys are passed over
                continue
    return keys


def key(jwk: Mapping[str, Any], algorithm: str) -> Verify:
    """The check of one key; KeyError, TypeError or ValueError for one that is incomplete, weak or wrong."""
    from . import crypto

    if algorithm != "RS256":
        return crypto.public_key(jwk, algorithm)
    modulus, exponent = (int.from_bytes(decode_base64url(jwk[name]), "big") for name in ("n", "e"))
    verify = rsa_key(modulus, exponent)
    return crypto.rsa_key(modulus, exponent) if crypto.is_installed() else verify


def rsa_key(modulus: int, exponent: int) -> Verify:
    """RSASSA-PKCS1-v1_5 with SHA-256, as RFC 8017 §8.2.2 has it: the whole block is made again and compared.

    Raises:
        ValueError: for a modulus under 2,048 or over 16,384 bits, or an exponent that is even or under 3.
    """
    size = (modulus.bit_length() + 7) // 8
    if not 2_048 <= modulus.bit_length() <= 16_384 or not 3 <= exponent < 2**64 or not exponent & 1:
        raise ValueError("an RSA key has 2,048 bits or more and an odd public exponent of 3 or more")
    head = b"\x00\x01" + b"\xff" * (size - 3 - len(SHA256_PREFIX) - 32) + b"\x00" + SHA256_PREFIX

    def verify(signing_input: bytes, signature: bytes) -> bool:
        number = int.from_bytes(signature, "big")
        if len(signature) != size or number >= modulus:
            return False
        block = pow(number, exponent, modulus).to_bytes(size, "big")
        return hashing.compare_digest(block, head + hashing.sha256(signing_input).digest())

    return verify


def secret_key(secret: bytes) -> Verify:
    """HMAC with SHA-256 (RFC 7518 §3.2)."""

    def verify(signing_input: bytes, signature: bytes) -> bool:
        return hashing.compare_digest(signature, hashing.hmac.digest(secret, signing_input, "sha256"))

    return verify


def _is_for(jwk: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a key says that it checks signatures of this algorithm (RFC 7517 §4)."""
    kind = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}[algorithm]
    operations = jwk.get("key_ops", ["verify"])
    return (
        (jwk.get("kty"), jwk.get("crv")) == kind
        and jwk.get("alg", algorithm) == algorithm
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
