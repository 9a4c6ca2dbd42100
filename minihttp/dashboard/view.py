# SPDX-License-Identifier: MIT
"""What a page is given: the request, the app's functions, links and forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from ..data import ids
from .html import Safe, escape, join, tag
from .pieces import MASK, clock, folded, span, table

if TYPE_CHECKING:
    from ..http.request import Request
    from . import Installed

_PAGES = {  # of tables whose documents have pages of their own
    "_storage": "files",
    "_scheduled_functions": "jobs",
    "_webhook_deliveries": "webhooks",
    "_webhook_refusals": "webhooks",
}
_id = re.compile(r"(?<![0-9A-Za-z])([0-9a-v]{32})(?![0-9A-Za-z])")
_STAMP, _EXACT = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC"
_MIN_SECRET = 6  # characters; shorter ones are words of pages too


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

    def asked(self, name: str) -> str:
        """A field of the query, or ""."""
        return self.request.query.get(name) or ""

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

    def attempts(self, failures: Sequence[Mapping[str, Any]]) -> list[Safe] | None:
        """When and how a job failed before its last attempt, the last of them first."""
        if not failures:
            return None
        rows = [(self.when(failure["at"]), folded(failure["error"])) for failure in reversed(failures)]
        return [tag("h2", "Attempts that failed"), table(("When", "Error"), rows, "")]

    def listing(
        self,
        result: Mapping[str, Any],
        heads: Sequence[str],
        rows: Sequence[Sequence[Any]],
        empty: Any,
        *segments: str,
        numbers: Sequence[int] = (),
        **query: Any,
    ) -> list[Safe]:
        """A page of rows as a table, and the links of `pages`; `empty` says that there is nothing at all."""
        if not (rows or result["isDone"]):
            empty = "None among those that were read. The next page goes on."
        return [table(heads, rows, empty, numbers), self.pages(result, *segments, **query)]

    def pages(self, result: Mapping[str, Any], *segments: str, **query: Any) -> Safe:
        """Links to the first and the next page of a query that answered with a cursor."""
        links = []
        if self.asked("cursor"):
            links.append(self.link("← First page", *segments, **query))
        if not result["isDone"]:
            links.append(self.link("Next page →", *segments, **query, cursor=result["continueCursor"]))
        return tag("nav", join(links), aria_label="Pages", class_="pages") if links else Safe("")
