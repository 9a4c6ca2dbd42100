# SPDX-License-Identifier: MIT
"""A document as it comes from the database: a dict that decodes its JSON text when it is first touched.

A document that only passes through a handler is never decoded: whoever writes JSON takes its text. The first
touch of anything but `_id` (not `if document:`) fills the dict and makes it an ordinary one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..errors import StorageUnavailableError
from .formats import loads

_set, _get = dict.__setitem__, dict.__getitem__
_has_exponent = re.compile(r"\de[-+]\d").search
_has_int = re.compile(r"[:,\[]-?\d+[,\]}]").search


# Whether a stored text is not what is sent, so that it must be decoded. The inside of a string may look so
# too: that document is decoded for nothing.


def _is_unlike_json(text: str) -> bool:
    """A tagged value (`{"$bytes": …}`), or a float in which JavaScript writes no `.0` or another exponent."""
    # Of one letter first: that is one look through the text at the speed of memory, of two a walk
    return (
        ("$" in text and '{"$' in text)
        or (".0" in text and (".0," in text or ".0}" in text or ".0]" in text))
        or ((("-" in text and "e-" in text) or ("+" in text and "e+" in text)) and bool(_has_exponent(text)))
    )


def _is_unlike_wire(text: str) -> bool:
    """A tagged value, or an int, which Convex's formats write as a float."""
    return '{"$' in text or _has_int(text) is not None


class Document(dict[str, Any]):
    """A document that has been decoded: a dict in every respect; copies and pickles of it are plain dicts."""

    __slots__ = ("_microseconds", "_text")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[dict[str, Any]]]:
        return dict, (dict(self),)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()

    def __copy__(self) -> dict[str, Any]:
        return dict(self)


class StoredDocument(Document):
    """A document that nobody has looked into yet.

    The dict itself holds `_id`, so it is never empty for code in C that asks. Iteration
    is overridden, so that `dict(document)` and `{**document}` go by `keys` (PyDict_Merge of CPython).

    Args:
        id: its id.
        microseconds: its creation time since the epoch.
        text: the JSON text of its other fields, as `dumps` made it.
    """

    __slots__ = ()

    def __init__(self, id: str, microseconds: int, text: str) -> None:
        _set(self, "_id", id)
        self._microseconds = microseconds
        self._text = text

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return _get(self, "_id") if name == "_id" else self._decode()[name]

    @property
    def size_bytes(self) -> int:
        """About the length of its JSON text, which is known without decoding it."""
        return len(self._text) + 64

    def json_text(self) -> str | None:
        """The document as JSON text in the form of `Response.json`; None where that needs decoding."""
        return None if _is_unlike_json(self._text) else self._json()

    def wire_text(self) -> str | None:
        """The document as JSON text in Convex's formats, where every number is a float; None where that needs
        decoding.
        """
        return (
            None if _is_unlike_wire(self._text) else self._with_system_fields(repr(self._microseconds / 1000))
        )

    @staticmethod
    def json_texts(documents: list[Any]) -> list[str] | None:
        """The texts of many, looked through at once; None where one of them needs decoding."""
        if {document.__class__ for document in documents} != {StoredDocument}:
            return None
        if _is_unlike_json("".join([document._text for document in documents])):
            return None
        texts = []
        for document in documents:  # `_json` of each, without the calls
            time = str(document._microseconds)
            text = document._text
            if time[-1] == "0" or text == "{}" or len(time) < 4:
                texts.append(document._json())
            else:
                head = f'{{"_id":"{_get(document, "_id")}","_creationTime":'
                texts.append(f"{head}{time[:-3]}.{time[-3:]},{text[1:]}")
        return texts

    def _json(self) -> str:
        milliseconds, rest = divmod(self._microseconds, 1000)
        return self._with_system_fields(
            f"{milliseconds}.{rest:03}".rstrip("0") if rest else str(milliseconds)
        )

    def _with_system_fields(self, time: str) -> str:
        head = f'{{"_id":"{_get(self, "_id")}","_creationTime":{time}'
        return head + "}" if self._text == "{}" else f"{head},{self._text[1:]}"

    def _decode(self) -> Document:
        """Fill the dict and become an ordinary one; the lookups of methods go to `dict` from now on."""
        try:
            fields = loads(self._text)
        except ValueError as error:
            id = _get(self, "_id")
            raise StorageUnavailableError(f"The stored text of document {id} is damaged: {error}") from None
        _set(self, "_creationTime", self._microseconds / 1000)
        dict.update(self, fields)
        self.__class__ = Document  # type: ignore[assignment]
        return self


def _decoding(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of dict that decodes first, its argument too: dict's own code looks into both."""

    @wraps(method)
    def decode_first(self: StoredDocument, *args: Any, **fields: Any) -> Any:
        for other in args:
            if other.__class__ is StoredDocument:
                other._decode()
        return method(self._decode(), *args, **fields)

    return decode_first


for _name in (
    *("__contains__", "__iter__", "__len__", "__reversed__", "__repr__", "__sizeof__"),
    *("get", "items", "keys", "values", "copy"),
    *("__eq__", "__ne__", "__or__", "__ror__", "__ior__"),
    *("__delitem__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update"),
):
    setattr(StoredDocument, _name, _decoding(getattr(dict, _name)))
