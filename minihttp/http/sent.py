# SPDX-License-Identifier: MIT
"""What a caller sent, and whether a refused value is among it: that decides whose mistake an error is.

A value that came with the request (in its JSON, form, query, path or headers), or with the arguments of a
call through the function API, is the caller's: the caller is told what is wrong with it. Any other value is
the app's own, and no message about it leaves the server. Everything here runs only after an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, MinihttpError, Refusal
from .request import parameters_of
from .strict_json import InnerObject, JSONObject, parse_json

if TYPE_CHECKING:
    from .request import Request


class Sent:
    """The values that one caller sent.

    Args:
        values: of JSON's types, or form fields.
        lacks: whether something was looked up in them that is not there, so that None stands for it.
        is_taken_whole: whether all fields of an object went on, so that one it lacks is the caller's too.
    """

    __slots__ = ("_is_taken_whole", "_lacks", "_values")

    def __init__(self, values: Iterable[Any], *, lacks: bool = False, is_taken_whole: bool = False) -> None:
        self._values = list(values)
        self._lacks = lacks
        self._is_taken_whole = is_taken_whole

    def message(self, error: BaseException) -> str | None:
        """What the caller may be told of an error: its message, or None where the mistake is not theirs."""
        refusal = error.refusal if isinstance(error, MinihttpError) else None
        if refusal is None or not self._is_callers(refusal):
            return None
        is_all_theirs = refusal.field is None or self.holds(refusal.value)
        return str(error) if is_all_theirs or not refusal.brief else refusal.brief

    def _is_callers(self, refusal: Refusal) -> bool:
        value, field = refusal.value, refusal.field
        if field is None:
            return self.holds(value)
        if field not in value:  # it is missing
            return self._is_taken_whole or isinstance(value, JSONObject) or self._has_inside(value)
        return any(
            isinstance(part, dict) and field in part and _is_same(part[field], value[field])
            for part in self._all_parts()
        )

    def holds(self, value: Any) -> bool:
        """Whether a value is one of those that were sent, or a part of one."""
        if value is None and self._lacks:
            return True
        if isinstance(value, tuple):
            value = list(value)
        return any(_is_same(part, value) for part in self._all_parts())

    def _has_inside(self, value: Any) -> bool:
        """Whether an object is one of those inside the object that was sent."""
        inner = (item for root in self._values if isinstance(root, dict) for item in root.values())
        return any(_is_same(part, value) for item in inner for part in _parts(item))

    def _all_parts(self) -> Iterator[Any]:
        for root in self._values:
            yield from _parts(root)


def sent_with(request: Request) -> Sent:
    """What came with a request, as far as its handler has read it; what the handler changed since is not."""
    read = vars(request)
    groups = [read["query"]] if "query" in read else []
    if "_form" in read:
        groups.append(read["_form"][1])
    tail = request.tail
    values: list[Any] = [
        parameters_of(request.path, request.route),
        dict(request.headers),
        *([tail, *tail.split("/")] if tail else []),
    ]
    values += [{name: value} for group in groups for name, value in group.items()]
    body: bytes | None = read.get("_bytes")
    if body is not None:
        values += _parsed(body)
    groups += [read[name] for name in ("headers", "_parsed") if name in read]
    is_taken_whole = any(getattr(group, "is_taken_whole", False) for group in groups)  # before it is walked
    inner = (part for part in _parts(read.get("_parsed")) if isinstance(part, InnerObject))
    return Sent(
        values,
        lacks=any(getattr(group, "lacked", False) for group in (*groups, *inner)),
        is_taken_whole=is_taken_whole,
    )


def _parsed(body: bytes) -> list[Any]:
    """A body as bytes, and as what else a handler can have taken it for, perhaps by a parser of its own."""
    try:
        return [body, parse_json(body, len(body), is_plain=True)]
    except HTTPError:
        return [body, body.decode("utf-8", "replace")]


def _parts(value: Any) -> Iterator[Any]:
    """A value, the names and values in it, and so on."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict):
            yield from part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _is_same(sent: Any, value: Any) -> bool:
    """Whether a value is what was sent, or what a handler makes of a text: without white space around it, in
    another case, one of a list with commas, a number.
    """
    if sent is value or (sent == "" and value == ""):
        return True
    if isinstance(sent, bool) or isinstance(value, bool):
        return False
    if isinstance(sent, str) and isinstance(value, str):
        sent, value = sent.strip().casefold(), value.strip().casefold()
        return value != "" and (sent == value or value in map(str.strip, sent.split(",")))
    try:
        if isinstance(sent, str) and isinstance(value, (int, float)):
            return float(sent) == value
        return bool(sent == value)
    except Exception:  # of a comparison with something foreign, or a text that is no number
        return False
