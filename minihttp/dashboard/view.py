# SPDX-License-Identifier: MIT
"""What pages are made with: the request, the app's functions, links, and the small pieces that all share."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from ..data import ids
from ..errors import HTTPError, MinihttpError
from ..http.strict_json import parse_json
from ..values import Int64, dumps, loads
from .html import Safe, escape, join, tag

if TYPE_CHECKING:
    from ..http.request import Request
    from . import Installed

_SHORT_ID = 8
_PAGES = {  # of tables whose documents have pages of their own
    "_storage": "files",
    "_scheduled_functions": "jobs",
    "_webhook_deliveries": "webhooks",
    "_webhook_refusals": "webhooks",
}
_id = re.compile(r"(?<![0-9A-Za-z])([0-9a-v]{32})(?![0-9A-Za-z])")
_STAMP, _EXACT = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SECRET_WORDS = ("authorization", "cookie", "secret", "token", "password", "signature", "api-key", "apikey")
_MAX_TEXT = 20_000
_MAX_DEPTH = 64
_MIN_SECRET = 6  # characters; shorter ones are words of pages too
MASK = "•••masked•••"


class Page(NamedTuple):
    """A page without its frame; `trail` is the way to it: (text, *segments of a path) of each page above."""

    title: str
    body: Safe
    status: int = 200
    trail: tuple[tuple[str, ...], ...] = ()


class Redirect(NamedTuple):
    """Where a form leads: 303 to a path, where `said` is shown, and below it what else there is to show.

    `said` is also the line of the audit log. What is shown goes with the first look where it `is_once`.
    """

    path: str
    said: str
    shown: Safe | None = None
    is_once: bool = True


class View:
    """One request of a signed-in person.

    Attributes:
        base: what every link begins with; it ends with `/_/`.
        may_write: whether the dashboard changes things.
        form_token: what every form carries.
        sent: the form that was refused and is shown again; else None.
    """

    def __init__(self, installed: Installed, request: Request, base: str, form_token: str) -> None:
        self.app = installed.app
        self.activity = installed.activity
        self.name = installed.name
        self.may_write = installed.may_write
        self.request = request
        self.base = base
        self.form_token = form_token
        self.sent: Any = None
        self.now = self.app.options.clock()

    # -- the app

    def call(self, function: str, /, **args: Any) -> Any:
        """Call a function of the app, internal ones too."""
        return self.app.runner.run(function, args)

    def page_of(self, function: str, limit: int, /, **args: Any) -> Any:
        """A page of what a function lists, from the cursor that was asked for; what is empty is not said."""
        said = {name: value for name, value in args.items() if value not in ("", None)}
        return self.call(function, **said, limit=limit, cursor=self.asked("cursor") or None)

    def run_query(self, function: str, /, **args: Any) -> Any:
        """As of a context: for the key store."""
        return self.call(function, **args)

    run_mutation = run_query

    def masked(self, markup: Safe) -> Safe:
        """The same page without the secrets of the app: whatever a log line, a payload or an error says."""
        environment = self.app.options.environment
        names = {name for _, name in self.app.secrets()} | {"MINIHTTP_ADMIN_KEY"}
        for secret in {environment.get(name) or "" for name in names} | {self.app.options.admin_key or ""}:
            if len(secret) >= _MIN_SECRET:
                markup = Safe(markup.replace(escape(secret), MASK))
        return markup

    def kept(self, name: str, text: str) -> str:
        """What a field of a form begins with: what was just sent and refused, else the text."""
        sent = self.sent.get(name) if self.sent is not None else None
        return text if sent is None else str(sent)

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

    def chooser(self, page: Sequence[str], *fields: Any) -> Safe:
        """A form that shows a page again, with other fields of its query."""
        return tag("form", fields, tag("button", "Show"), action=self.path(*page), class_="filter")

    def button(
        self, label: str, *segments: str, sure: str = "", danger: bool = False, **fields: Any
    ) -> Safe | None:
        """A button that changes something, where the dashboard may.

        Args:
            sure: what cannot be undone; then the button is behind a first one, with this sentence.
        """
        if not self.may_write:
            return None
        hidden = [tag("input", type="hidden", name=name, value=value) for name, value in fields.items()]
        pressed = tag("button", label, class_="danger" if danger else None)
        if not sure:
            return self.form(self.path(*segments), hidden, pressed, class_="inline")
        form = self.form(self.path(*segments), hidden, tag("p", sure), pressed)
        opener = tag("summary", f"{label}…", class_="danger" if danger else None)
        return tag("details", opener, form, class_="sure")

    # -- how things are shown

    def when(self, milliseconds: float | None) -> Safe:
        """A time as "3 min ago", with the exact time on hover."""
        if milliseconds is None:
            return tag("span", "never", class_="muted")
        return self.time(milliseconds / 1000)

    def time(self, moment: float, shown: str = "", **attributes: Any) -> Safe:
        """A moment, in Unix seconds; by default as `ago`, which else is on hover beside the exact time."""
        ago, exact = self.ago(moment), clock(moment, _EXACT)
        about = {"datetime": clock(moment, _STAMP), "title": f"{ago}: {exact}" if shown else exact}
        return tag("time", shown or ago, **about, **attributes)

    def ago(self, moment: float) -> str:
        """How long ago a moment was, in Unix seconds, or in how long it comes."""
        seconds = self.now - moment
        return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"

    def id(self, id: str, *segments: str) -> Safe:
        """An id; the style sheet shows its end, and the whole one is there to be copied. A link where it
        leads somewhere.
        """
        text = tag("code", id, class_="id", title=id)
        return tag("a", text, href=self.path(*segments)) if segments else text

    def thing(self, id: str, table: str = "") -> Safe:
        """The id of a document as a link to its page."""
        name = table or ids.table_of(id) or ""
        if name in _PAGES:
            return self.id(id, _PAGES[name], id)
        return self.id(id, "data", name, id) if name else self.id(id)

    def linked(self, text: str) -> Safe:
        """Text in which the ids of documents lead to their pages."""
        parts = _id.split(text)
        return join(
            [self.thing(part) if n % 2 and ids.table_of(part) else part for n, part in enumerate(parts)]
        )


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


def type_text(kind: Mapping[str, Any]) -> str:
    """`id<users>`, `array<string>`, `"open" | "paid"`, `{name: string, note?: string}`."""
    value = kind.get("value")
    match kind["type"]:
        case "id":
            return f"id<{kind['tableName']}>"
        case "literal":
            return json.dumps(value, ensure_ascii=False)
        case "array":
            return f"array<{type_text(kind['value'])}>"
        case "union":
            return " | ".join(map(type_text, kind["value"]))
        case "record":
            return f"record<{type_text(kind['keys'])}, {type_text(kind['values']['fieldType'])}>"
        case "object":
            fields = [
                f"{name}{'?' if field['optional'] else ''}: {type_text(field['fieldType'])}"
                for name, field in kind["value"].items()
            ]
            return f"{{{', '.join(fields)}}}"
    return {"bigint": "int64"}.get(kind["type"], str(kind["type"]))


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


def attempts(view: View, failures: Sequence[Mapping[str, Any]]) -> list[Safe] | None:
    """When and how a job failed before its last attempt, the last of them first."""
    if not failures:
        return None
    rows = [(view.when(failure["at"]), _folded(failure["error"])) for failure in reversed(failures)]
    return [tag("h2", "Attempts that failed"), table(("When", "Error"), rows, "")]


def _folded(text: str) -> Safe:
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


def pages(view: View, result: Mapping[str, Any], *segments: str, **query: Any) -> Safe:
    """Links to the first and the next page of a query that answered with a cursor."""
    links = []
    if view.asked("cursor"):
        links.append(view.link("← First page", *segments, **query))
    if not result["isDone"]:
        links.append(view.link("Next page →", *segments, **query, cursor=result["continueCursor"]))
    return tag("nav", join(links), aria_label="Pages", class_="pages") if links else Safe("")


def options(name: str, label: str, values: Iterable[tuple[str, str]], chosen: str) -> Safe:
    """A choice in a form: (value, text) pairs."""
    choices = [tag("option", text, value=value, selected=value == chosen) for value, text in values]
    return tag("label", tag("span", label), tag("select", choices, name=name))


def entry(name: str, label: str, value: str = "", **attributes: Any) -> Safe:
    """A line of text in a form."""
    return tag("label", tag("span", label), tag("input", name=name, value=value, **attributes))
