# SPDX-License-Identifier: MIT
"""The head of a response: what an application gives for it, checked and spelled.

Most responses have the status and the fields of one before: those are not checked again, and spelled once a
second, for their Date. Knows nothing of requests.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter

from waitress.task import hop_by_hop
from waitress.utilities import build_http_date

Pair = tuple[str, str]

_MAX_KNOWN_NAMES = 1000
_MAX_KNOWN_HEADS = 256
_MAX_KNOWN_CHARACTERS = 1000
_name_of = itemgetter(0)


class _Canonical(dict[str, str]):
    """Names of response fields as they are sent: `etag` is `Etag`."""

    def __missing__(self, name: str) -> str:
        canonical = "-".join([part.capitalize() for part in name.split("-")])
        if len(self) < _MAX_KNOWN_NAMES:
            self[name] = canonical
        return canonical


CANONICAL = _Canonical()
_HOP_BY_HOP = frozenset(CANONICAL[name] for name in hop_by_hop)


class Head:
    """A status and fields that an application may give.

    Args:
        status: such as `200 OK`.
        headers: pairs of name and value.

    Raises:
        ValueError: a line end in them, or a Content-Length that is no number.
        AssertionError: a field of the connection, which is the server's.

    Attributes:
        content_length: as the field says, or None.
        has_body: whether a response of this status has one.
        is_whole: whether it says all that a client has to know of the body.
    """

    __slots__ = ("_fields", "_spelled", "_status", "content_length", "has_body", "is_whole")

    def __init__(self, status: str, headers: list[Pair]) -> None:
        text = "".join([status, *[name + value for name, value in headers]])
        if "\r" in text or "\n" in text:
            raise ValueError("a line end is in the status or a header of a response")
        self._status, self._fields = status, [(CANONICAL[name], value) for name, value in headers]
        self._spelled: tuple[int, bytes] = -1, b""
        self.content_length: int | None = None
        self.has_body = status[:1] != "1" and status[:3] not in ("204", "304")
        for (name, value), (as_given, _) in zip(self._fields, headers, strict=True):
            if name == "Content-Length":
                self.content_length = int(value)
            elif name in _HOP_BY_HOP:
                raise AssertionError(
                    f"{as_given} is a header of the connection, which an application cannot set"
                )
        self.is_whole = self.has_body and self.content_length is not None

    def at(self, second: int, ident: str) -> bytes:
        """As HTTP/1.1 spells it where nothing is to be said of the connection."""
        then, data = self._spelled
        if then != second:
            data = spelled("1.1", self._status, [*self._fields], second, ident)
            self._spelled = second, data
        return data


_known: dict[tuple[object, ...], Head] = {}


def head_of(status: str, headers: list[Pair]) -> Head:
    """As `Head`, which is made only where no response had the same lately."""
    key = (status, *headers)
    try:
        head = _known.get(key)
    except TypeError:  # a pair that is a list
        return Head(status, headers)
    if head is None:
        head = Head(status, headers)
        if sum([len(name) + len(value) for name, value in headers]) <= _MAX_KNOWN_CHARACTERS:
            if len(_known) >= _MAX_KNOWN_HEADS:
                _known.clear()
            _known[key] = head
    return head


def spelled(version: str, status: str, fields: list[Pair], second: int, ident: str) -> bytes:
    """A head with the fields of the server besides these, whose names are canonical."""
    given = dict(fields)
    fields.append(("Via" if given.get("Server") else "Server", ident))
    if not given.get("Date"):
        fields.append(("Date", _http_date(second)))
    fields.sort(key=_name_of)
    text = "".join([f"{name}: {value}\r\n" for name, value in fields])
    return f"HTTP/{version} {status}\r\n{text}\r\n".encode("latin-1")


@lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    return str(build_http_date(second))
