# SPDX-License-Identifier: MIT
"""From the text of a secret to a prepared HMAC key; a secret that cannot be one is refused here, at start-up.

HMAC (RFC 2104) hashes the padded key before the message. Both padded blocks are hashed once per secret and
copied per check, which halves the cost of a small body. Knows nothing of headers or providers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

Secrets = str | bytes | Iterable[str | bytes]
"""One secret or several; text is read as the provider shows it, bytes are the key itself."""

_XOR = {pad: bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C)}  # RFC 2104 §2: ipad and opad


class Key(NamedTuple):
    """A secret, ready to sign: the hash states after both pads."""

    inner: Hash
    outer: Hash

    def digest(self, before: bytes, body: bytes) -> bytes:
        """The HMAC of `before + body`, without joining them."""
        inner, outer = self
        inner = inner.copy()
        if before:
            inner.update(before)
        inner.update(body)
        outer = outer.copy()
        outer.update(inner.digest())
        return outer.digest()


class Token(NamedTuple):
    """A secret that the provider sends as it is: its "MAC" is itself, whatever the body."""

    raw: bytes

    def digest(self, before: bytes, body: bytes) -> bytes:
        return self.raw


def prepare(
    secrets: str | bytes | tuple[str | bytes, ...], algorithm: str, encoding: str
) -> tuple[Key | Token, ...]:
    """The keys of some secrets, which the caller keeps.

    Args:
        secrets: one or several, as the provider shows them.
        algorithm: of hashlib: `sha256`, `sha1`, `sha512`; "token" signs nothing.
        encoding: how text becomes key bytes: `utf-8` verbatim, or `base64` after an optional `whsec_`.

    Raises:
        ConfigurationError: no secret, a blank one, or one that does not decode. The message never shows it.
    """
    listed = secrets if isinstance(secrets, tuple) else (secrets,)
    if not listed:
        raise ConfigurationError("no webhook secret is given; name at least one")
    return tuple(_pad(_decode(secret, encoding), algorithm) for secret in listed)


def _decode(secret: str | bytes, encoding: str) -> bytes:
    if not isinstance(secret, (str, bytes)):
        raise ConfigurationError(f"a webhook secret must be text or bytes, not {type(secret).__name__}")
    if not secret.strip():
        raise ConfigurationError("a webhook secret is empty or blank")
    if isinstance(secret, bytes):
        return secret
    try:
        return _from_base64(secret) if encoding == "base64" else secret.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("a webhook secret has a character that UTF-8 cannot encode") from None


def _from_base64(secret: str) -> bytes:
    """Standard Webhooks, "Signature scheme": `whsec_` and base64; `whsk_` and `whpk_` are Ed25519 keys."""
    if secret.startswith(("whsk_", "whpk_")):
        raise ConfigurationError(
            f"a webhook secret begins with {secret[:5]!r}: that is an Ed25519 key, not an HMAC secret"
        )
    from base64 import b64decode

    text = secret.removeprefix("whsec_")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ConfigurationError("a webhook secret is not base64 after its prefix 'whsec_'")
    return key


def _pad(raw: bytes, algorithm: str) -> Key | Token:
    if algorithm == "token":
        return Token(raw)
    start = hashlib.new(algorithm)
    key = raw if len(raw) <= start.block_size else hashlib.new(algorithm, raw).digest()
    padded = key.ljust(start.block_size, b"\0")
    outer = start.copy()
    start.update(padded.translate(_XOR[0x36]))
    outer.update(padded.translate(_XOR[0x5C]))
    return Key(start, outer)
