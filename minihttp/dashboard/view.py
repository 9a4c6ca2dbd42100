# SPDX-License-Identifier: MIT
"""What pages are made with: the request, the app's functions, links, and the small pieces that all share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from ..http.strict_json import parse_json
from ..values import Int64, dumps, loads
from .html import Safe, join, tag

if TYPE_CHECKING:
    from ..app.wsgi import App
    from ..http.request import Request
    from .activity import Activity

_SHORT_ID = 10
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SECRET_WORDS = ("authorization", "cookie", "secret", "token", "password", "signature", "api-key", "apikey")
_MAX_TEXT = 20_000
_MAX_DEPTH = 64


class Page(NamedTuple):
    """A page without its frame."""

    title: str
    body: Safe
    status: int = 200


class Redirect(NamedTuple):
    """Where a form leads: 303 to a path below `/_/`, with a sentence that is shown there."""

    path: str
    said: str = ""


class View:
    """One request of a signed-in person.

    Attributes:
        base: what every link begins with; it ends with `/_/`.
        may_write: whether the dashboard changes things.
        form_token: what every form carries.
    """

    def __init__(
        self, app: App, activity: Activity, request: Request, base: str, may_write: bool, form_token: str
    ) -> None:
        self.app = app
        self.activity = activity
        self.request = request
        self.base = base
        self.may_write = may_write
        self.form_token = form_token
        self.now = app.options.clock()

    # -- the app

    def call(self, function: str, /, **args: Any) -> Any:
        """Call a function of the app, internal ones too."""
        return self.app.runner.run(function, args)

    def asked(self, name: str, default: str = "") -> str:
        """A field of the query, or the default."""
        return self.request.query.get(name) or default

    # -- links and forms

    def path(self, /, *segments: str, **query: Any) -> str:
        """A path below `/_/`; parts of the query that are empty are left out."""
        text = self.base + "/".join(quote(segment, safe="") for segment in segments)
        asked = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{text}?{urlencode(asked)}" if asked else text

    def link(self, text: Any, /, *segments: str, **query: Any) -> Safe:
        return tag("a", text, href=self.path(*segments, **query))

    def form(self, action: str, *children: Any, **attributes: Any) -> Safe:
        """A form that changes something: POST, with the session's token."""
        token = tag("input", type="hidden", name="form_token", value=self.form_token)
        return tag("form", token, children, method="post", action=action, **attributes)

    def button(self, label: str, *segments: str, danger: bool = False, **fields: Any) -> Safe | None:
        """A button that changes something, where the dashboard may."""
        if not self.may_write:
            return None
        hidden = [tag("input", type="hidden", name=name, value=value) for name, value in fields.items()]
        pressed = tag("button", label, class_="danger" if danger else None)
        return self.form(self.path(*segments), hidden, pressed, class_="inline")

    # -- how things are shown

    def when(self, milliseconds: float | None) -> Safe:
        """A time as "3 min ago", with the exact time on hover."""
        if milliseconds is None:
            return tag("span", "never", class_="muted")
        seconds = self.now - milliseconds / 1000
        exact = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(milliseconds / 1000))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1000))
        text = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
        return tag("time", text, datetime=stamp, title=exact)

    def id(self, id: str, *segments: str) -> Safe:
        """An id, shortened, with the whole one on hover and for copying; a link where it leads somewhere."""
        short = tag("code", f"{id[:6]}…{id[-4:]}" if len(id) > _SHORT_ID else id, title=id)
        return tag("a", short, href=self.path(*segments), title=id) if segments else short


def span(seconds: float) -> str:
    """A duration in its largest unit: `3 min`."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"


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


def facts(pairs: Iterable[tuple[str, Any]]) -> Safe:
    """Names and values below each other."""
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in pairs if value is not None])


def state(name: str) -> Safe:
    """The state of a job or a delivery as a coloured word."""
    return tag("span", name, class_=f"state st-{''.join(filter(str.isalnum, name))}")


def fields(value: Any) -> str:
    """A document or arguments as JSON that can be edited: what is stored, indented."""
    return json.dumps(json.loads(dumps(value)), ensure_ascii=False, indent=2)


def parse_fields(text: str) -> Any:
    """The value that somebody has edited as `fields` shows it.

    Raises:
        HTTPError: 400 for what is not JSON; ValidationError for what is no Convex value.
    """
    return loads(json.dumps(parse_json(text.encode(), _MAX_DEPTH)))


def preview(value: Any, characters: int = 60) -> str:
    """A value on one line, cut."""
    if isinstance(value, Int64):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= characters else text[: characters - 1] + "…"


def code(text: str) -> Safe:
    """Text as it is, in a box that scrolls."""
    cut = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}\n… {len(text) - _MAX_TEXT} characters more"
    return tag("pre", tag("code", cut), tabindex="0")


def headers(pairs: Mapping[str, Any]) -> Safe:
    """Header fields; the values of those that are credentials are masked."""
    rows = [
        (name, "•••" if any(word in name.lower() for word in _SECRET_WORDS) else str(value))
        for name, value in sorted(pairs.items())
    ]
    return table(("Header", "Value"), rows, "No headers were kept.")


def pages(view: View, result: Mapping[str, Any], *segments: str, **query: Any) -> Safe:
    """Links to the first and the next page of a query that answered with a cursor."""
    links = []
    if view.asked("cursor"):
        links.append(view.link("First page", *segments, **query))
    if not result["isDone"]:
        links.append(view.link("Next page", *segments, **query, cursor=result["continueCursor"]))
    return tag("nav", join(links), aria_label="Pages", class_="pages") if links else Safe("")


def options(name: str, label: str, values: Iterable[tuple[str, str]], chosen: str) -> Safe:
    """A choice in a form: (value, text) pairs."""
    choices = [tag("option", text, value=value, selected=value == chosen) for value, text in values]
    return tag("label", f"{label} ", tag("select", choices, name=name))


def entry(name: str, label: str, value: str = "", **attributes: Any) -> Safe:
    """A line of text in a form."""
    return tag("label", f"{label} ", tag("input", name=name, value=value, **attributes))
