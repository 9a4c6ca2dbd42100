# SPDX-License-Identifier: MIT
"""The small pieces that pages are made of: tables, facts, values as text, fields of forms."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..data.walks import type_text
from ..errors import HTTPError, MinihttpError
from ..http.strict_json import parse_json
from ..values import Int64, dumps, loads
from .html import Safe, tag

_SHORT_ID = 8
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SECRET_WORDS = ("authorization", "cookie", "secret", "token", "password", "signature", "api-key", "apikey")
_MAX_TEXT = 20_000
_MAX_DEPTH = 64
MASK = "•••masked•••"


def clock(moment: float, form: str = "%H:%M:%S") -> str:
    """A moment in UTC, in Unix seconds."""
    return time.strftime(form, time.gmtime(moment))


def short(id: str) -> str:
    """The end of an id, by which people tell it from others, for titles."""
    return f"…{id[-_SHORT_ID:]}" if len(id) > _SHORT_ID else id


def span(seconds: float) -> str:
    """A duration in its largest unit: `3 min`."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "less than 1 s"


def size(count: float) -> str:
    """Bytes for people: `1.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], empty: Any, numbers: Sequence[int] = ()
) -> Safe:
    """A table, or where it has no rows a sentence that says what to do.

    Args:
        numbers: the columns that are aligned as numbers.
    """
    found = list(rows)
    if not found:
        return tag("p", empty, class_="empty")

    def cell(name: str, n: int, value: Any) -> Safe:
        scope = "col" if name == "th" else None
        return tag(name, value, class_="number" if n in numbers else None, scope=scope)

    head = tag("tr", [cell("th", n, text) for n, text in enumerate(heads)])
    body = [tag("tr", [cell("td", n, value) for n, value in enumerate(row)]) for row in found]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="scroll", tabindex="0")


def facts(pairs: Iterable[tuple[str, Any]], *, is_wide: bool = False) -> Safe:
    """Names and values below each other, in two columns where there is room and it `is_wide`."""
    shown = [(tag("dt", name), tag("dd", value)) for name, value in pairs if value is not None]
    return tag("dl", shown, class_="wide" if is_wide else None)


def validator(kind: Mapping[str, Any]) -> Safe:
    """A validator, in Convex's JSON form, for people: the fields of an object, or a type."""
    if kind["type"] != "object":
        return tag("p", tag("code", type_text(kind)))
    rows = [
        (
            tag("code", name),
            tag("code", type_text(field["fieldType"])),
            "optional" if field["optional"] else "",
        )
        for name, field in kind["value"].items()
    ]
    return table(("Field", "Type", ""), rows, "No fields.")


def state(name: str) -> Safe:
    """The state of a job or a delivery as a coloured word."""
    return tag("span", name, class_=f"state st-{''.join(filter(str.isalnum, name))}")


def fields(value: Any) -> str:
    """A document or arguments as JSON that can be edited: what is stored, indented."""
    return json.dumps(json.loads(dumps(value)), ensure_ascii=False, indent=2)


def parse_fields(text: str) -> Any:
    """The value that somebody has edited as `fields` shows it.

    Raises:
        HTTPError: 400 for what is not JSON, or holds a secret that is masked here; ValidationError for what
            is no Convex value.
    """
    if MASK in text:
        raise HTTPError(
            400, "This holds a secret of the app, which is masked here: change it by `run` or in code"
        )
    return loads(json.dumps(parse_json(text.encode(), _MAX_DEPTH)))


def parse_value(text: str) -> Any:
    """A value in a field of a form: JSON, or else the text itself."""
    try:
        return parse_fields(text)
    except MinihttpError:
        return text


def preview(value: Any, characters: int = 60) -> str:
    """A value on one line, cut."""
    if isinstance(value, Int64):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= characters else text[: characters - 1] + "…"


def first_line(text: str, characters: int = 80) -> str:
    """Of an error, its type and message."""
    return preview(text.partition("\n")[0], characters)


def folded(text: str) -> Safe:
    """An error by its first line, which opens the rest."""
    return tag("details", tag("summary", first_line(text, 160)), code(text))


def code(text: str) -> Safe:
    """Text as it is, in a box that scrolls."""
    cut = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}\n… {len(text) - _MAX_TEXT} characters more"
    return tag("pre", tag("code", cut), tabindex="0")


def is_credential(name: str) -> bool:
    """Whether a header or a field of this name holds what opens something."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def without_credentials(value: Any) -> Any:
    """A value with what is kept under the name of a credential masked, however deep."""
    if isinstance(value, list):
        return [without_credentials(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: MASK if is_credential(name) and isinstance(item, str) else without_credentials(item)
        for name, item in value.items()
    }


def headers(pairs: Mapping[str, Any]) -> Safe:
    """Header fields; the values of those that are credentials are masked."""
    rows = [(name, str(value)) for name, value in sorted(without_credentials(dict(pairs)).items())]
    return table(("Header", "Value"), rows, "No headers were kept.")


def options(name: str, label: str, values: Iterable[tuple[str, str]], chosen: str) -> Safe:
    """A choice in a form: (value, text) pairs."""
    choices = [tag("option", text, value=value, selected=value == chosen) for value, text in values]
    return tag("label", tag("span", label), tag("select", choices, name=name))


def entry(name: str, label: str, value: str = "", **attributes: Any) -> Safe:
    """A line of text in a form."""
    return tag("label", tag("span", label), tag("input", name=name, value=value, **attributes))
