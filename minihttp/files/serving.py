# SPDX-License-Identifier: MIT
"""The response that carries a file: conditions, one byte range, headers that keep a browser from running it.

RFC 9110 §13 (conditions) and §14 (ranges). Several ranges in one request are answered with the whole file, as
§14.2 allows: a response of many parts is work that a stranger can ask for at will (CVE-2025-62727). Knows not
how a file was found nor where its bytes are.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..http.headers import parse_media_type
from ..http.response import Response
from .http_dates import http_date, parse_http_date

if TYPE_CHECKING:
    from ..http.request import Request
    from .backend import Blob

MAX_AGE_SECONDS = 2_592_000  # Convex's: 30 days; a URL's bytes never change
# What a browser shows without running anything in it; svg, html, xml and pdf are not here, on purpose.
_INLINE = {
    *("text/plain", "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"),
    *("audio/aac", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav", "audio/webm"),
    *("video/mp4", "video/ogg", "video/quicktime", "video/webm"),
}
_SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
# ASCII digits only and not too many of them (CVE-2025-69225: `\d` is any digit of Unicode).
_match_range = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE).fullmatch


def serve(
    request: Request,
    document: Mapping[str, Any],
    open_range: Callable[[int, int], Blob],
    elsewhere: Callable[[], str | None],
    max_age_seconds: int,
) -> Response:
    """Answer a GET or HEAD for a file.

    Args:
        request: its conditions and its range.
        document: the file's, of `_storage`.
        open_range: gives bytes `start:stop` of the file; closed by the Response.
        elsewhere: gives a URL at which the client is to ask for the bytes, if there is one.
        max_age_seconds: how long a browser may keep the response.

    Returns:
        200, 206, 302, 304, 412 or 416.
    """
    size = int(document["size"])
    etag = f'"{base64.b64decode(document["sha256"]).hex()}"'
    modified = int(document["_creationTime"] // 1000)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={max_age_seconds}",
        "ETag": etag,
        "Last-Modified": http_date(modified),
        **_SAFETY,
    }
    refused = _condition(request.headers, etag, modified)
    if refused is not None:
        return Response(b"", refused, headers)
    chosen = _range(request, etag, modified, size)
    if chosen is _UNSATISFIABLE:
        return Response(b"", 416, {**headers, "Content-Range": f"bytes */{size}"})
    url = elsewhere() if request.method == "GET" else None
    if url is not None:  # the client sends its Range there too
        return Response(b"", 302, {"Location": url, "Cache-Control": "no-store", **_SAFETY})
    media_type, _ = parse_media_type(document.get("contentType", ""))
    headers["Content-Disposition"] = "inline" if media_type in _INLINE else "attachment"
    headers["Content-Type"] = document.get("contentType", "application/octet-stream")
    if chosen is None:
        headers["Digest"] = f"sha-256={document['sha256']}"
        return Response(open_range(0, size), 200, headers)
    start, stop = chosen
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(open_range(start, stop), 206, headers)


def _condition(headers: Mapping[str, str], etag: str, modified: int) -> int | None:
    """412, 304, or None to go on (RFC 9110 §13.2.2, in its order)."""
    if "If-Match" in headers:
        if not _names(headers["If-Match"], etag):
            return 412
    elif modified > (parse_http_date(headers.get("If-Unmodified-Since")) or modified):
        return 412
    if "If-None-Match" in headers:
        return 304 if _names(headers["If-None-Match"].replace("W/", ""), etag) else None  # weakly compared
    since = parse_http_date(headers.get("If-Modified-Since"))
    return 304 if since is not None and modified <= since else None


def _names(tags: str, etag: str) -> bool:
    """Whether a list of entity tags has this one, and not as a weak one."""
    return tags.strip() == "*" or any(tag.strip() == etag for tag in tags.split(","))


_UNSATISFIABLE = (0, 0)


def _range(request: Request, etag: str, modified: int, size: int) -> tuple[int, int] | None:
    """Bytes `start:stop` to send, None for the whole file, or `_UNSATISFIABLE`.

    A Range field that is no single range of bytes, or comes with a HEAD, is ignored (RFC 9110 §14.2); so is
    any range of an empty file (`docs/convex.md` §5).
    """
    match = _match_range(request.headers.get("Range", "")) if request.method == "GET" and size else None
    if match is None or not any(match.groups()) or not _still_the_same(request, etag, modified):
        return None
    first, last = match.groups()
    if not first:  # the last n bytes
        return (max(0, size - int(last)), size) if int(last) else _UNSATISFIABLE
    if last and int(last) < int(first):
        return None
    return (int(first), min(size, int(last) + 1 if last else size)) if int(first) < size else _UNSATISFIABLE


def _still_the_same(request: Request, etag: str, modified: int) -> bool:
    """If-Range: only this very tag, or this very date (RFC 9110 §13.1.5)."""
    condition = request.headers.get("If-Range")
    return condition is None or condition.strip() in (etag, http_date(modified))
