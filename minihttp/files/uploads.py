# SPDX-License-Identifier: MIT
"""Upload URLs: what whoever made one lets its holder do, in its query, signed with its token.

What a URL allows is decided from the head of an upload, but for one that is good once: that is found out in
the transaction that stores the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from .. import hashing
from ..errors import DocumentError, HTTPError
from ..http.body import too_large
from ..http.headers import parse_media_type
from .signing import UPLOAD, check, sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..data.documents import Transaction

UPLOADS = "_storage_uploads"  # one document for every URL that was good once and has been used
_is_type = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/(\*|[a-z0-9!#$&^_.+-]{1,127})").fullmatch
_NAMES = ("max_bytes", "content_types", "once")


class UploadRules(NamedTuple):
    """What one URL allows.

    Attributes:
        max_bytes: of the file, or None.
        content_types: which it may be of, as `image/png` or `image/*`; empty for any.
        once: a random word where the URL is good for one file, else "".
        expires_at: Unix seconds.
    """

    max_bytes: int | None
    content_types: tuple[str, ...]
    once: str
    expires_at: int

    def check_head(self, content_type: str | None, length_bytes: int | None) -> None:
        """Refuse what the head of an upload shows to be too large or of another type.

        Raises:
            HTTPError: 413 or 415.
        """
        if self.content_types:
            kind = parse_media_type(content_type or "")[0]
            if kind not in self.content_types and f"{kind.partition('/')[0]}/*" not in self.content_types:
                allowed = ", ".join(self.content_types)
                said = f"Content-Type {kind[:100]!a} is none of those that this URL takes: {allowed}"
                raise HTTPError(415, said, code="UnsupportedMediaType")
        if self.max_bytes is not None and (length_bytes or 0) > self.max_bytes:
            raise too_large(self.max_bytes, "file")

    def limited(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks of a file whose size was not announced, as long as they are few enough."""
        left = self.max_bytes or 0
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise too_large(self.max_bytes or 0, "file")
            yield chunk

    def use(self, transaction: Transaction) -> None:
        """Use the URL up, if it is good once.

        Raises:
            HTTPError: 401, it has been used.
        """
        if not self.once:
            return
        if transaction.rows_where(UPLOADS, "once", self.once).first() is not None:
            raise HTTPError(401, "this URL has been used, and is good once", code="StorageTokenUsed")
        transaction.system.insert(UPLOADS, {"once": self.once, "expiresAt": self.expires_at})


def upload_query(
    secret: bytes,
    expires_at: int,
    max_bytes: int | None = None,
    content_types: Iterable[str] | None = None,
    once: bool = False,
) -> str:
    """The query of an upload URL.

    Raises:
        DocumentError: for a size that is no positive whole number, or what is no media type.
    """
    rules: dict[str, str] = {}
    if max_bytes is not None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes <= 0:
            text = f"max_bytes must be a positive whole number, not {max_bytes!r:.100}"
            raise DocumentError("InvalidArgument", text).refusing(max_bytes)
        rules["max_bytes"] = str(max_bytes)
    if content_types is not None:
        given = [content_types] if isinstance(content_types, str) else list(content_types)
        kinds = [kind.lower() if isinstance(kind, str) else kind for kind in given]
        for kind in kinds or [""]:
            if not isinstance(kind, str) or not _is_type(kind):
                text = f"content_types are such as image/png or image/*, not {kind!r:.100}"
                raise DocumentError("InvalidArgument", text).refusing(content_types)
        rules["content_types"] = ",".join(kinds)
    if once:
        rules["once"] = hashing.token_hex(8)
    token = sign(secret, _subject(rules), expires_at)
    return urlencode({"token": token, **rules}, safe="/*,")


def upload_rules(secret: bytes, query: Sequence[tuple[str, str]], now: float) -> UploadRules:
    """What the holder of a URL may do.

    Args:
        query: the names and values of its query; of a name that is there twice the first counts.

    Raises:
        HTTPError: as `signing.check`.
    """
    rules = dict(reversed(query))
    expires_at = check(secret, _subject(rules), rules.get("token"), now)
    kinds = rules.get("content_types", "")
    return UploadRules(
        int(rules["max_bytes"]) if "max_bytes" in rules else None,
        tuple(kinds.split(",")) if kinds else (),
        rules.get("once", ""),
        expires_at,
    )


def expired_uploads(transaction: Transaction) -> list[dict[str, Any]]:
    """Some of the used URLs that would be refused for their age too."""
    return transaction.expired(UPLOADS, "by_expires", "expiresAt")


def _subject(rules: Mapping[str, str]) -> str:
    """What the token signs: names and values in one order, none of which can end early."""
    ordered = urlencode([(name, rules[name]) for name in _NAMES if name in rules])
    return f"{UPLOAD}?{ordered}" if ordered else UPLOAD
