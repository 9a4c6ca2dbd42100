# SPDX-License-Identifier: MIT
"""From the text of a secret to a prepared key; a secret that cannot be one is refused here, at start-up.

HMAC (RFC 2104) hashes the padded key before the message. Both padded blocks are hashed once per secret and
copied per check, which halves the cost of a small body. Knows nothing of headers or providers.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, hexlify
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from .. import hashing
from ..errors import ConfigurationError
from ..hashing import compare_digest

if TYPE_CHECKING:
    from .scheme import Scheme

Secrets = str | bytes | Iterable[str | bytes]
"""One secret or several; text is read as the provider shows it, bytes are the key itself."""

# By the prefix of a key in base64: none, public, private
_ED25519_BYTES = {"whsec_": 0, "whpk_": 32, "whsk_": 64}
_INVISIBLE = " \t\r\n\v\f\xa0\u200b\ufeff"  # around a secret; str.strip() leaves the last two
_QUOTES = {"'": "'", '"': '"', "\u201c": "\u201d", "\u2018": "\u2019", "`": "`"}
_has_control = re.compile(r"[\x00-\x1f\x7f]").search
_VERBATIM_PREFIXES = ("polar_whs_",)
_VERSION = re.compile(r"\Av1a?,[ ]*")
_is_prefixed = re.compile(r"[a-z]+_").match
_BASE64URL = str.maketrans("-_", "+/")
_XOR = {pad: bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C)}  # RFC 2104 §2: ipad and opad
_ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "hex": hexlify,
    "base64": lambda digest: b2a_base64(digest, newline=False),  # faster than a partial with a keyword
}


class Key(Protocol):
    """A secret, prepared. Signatures are as the header spells them, with the scheme's prefix."""

    def sign(self, before: bytes, body: bytes) -> bytes:
        """The signature of `before + body`."""

    def accepts(self, before: bytes, body: bytes, given: Sequence[bytes]) -> bool:
        """Whether one of the given signatures is the one of `before + body`."""


class HMACKey:
    """A shared secret: the hash states after both pads, which the first signature makes."""

    __slots__ = ("_encode", "_inner", "_outer", "_prefix", "_raw", "_scheme")

    def __init__(self, raw: bytes, scheme: Scheme) -> None:
        self._raw, self._scheme = raw, scheme

    def _prepare(self) -> None:
        raw, scheme = self._raw, self._scheme
        start = hashing.hashlib.new(scheme.algorithm)
        key = raw if len(raw) <= start.block_size else hashing.hashlib.new(scheme.algorithm, raw).digest()
        padded = key.ljust(start.block_size, b"\0")
        self._outer = start.copy()
        self._outer.update(padded.translate(_XOR[0x5C]))
        self._encode = _ENCODE[scheme.encoding]
        self._prefix = scheme.prefix.encode()
        start.update(padded.translate(_XOR[0x36]))
        self._inner = start  # the last: other threads look for it

    def sign(self, before: bytes, body: bytes) -> bytes:
        try:
            inner = self._inner.copy()
        except AttributeError:  # the first time
            self._prepare()
            inner = self._inner.copy()
        if before:
            inner.update(before)
        inner.update(body)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return self._prefix + self._encode(outer.digest())

    def accepts(self, before: bytes, body: bytes, given: Sequence[bytes]) -> bool:
        """Compares all, each in constant time."""
        expected = self.sign(before, body)
        if len(given) == 1:
            return compare_digest(expected, given[0])
        return True in [compare_digest(expected, signature) for signature in given]


class PlainToken(HMACKey):
    """A secret that the provider sends as it is: its "signature" is itself, whatever the body."""

    __slots__ = ()

    def sign(self, before: bytes, body: bytes) -> bytes:
        return self._raw


def prepare(secrets: str | bytes | tuple[str | bytes, ...], scheme: Scheme) -> tuple[Key, ...]:
    """The keys of one secret or several, as the provider shows them; the caller keeps them.

    Raises:
        ConfigurationError: no secret, a blank one, or one that does not decode. The message never shows it.
    """
    listed = secrets if isinstance(secrets, tuple) else (secrets,)
    if not listed:
        raise ConfigurationError("no webhook secret is given; name at least one")
    make: Callable[[bytes, Scheme], Key] = PlainToken if scheme.algorithm == "token" else HMACKey
    if scheme.algorithm == "ed25519":
        from .ed25519 import Ed25519Key as make
    return tuple(make(key_of(secret, scheme), scheme) for secret in listed)


def key_of(secret: str | bytes, scheme: Scheme) -> bytes:
    """The bytes of the key that a secret stands for; ConfigurationError where it cannot be one."""
    if not isinstance(secret, (str, bytes)):
        raise ConfigurationError(f"a webhook secret must be text or bytes, not {type(secret).__name__}")
    if isinstance(secret, str):
        secret = _unpasted(secret)
    if not secret.strip():
        raise ConfigurationError("a webhook secret is empty or blank")
    if isinstance(secret, bytes):
        return secret
    try:
        return _from_base64(secret, scheme) if scheme.key_encoding == "base64" else secret.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("a webhook secret has a character that UTF-8 cannot encode") from None


def _unpasted(secret: str) -> str:
    """A secret without what pasting adds: white space, line ends and quotes around it. No provider makes one
    with these; who has chosen one so gives it as bytes.

    Raises:
        ConfigurationError: it holds a control character, or only the first quote of two.
    """
    text = secret.strip(_INVISIBLE)
    closing = _QUOTES.get(text[:1])
    if closing:
        if len(text) < 2 or text[-1] != closing:
            raise ConfigurationError("a webhook secret begins with a quote that is not closed at its end")
        text = text[1:-1].strip(_INVISIBLE)
    if _has_control(text):
        raise ConfigurationError(
            "a webhook secret holds a line break or another control character: two secrets are a list of two"
        )
    return text


def _from_base64(secret: str, scheme: Scheme) -> bytes:
    """Standard Webhooks, "Signature scheme": `whsec_` and base64; `whsk_` and `whpk_` are Ed25519 keys.

    Supabase shows it behind the version of the signature (`v1,whsec_…`), some in the base64 of URLs (RFC 4648
    §5). Polar's key is the whole text of its secret.
    """
    if secret.startswith(_VERBATIM_PREFIXES):
        return secret.encode()
    secret = _VERSION.sub("", secret)
    asymmetric = scheme.algorithm == "ed25519"
    prefix = next(filter(secret.startswith, _ED25519_BYTES), "")
    length = _ED25519_BYTES.get(prefix, 0)
    if prefix and asymmetric == (not length):
        kinds = "an HMAC secret, not an Ed25519 key" if asymmetric else "an Ed25519 key, not an HMAC secret"
        raise ConfigurationError(f"a webhook secret begins with {prefix!r}: that is {kinds}")
    from base64 import b64decode

    if not prefix and (word := _is_prefixed(secret)):
        raise ConfigurationError(f"a webhook secret begins with {word[0]!r}: a prefix that is not known here")
    text = secret.removeprefix(prefix).translate(_BASE64URL)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key or (length and len(key) != length):
        wanted = f"{length} bytes in base64" if length else "base64"
        raise ConfigurationError(
            f"a webhook secret is not {wanted} after its prefix: is part of it missing, or is it another's?"
        )
    return key
