# SPDX-License-Identifier: MIT
"""Ed25519 (RFC 8032 §5.1): a strict verifier and a signer, by the package `cryptography` if it is there.

Elsewhere `curve25519.py` does the same on Python's integers, in one to two milliseconds a check and not in
constant time: verifying handles no secret, but sign there only where nobody can measure it. Both refuse the
same: a key or an `R` of small order, a number or a point spelled otherwise than the standard does.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from . import curve25519

IS_NATIVE = find_spec("cryptography") is not None
_P = 2**255 - 19
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7  # of the points of order 8
_SMALL_ORDER = (0, 1, _P - 1, _Y8, _P - _Y8)


class _NativeKey:
    """A public key as `cryptography` has it, which is lenient: what it would let through is refused here."""

    __slots__ = ("_key",)

    def __init__(self, encoded: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        curve25519.decode(encoded)
        if _is_small(encoded):
            raise ValueError("a public key of small order")
        self._key = Ed25519PublicKey.from_public_bytes(encoded)

    def verify(self, message: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        if len(signature) != 64 or _is_small(signature[:32]):
            return False
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _is_small(encoded: bytes) -> bool:
    return int.from_bytes(encoded, "little") % 2**255 in _SMALL_ORDER


def PublicKey(encoded: bytes) -> _NativeKey | curve25519.PublicKey:
    """A public key of 32 bytes, decoded once; its `verify(message, signature)` is False for any other bytes.

    Raises:
        ValueError: they are no point, or one of small order, under which anybody can sign.
    """
    return _NativeKey(encoded) if IS_NATIVE else curve25519.PublicKey(encoded)


def public_key(seed: bytes) -> bytes:
    """The 32 bytes of the public key that belongs to a private key's 32 bytes."""
    if not IS_NATIVE:
        return curve25519.public_key(seed)
    encoded: bytes = _private(seed).public_key().public_bytes_raw()
    return encoded


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of a signature (§5.1.6)."""
    if not IS_NATIVE:
        return curve25519.sign(seed, message)
    signature: bytes = _private(seed).sign(message)
    return signature


def _private(seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)
