# SPDX-License-Identifier: MIT
"""ES256 and EdDSA through the package `cryptography` (the extra `crypto`), which only this file imports; and
RS256, which needs no package but is checked in a sixth of the time where this one is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from importlib.util import find_spec
from typing import Any

from ..errors import ConfigurationError
from .keys import SHA256_PREFIX, Verify
from .token import decode_base64url


def check_installed(algorithm: str) -> None:
    """ConfigurationError, with what to install, where the package is missing."""
    if not is_installed():
        raise ConfigurationError(
            f"the algorithm {algorithm} needs the package cryptography: pip install cryptography"
        )


def is_installed() -> bool:
    return find_spec("cryptography") is not None


def rsa_key(modulus: int, exponent: int) -> Verify:
    """As `keys.rsa_key`, by OpenSSL's arithmetic.

    OpenSSL takes the padding off, of which there is one only for what is as long as it must be; what is under
    it is compared byte for byte.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    size, scheme = (modulus.bit_length() + 7) // 8, padding.PKCS1v15()

    def verify(signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != size:
            return False
        try:
            signed = key.recover_data_from_signature(signature, scheme, None)
        except InvalidSignature:
            return False
        return compare_digest(signed, SHA256_PREFIX + sha256(signing_input).digest())

    return verify


def public_key(jwk: Mapping[str, Any], algorithm: str) -> Verify:
    """The check of a P-256 or Ed25519 key (RFC 7518 §6.2, RFC 8037 §2); or KeyError or ValueError."""
    names = ("x", "y") if algorithm == "ES256" else ("x",)
    point = [decode_base64url(jwk[name]) for name in names]
    if any(len(number) != 32 for number in point):
        raise ValueError("each coordinate has 32 bytes")
    return _p256(*point) if algorithm == "ES256" else _ed25519(*point)


def _p256(x: bytes, y: bytes) -> Verify:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    scheme = ec.ECDSA(SHA256())

    def verify(signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != 64:  # RFC 7518 §3.4: R and S, not DER
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        return _passes(key.verify, utils.encode_dss_signature(r, s), signing_input, scheme)

    return verify


def _ed25519(x: bytes) -> Verify:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(x)
    return lambda signing_input, signature: _passes(key.verify, signature, signing_input)


def _passes(verify: Callable[..., object], *signed: object) -> bool:
    """Whether a check of the package's, which raises for a wrong signature, finds this one right."""
    from cryptography.exceptions import InvalidSignature

    try:
        verify(*signed)
    except InvalidSignature:
        return False
    return True
