# SPDX-License-Identifier: MIT
"""Cursors: encrypted and signed, since a position in an index holds what a filter may have left out.

The standard library has no cipher, but HMAC-SHA256 is one pseudorandom function for all that is needed, in
the construction of RFC 5297 (SIV). The tag is the HMAC of what the cursor is bound to and of the position.
The position is added to a key stream, HMAC of the tag and a counter under a second key; it is read by the
same stream, and believed if its tag comes out again. Two positions share a stream only if their tags are
equal, that is, if they are equal: so no nonce is needed, and the same position always has the same cursor.
Positions are padded to whole blocks, so that a cursor does not tell the length of a value.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

from .. import hashing

_TAG_BYTES = 16
_BLOCK_BYTES = 32  # of SHA-256


def _digest(key: bytes, message: bytes) -> bytes:
    return hashing.hmac.digest(key, message, "sha256")


@lru_cache(maxsize=8)
def _keys(secret: bytes) -> tuple[bytes, bytes]:
    return _digest(secret, b"cursor tag"), _digest(secret, b"cursor stream")


def _tag(secret: bytes, bound_to: bytes, position: bytes) -> bytes:
    message = len(bound_to).to_bytes(8, "big") + bound_to + position
    return _digest(_keys(secret)[0], message)[:_TAG_BYTES]


def _add_stream(secret: bytes, tag: bytes, blocks: bytes) -> bytes:
    key, count = _keys(secret)[1], len(blocks) // _BLOCK_BYTES
    stream = b"".join(_digest(key, tag + number.to_bytes(4, "big")) for number in range(count))
    size = len(blocks)
    return (int.from_bytes(blocks, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def seal(secret: bytes, bound_to: bytes, position: bytes) -> str:
    """The cursor of a position.

    Args:
        secret: of the database.
        bound_to: what the cursor is good for.
        position: any bytes.
    """
    tag = _tag(secret, bound_to, position)
    marked = position + b"\x80"
    padded = marked.ljust(-(-len(marked) // _BLOCK_BYTES) * _BLOCK_BYTES, b"\0")
    return urlsafe_b64encode(tag + _add_stream(secret, tag, padded)).decode()


def unseal(secret: bytes, bound_to: bytes, cursor: str) -> bytes | None:
    """The position of a cursor that `seal` made with the same secret for the same use; None for any other."""
    try:
        sealed = urlsafe_b64decode(cursor)
    except ValueError:
        return None
    tag, blocks = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
    if not blocks or len(blocks) % _BLOCK_BYTES:
        return None
    position, mark, padding = _add_stream(secret, tag, blocks).rpartition(b"\x80")
    is_ours = hashing.compare_digest(tag, _tag(secret, bound_to, position))
    is_one_spelling = urlsafe_b64encode(sealed).decode() == cursor  # decoding skips foreign characters
    return position if is_ours and mark and not padding.strip(b"\0") and is_one_spelling else None
