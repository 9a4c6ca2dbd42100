# SPDX-License-Identifier: MIT
"""The lean path: a plain request that has come whole, read by regular expressions straight into an environ.

Plain is what clients send every day: HTTP/1.1, a target without escapes, no field twice, no coding of the
body but its Content-Length. Whatever is odd in any way falls to `Parser`, which stays the judge: a request
that is read here gives the very environ that it would have given there (`tests/server/test_lean.py` compares
them). A connection remembers the fields of its last request, since the next one mostly has the same, and a
first line that was read lately is not read again.
"""

from __future__ import annotations

import re
import sys
from io import BytesIO
from typing import Any, NamedTuple

from waitress.buffers import ReadOnlyFileBasedBuffer

from .buffers import UNCOUNTED_BYTES, BodyBudget
from .parser import MAX_FIELDS, PROBES

# No "//" at its beginning, which `urlsplit` would take for an authority; no "%", which is to be decoded.
_PATH = rb"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@/]*)?"
_match_line = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) ((" + _PATH + rb")(?:\?([!\"$-~]*))?) HTTP/1\.1\r\n"
).match
_match_fields = re.compile(rb"(?:[A-Za-z0-9-]+:[ -~]*\r\n)+\r\n").match
_find_fields = re.compile(r"([A-Za-z0-9-]+):([ -~]*)\r\n").findall
_is_short_number = re.compile(r"[0-9]{1,9}").fullmatch

_MAX_KNOWN_NAMES = 1000
_MAX_KNOWN_CHARACTERS = 40
_MAX_KNOWN_LINES = 500
_MAX_KNOWN_LINE_BYTES = 100


class _Keys(dict[str, str]):
    """The key in an environ by a field's name as it was sent; "" for a field that is not plain."""

    def __missing__(self, name: str) -> str:
        upper = name.upper().replace("-", "_")
        key = {
            "CONTENT_TYPE": "CONTENT_TYPE",
            "CONTENT_LENGTH": "CONTENT_LENGTH",
            "TRANSFER_ENCODING": "",
            "EXPECT": "",
        }.get(upper, f"HTTP_{upper}")
        if len(self) < _MAX_KNOWN_NAMES and len(name) < _MAX_KNOWN_CHARACTERS:
            self[name] = key
        return key


_KEYS = _Keys()
_OF_PROXIES = frozenset(
    ["HTTP_FORWARDED", "HTTP_X_REQUEST_ID", "HTTP_X_FORWARDED_BY"]
    + [f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PORT", "PREFIX")]
)


class Line(NamedTuple):
    """The first line of a plain request."""

    command: str
    request_uri: str
    path: str
    query: str
    is_probe: bool


_known_lines: dict[bytes, Line] = {}


def _read_line(line: bytes) -> Line | None:
    match = _match_line(line)
    if match is None:
        return None
    command, target, path, query = [text.decode("ascii") for text in match.groups(b"")]
    read = Line(command, target, path, query, target in PROBES and command in ("GET", "HEAD"))
    if len(line) <= _MAX_KNOWN_LINE_BYTES:
        if len(_known_lines) >= _MAX_KNOWN_LINES:
            _known_lines.clear()
        _known_lines[line] = read
    return read


class PlainFields:
    """The fields of a plain request.

    Attributes:
        block: as they were sent, with the empty line after them.
        environ: the same, as an environ has them.
        length: what Content-Length says.
        are_of_proxy: whether one of them counts only from a trusted proxy.
    """

    __slots__ = ("are_of_proxy", "block", "environ", "length")

    def __init__(self, block: bytes, environ: dict[str, str], length: int) -> None:
        self.block, self.environ, self.length = block, environ, length
        self.are_of_proxy = not _OF_PROXIES.isdisjoint(environ)


def _read_fields(data: bytes, start: int, max_end: int) -> PlainFields | None:
    end = data.find(b"\r\n\r\n", start)
    if end < 0 or data.count(b"\n", start, end) > MAX_FIELDS:  # to take thousands apart takes milliseconds
        return None
    match = _match_fields(data, start)
    if match is None or match.end() > max_end:
        return None
    block = match[0]
    found = _find_fields(block.decode("ascii"))
    environ = {_KEYS[name]: value.strip(" ") for name, value in found}
    if len(environ) < len(found) or len(found) > MAX_FIELDS or "" in environ:
        return None
    if environ.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive":
        return None
    length = environ.get("CONTENT_LENGTH", "0")
    return PlainFields(block, environ, int(length)) if _is_short_number(length) else None


class LeanRequest:
    """A plain request, with what else a `Parser` has that has read one."""

    __slots__ = (
        "_body", "_budget", "command", "error", "fields", "is_probe", "path", "query", "request_uri",
    )  # fmt: skip

    version, connection = "1.1", "keep-alive"
    is_unread = False

    def __init__(self, line: Line, fields: PlainFields, body: bytes, budget: BodyBudget | None) -> None:
        self.command, self.request_uri, self.path, self.query, self.is_probe = line
        self.fields = fields
        self._body = BytesIO(body)
        self._budget = budget  # of which it holds the bytes of its body
        self.error: Any = None

    def close(self) -> None:
        """As `Parser.close`: the body is not read any more."""
        self._body.close()
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.release(self.fields.length)

    def environ_on(self, channel: Any) -> dict[str, Any]:
        """The environ of this request, as waitress's `WSGITask.get_environment` makes one."""
        environ = channel.base_environ
        if environ is None:
            environ = channel.base_environ = _base_environ(channel)
        environ = environ.copy()
        environ["REQUEST_METHOD"] = self.command
        environ["PATH_INFO"] = self.path
        environ["REQUEST_URI"] = self.request_uri
        environ["QUERY_STRING"] = self.query
        environ["wsgi.errors"] = sys.stderr
        environ["wsgi.input"] = self._body
        environ |= self.fields.environ
        return environ  # type: ignore[no-any-return]


def _base_environ(channel: Any) -> dict[str, Any]:
    """What all plain requests of a connection have in common."""
    server, (host, port) = channel.server, channel.addr[:2]
    return {
        "REMOTE_ADDR": host,
        "REMOTE_HOST": host,
        "REMOTE_PORT": str(port),
        "REQUEST_METHOD": "",
        "SERVER_PORT": str(server.effective_port),
        "SERVER_NAME": server.server_name,
        "SERVER_SOFTWARE": server.adj.ident,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": server.adj.url_prefix,
        "PATH_INFO": "",
        "REQUEST_URI": "",
        "QUERY_STRING": "",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input": None,
        "wsgi.file_wrapper": ReadOnlyFileBasedBuffer,
        "wsgi.input_terminated": True,
        "waitress.client_disconnected": channel.check_client_disconnected,
    }


def read(data: bytes, adj: Any, last: PlainFields | None) -> tuple[LeanRequest, int] | None:
    """The plain request that `data` begins with, and how many bytes it has; None for anything else.

    Args:
        data: what came of the connection and belongs to no request yet.
        adj: the server's settings.
        last: the fields of the connection's last plain request.
    """
    start = data.find(b"\n") + 1
    first = data[:start]
    line = _known_lines.get(first) or _read_line(first)
    if line is None:
        return None
    if last is not None and data.startswith(last.block, start):
        fields = last
    else:
        found = _read_fields(data, start, adj.max_request_header_size)
        if found is None:
            return None
        fields = found
    head_end = start + len(fields.block)
    end = head_end + fields.length
    if end > len(data) or fields.length > adj.slack_bytes or head_end > adj.max_request_header_size:
        return None
    budget = None
    if fields.length > UNCOUNTED_BYTES:
        budget = adj.budget
        if not budget.hold(fields.length):
            return None
    return LeanRequest(line, fields, data[head_end:end], budget), end
