# SPDX-License-Identifier: MIT
"""Ed25519 (RFC 8032 §5.1): a strict verifier and a signer, by the package `cryptography` if it is there.

Elsewhere `curve25519.py` does the same on Python's integers, in one to two milliseconds a check and not in
constant time: verifying handles no secret, but sign there only where nobody can measure it. Both refuse the
same: a key or an `R` of small order, a number or a point spelled otherwise than the standard does.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import curve25519

if TYPE_CHECKING:
    from .scheme import Scheme

IS_NATIVE = find_spec("cryptography") is not None
_MAX_ED25519_SIGNATURES = 2  # tried of one delivery: a check may take milliseconds; two do while keys change
_MAX_SEEN = 4  # of one header, malformed ones too; no sender has more keys at work
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
    return bytes(_private(seed).public_key().public_bytes_raw())


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of a signature (§5.1.6)."""
    if not IS_NATIVE:
        return curve25519.sign(seed, message)
    return bytes(_private(seed).sign(message))


def _private(seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


class Ed25519Key:
    """A public key, which verifies, or a private one, which signs as well.

    Raises:
        ConfigurationError: the bytes are no key.
    """

    __slots__ = ("_prefix", "_public", "_seed")

    def __init__(self, raw: bytes, scheme: Scheme) -> None:
        self._prefix = scheme.prefix.encode()
        self._seed, public = (raw[:32], raw[32:]) if len(raw) == 64 else (b"", raw)
        if self._seed and public_key(self._seed) != public:
            raise ConfigurationError("the halves of an Ed25519 key 'whsk_…' do not belong together")
        try:
            self._public = PublicKey(public)
        except ValueError:
            raise ConfigurationError("a webhook secret is no Ed25519 key of 32 or 64 bytes") from None

    def sign(self, before: bytes, body: bytes) -> bytes:
        if not self._seed:
            raise ConfigurationError("a public key signs nothing: sign with the private one, 'whsk_…'")
        return self._prefix + b2a_base64(sign(self._seed, before + body), newline=False)

    def accepts(self, before: bytes, body: bytes, given: Sequence[bytes]) -> bool:
        well_formed = [raw for signature in given[:_MAX_SEEN] if (raw := self._raw(signature))]
        return any(self._public.verify(before + body, raw) for raw in well_formed[:_MAX_ED25519_SIGNATURES])

    def _raw(self, signature: bytes) -> bytes:
        """The 64 bytes of a signature in its one spelling, or b"" for anything else."""
        text = signature.removeprefix(self._prefix)
        try:
            raw = a2b_base64(text)
        except ValueError:
            return b""
        return raw if len(raw) == 64 and b2a_base64(raw, newline=False) == text else b""
