# SPDX-License-Identifier: MIT
"""The request target: the raw path that routing works on, the host, and percent-encoding (RFC 3986).

Routing never decodes: `/a%2Fb` and `/a/b` are two paths, on every server alike. Nothing is merged, redirected
or normalised; what a careful client never sends is a 400. Knows nothing of routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ..errors import HTTPError

_PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@/"  # RFC 3986 §3.3 pchar and "/", without "%"
find_odd = re.compile(f"[^{_PCHAR}]").search
_MAY_STAND = bytes(code for code in range(128) if find_odd(chr(code)) is None) + b"%"
_SEEN = bytes(range(0x21, 0x7F))
_REFUSED = (  # compiled when an odd path comes
    (r"[^\x21\x22\x24-\x7e]", "a '#', a space, a control character or a byte that is not ASCII"),
    (r"%(?![0-9A-Fa-f]{2})", "a '%' without two hex digits"),
    (r"%[01][0-9A-Fa-f]|%7[Ff]", "an encoded control character"),
    (r"(?:/|%2[Ff])(?:\.|%2[Ee]){1,2}(?:/|%2[Ff]|\Z)", "a '.' or '..' segment"),
)
# Stricter than RFC 3986's reg-name: a comma is how a server joins two Host fields.
# A domain name has 255 characters at most, with a port 261.
_match_host = re.compile(r"(?=.{1,261}\Z)([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?").fullmatch
_MAX_PORT = 65_535
DEFAULT_PORTS = {"http": 80, "https": 443}

_BROKEN = rb"%(?![0-9A-Fa-f]{2})"
_PIECE_BYTES = 8_192
MAX_BROKEN = 1_000  # a browser writes none, and to find one takes as long as to read a hundred bytes
_MANY_BYTES = 64  # for each escape: those between them go by unread where each is decoded by itself
_AS_QUOTED_PRINTABLE = bytes.maketrans(b"%", b"=")
MAX_PATH_CHARACTERS = 8_192  # as much as nginx takes of a whole line; RFC 9110 §4.1 asks for 8,000


def percent_decode(text: str) -> str:
    """Decode `%XX` as UTF-8, strictly.

    Args:
        text: percent-encoded text; characters beyond ASCII stand for single bytes, as WSGI has them.

    Raises:
        ValueError: a `%` without two hex digits, or bytes that are not UTF-8.
    """
    if "%" not in text and text.isascii():
        return text
    return decode_percent_bytes(text.encode("latin-1")).decode("utf-8")


def decode_percent_bytes(data: bytes) -> bytes:
    """Decode `%XX`, strictly.

    Raises:
        ValueError: a `%` without two hex digits.
    """
    decoded = _decode(data)
    if decoded is None:
        start = next(re.finditer(_BROKEN, data)).start()
        raise ValueError(f"{data[start : start + 3].decode('latin-1')} is not a percent-encoded byte")
    return decoded


def decode_leniently(data: bytes) -> tuple[bytes, int]:
    """Decode `%XX` as forms do, where a `%` without two hex digits stands for itself (WHATWG URL §1.3).

    Returns:
        What it is, and how many of those there are; of more than `MAX_BROKEN` the beginning only.
    """
    if b"%" not in data:
        return data, 0
    pieces, count = [], 0
    for piece in _pieces(data):
        decoded = _decode(piece)
        if decoded is None:
            mended, more = re.subn(_BROKEN, b"%25", piece)
            decoded = _decode(mended) or b""
            count += more
        pieces.append(decoded)
        if count > MAX_BROKEN:
            break
    return b"".join(pieces), count


def _pieces(data: bytes) -> Iterator[bytes]:
    """The bytes in pieces, each from a `%` on: what is made of all at once takes many times their size."""
    start = 0
    while start < len(data):
        end = data.find(b"%", start + _PIECE_BYTES)
        end = len(data) if end < 0 else end
        yield data[start:end]
        start = end


def _decode(data: bytes) -> bytes | None:
    """Decode all `%XX` in one go; None where a `%` is broken: then not each makes the bytes two fewer."""
    escapes = data.count(b"%")
    if not escapes:
        return data
    from binascii import a2b_hex, a2b_qp  # a plain request has no escapes

    if len(data) > _MANY_BYTES * escapes:
        first, *rest = data.split(b"%")
        try:
            decoded = first + b"".join([a2b_hex(piece[:2]) + piece[2:] for piece in rest])
        except ValueError:
            return None
        return decoded if len(data) - len(decoded) == 2 * escapes else None
    # As quoted-printable, which needs no loop of ours, but takes a line end behind the sign for a soft one.
    if (b"\n" in data or b"\r" in data) and (b"%\n" in data or b"%\r" in data):
        return None
    data = data.replace(b"=", b"%3D")
    decoded = a2b_qp(data.translate(_AS_QUOTED_PRINTABLE))
    return decoded if len(data) - len(decoded) == 2 * data.count(b"%") else None


def percent_encode(text: str, encoding: str = "utf-8", *, encode_percent: bool = False) -> str:
    """Encode what may not stand in a path (a `%` only if asked to); what may is left as it is."""
    data = text.encode(encoding)
    return _encode(data.replace(b"%", b"%25") if encode_percent else data, _MAY_STAND)


def _encode(data: bytes, kept: bytes) -> str:
    """Encode all other bytes, of which there are few kinds, each wherever it stands."""
    for odd in set(data.translate(None, kept)):
        data = data.replace(bytes([odd]), b"%%%02X" % odd)
    return data.decode("ascii")


def is_plain_path(path: str) -> bool:
    """Whether a raw path has nothing to be decoded, encoded or refused."""
    return path[:1] == "/" and find_odd(path) is None and "/." not in path


def raw_path(environ: dict[str, Any]) -> str:
    """The path of a request, percent-encoded as the client sent it, below SCRIPT_NAME.

    Taken from REQUEST_URI or RAW_URI where the server gives one of them (waitress, gunicorn), otherwise
    PATH_INFO is encoded again, and `%2F` cannot be told from `/`.

    Raises:
        HTTPError: 414 for one of more than 8,192 characters; 400 for a path that does not start with `/` (so
            also for `*` and `host:port`), control characters or bytes beyond ASCII, encoded or raw, a `#`,
            broken or non-UTF-8 percent-encoding, and dot segments.
    """
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    path: str = target or environ.get("PATH_INFO", "")
    if target and "?" in target:
        path = target.partition("?")[0]
    if len(path) > MAX_PATH_CHARACTERS:
        raise HTTPError(414, f"The path has more than {MAX_PATH_CHARACTERS} characters", code="URITooLong")
    if is_plain_path(path) and not (target and environ.get("SCRIPT_NAME")):
        return path
    sent = None if target is None else _below_script_name(path, environ.get("SCRIPT_NAME", ""))
    if sent is None:  # no raw target, or one from before a rewrite
        sent = percent_encode(environ.get("PATH_INFO", ""), "latin-1", encode_percent=True)
    return _checked(sent or ("/" if environ.get("SCRIPT_NAME") else ""))  # the mount itself, without a slash


def sent_target(environ: dict[str, Any]) -> str | None:
    """Path and query as the client sent them, SCRIPT_NAME included; None where the server does not tell.

    Providers that sign a URL sign these characters, so `[`, `|`, `"` and an empty query stay as they are.
    Only what may not stand in a line of text is percent-encoded: controls, spaces and bytes beyond ASCII.
    """
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if not target:
        return None
    path, mark, query = target.partition("?")
    return _encode((_origin_form(path) + mark + query).encode("latin-1"), _SEEN)


def _origin_form(path: str) -> str:
    """The path of an origin-form or absolute-form target."""
    if not path.startswith("/") and "://" in path:
        return "/" + path.partition("://")[2].partition("/")[2]
    return path


def _below_script_name(path: str, script_name: str) -> str | None:
    """The path of a target, or None if it does not lie below SCRIPT_NAME."""
    path = _origin_form(path)
    prefix = percent_encode(script_name, "latin-1", encode_percent=True)
    return path[len(prefix) :] if f"{path}/".startswith(f"{prefix}/") else None


@lru_cache(maxsize=16)  # a request asks several times
def _checked(path: str) -> str:
    shown = ascii(path[:100])
    if not path.startswith("/"):
        raise HTTPError(400, f"Path {shown} does not start with '/'")
    for refused, rule in _REFUSED:
        if re.search(refused, path):
            raise HTTPError(400, f"Path {shown} holds {rule}")
    try:
        percent_decode(path)
    except ValueError:
        raise HTTPError(400, f"Path {shown} is not percent-encoded UTF-8") from None
    return percent_encode(path)


def check_host(environ: dict[str, Any]) -> str:
    """The authority of a request: its Host header, or the server's own name for an HTTP/1.0 client without
    one; without a port that is empty or the scheme's own (RFC 3986 §3.2.3).

    Raises:
        HTTPError: 400 unless it is one `host` or `host:port` without user information (RFC 9112 §3.2).
    """
    host = environ.get("HTTP_HOST")
    if host is None:
        if environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            raise HTTPError(400, "Missing Host header")
        name = environ["SERVER_NAME"]
        host = f"[{name}]" if ":" in name else name
        host += f":{environ['SERVER_PORT']}"
    return checked_host(host, environ.get("wsgi.url_scheme", ""))


@lru_cache(maxsize=64)  # an app has a few names; refused ones are not kept
def checked_host(host: str, scheme: str) -> str:
    """A `host` or `host:port` without a port that is empty or the scheme's own.

    Raises:
        HTTPError: 400 for anything else.
    """
    match = _match_host(host)
    if match is None or int(match[2] or 0) > _MAX_PORT:
        raise HTTPError(
            400, f"Host {host[:100]!a} is not one host name with an optional port up to {_MAX_PORT}"
        )
    name, port = match.groups()
    return name if not port or int(port) == DEFAULT_PORTS.get(scheme) else f"{name}:{int(port)}"


def split_host(host: str) -> tuple[str, str] | None:
    """The name of a `Host`, without the brackets of an IPv6 address, and its port or ""; None for no host."""
    match = _match_host(host)
    return (match[1].strip("[]"), match[2] or "") if match else None
