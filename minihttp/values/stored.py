# SPDX-License-Identifier: MIT
"""A document as it comes from the database: a dict that decodes its JSON text when it is first touched.

A document that only passes through a handler is never decoded: whoever writes JSON takes its text. The first
touch of anything but `_id` (not `if document:`) fills the dict and makes it an ordinary one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from ..errors import StorageUnavailableError
from .formats import loads

_set, _get = dict.__setitem__, dict.__getitem__
_has_exponent = re.compile(r"\de[-+]\d").search
_has_int = re.compile(r"[:,\[]-?\d+[,\]}]").search
# Numbers of fields whose names end with a letter, a digit or "_". Such a quote is the end of a name: inside a
# text one has a backslash before it, and at the beginning of a text a sign of JSON.
_without_fraction = partial(re.compile(r'":(?<=\w":)(0|-?[1-9][0-9]{0,15})\.0(?=[,}])').sub, r'":\1')
_with_fraction = partial(re.compile(r'":(?<=\w":)(?:0|-?[1-9][0-9]{0,14})(?=[,}])').sub, r"\g<0>.0")
_SEPARATOR = "\x1e"  # between the texts of many: JSON text has no control characters


# A stored text, or many with separators, as it is sent; None where it must be decoded. The inside of a string
# may look as if: that document is decoded for nothing.


def _as_json(text: str) -> str | None:
    """Without the `.0` of floats, which JavaScript does not write; tagged values (`{"$bytes": …}`) and
    exponents need decoding.
    """
    # Of one letter first: that is one look through the text at the speed of memory, of two a walk
    if "$" in text and '{"$' in text:
        return None
    if (("-" in text and "e-" in text) or ("+" in text and "e+" in text)) and _has_exponent(text):
        return None
    if _has_whole_float(text):
        text = _without_fraction(text)
        return None if _has_whole_float(text) else text
    return text


def _has_whole_float(text: str) -> bool:
    return ".0" in text and (".0," in text or ".0}" in text or ".0]" in text)


def _as_wire(text: str) -> str | None:
    """With every int as a float, as in Convex's formats; tagged values need decoding."""
    if '{"$' in text:
        return None
    if _has_int(text):
        text = _with_fraction(text)
        return None if _has_int(text) else text
    return text


class Document(dict[str, Any]):
    """A document that has been decoded: a dict in every respect; copies and pickles of it are plain dicts."""

    __slots__ = ("_microseconds", "_text")
    _text: str

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
        text = _as_json(self._text)
        return None if text is None else _with_system_fields([self], [text], is_javascript=True)[0]

    def wire_text(self) -> str | None:
        """The document as JSON text in Convex's formats, where every number is a float; None where that needs
        decoding.
        """
        text = _as_wire(self._text)
        return None if text is None else _with_system_fields([self], [text], is_javascript=False)[0]

    @staticmethod
    def json_texts(documents: list[Any]) -> list[str] | None:
        """The texts of many, looked through at once; None where one of them needs decoding."""
        texts = _together(documents, _as_json)
        return None if texts is None else _with_system_fields(documents, texts, is_javascript=True)

    @staticmethod
    def wire_texts(documents: list[Any]) -> list[str] | None:
        """As `json_texts`, in Convex's formats."""
        texts = _together(documents, _as_wire)
        return None if texts is None else _with_system_fields(documents, texts, is_javascript=False)

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


def _together(documents: list[Any], as_sent: Callable[[str], str | None]) -> list[str] | None:
    if {document.__class__ for document in documents} != {StoredDocument}:
        return None
    sent = as_sent(_SEPARATOR.join([document._text for document in documents]))
    return None if sent is None else sent.split(_SEPARATOR)


def _with_system_fields(documents: list[Any], texts: list[str], *, is_javascript: bool) -> list[str]:
    whole = []
    for document, text in zip(documents, texts, strict=True):
        time = str(document._microseconds)
        if time[-1] != "0" and len(time) > 3 and text != "{}":  # mostly, at a third of the cost
            head = f'{{"_id":"{_get(document, "_id")}","_creationTime":'
            whole.append(f"{head}{time[:-3]}.{time[-3:]},{text[1:]}")
            continue
        time = repr(document._microseconds / 1000)
        time = time.removesuffix(".0") if is_javascript else time
        head = f'{{"_id":"{_get(document, "_id")}","_creationTime":{time}'
        whole.append(head + "}" if text == "{}" else f"{head},{text[1:]}")
    return whole


def stored_text(document: dict[str, Any]) -> str | None:
    """The text of a document as it was read, whatever became of its values since; None of another dict."""
    return document._text if isinstance(document, Document) else None


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
