# SPDX-License-Identifier: MIT
"""The dashboard as one handler: who may come in, which page answers, and the frame around it.

Every view is a GET; every change is a POST that carries the session's token, comes from a page of the same
origin, and is answered by 303. Pages may not be framed, cached, or load anything from elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..auth.admin import AdminKey
from ..errors import HTTPError, MinihttpError, RateLimitedError
from ..http.response import Response
from ..http.target import percent_encode, split_host
from .html import Safe, join, tag
from .notes import Notes
from .session import SESSION_SECONDS
from .view import Page, Redirect, View

if TYPE_CHECKING:
    from ..http.request import Request
    from . import Installed

Answer = Callable[..., Any]
"""What makes a page, or a change."""
audit = logging.getLogger("minihttp.audit")
log = logging.getLogger("minihttp")

PAGES = {  # the first segment of the path -> (its module, its name in the menu)
    "": ("overview", "Overview"),
    "data": ("data", "Data"),
    "functions": ("functions", "Functions"),
    "files": ("files", "Files"),
    "jobs": ("jobs", "Jobs"),
    "crons": ("crons", "Crons"),
    "webhooks": ("webhooks", "Webhooks"),
    "logs": ("logs", "Logs"),
    "keys": ("keys", "Keys"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:;"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Dashboard:
    """The dashboard of one app.

    Args:
        installed: whose it is, what opens it, and whether it changes things: otherwise every change is 403.
    """

    def __init__(self, installed: Installed) -> None:
        self._installed = installed
        self._origin = installed.app.options.origin
        self.sessions = installed.sessions
        self._admin_key = AdminKey(installed.key)
        self._notes = Notes()

    def handle(self, request: Request) -> Response:
        """Answer a request below `/_/`."""
        return _secured(self._answer(request))

    def wants_form(self, environ: Mapping[str, str]) -> bool:
        """Whether the form of a POST counts: for signing in, or in a session."""
        path = environ["REQUEST_URI"].partition("?")[0]
        cookie = self._cookie(environ.get("HTTP_COOKIE", ""))
        return path.endswith("/_/login") or self.sessions.is_valid(cookie)

    def _answer(self, request: Request) -> Response:
        base = _base(request)
        if not self._is_our_host(request):
            said = (
                "The dashboard answers on loopback addresses, and on the hosts of --origin and --hosts only."
            )
            return self._said(base, 421, "Another host", said)
        path = request.tail
        if path == "style.css":
            return style()
        if request.method == "POST" and not self._is_same_origin(request):
            said = "This form was not sent from a page of the dashboard."
            return self._said(base, 403, "Refused", said)
        if path in ("login", "logout"):
            return self._log_in_or_out(request, base, path)
        cookie = self._cookie(request.headers.get("Cookie") or "")
        if not self.sessions.is_valid(cookie):
            if request.method in ("GET", "HEAD"):
                return _redirect(f"{base}login")
            said = "The session has ended: sign in, load the page of the form again, and repeat."
            return self._said(base, 403, "Signed out", said)
        view = View(self._installed, request, base, self.sessions.form_token(cookie))
        return self._view(view, path.split("/"), cookie)

    # ------------------------------------------------------------ pages

    def _view(self, view: View, segments: list[str], cookie: str) -> Response:
        first, rest = segments[0], segments[1:]
        if first not in PAGES:
            return self._page(view, first, _NOT_FOUND)
        module = import_module(f".{PAGES[first][0]}", __package__)
        make_page = partial(_answer_at, module.PAGES, rest, view)
        if view.request.method == "POST":
            changes = getattr(module, "CHANGES", {})
            return self._change(view, first, make_page, partial(_answer_at, changes, rest, view), cookie)
        note = self._notes.take(cookie, view.asked("note"))
        try:
            result = make_page()
        except MinihttpError as error:
            result = _refused(error)
        if isinstance(result, Response):
            return result
        return self._page(view, first, result or _NOT_FOUND, note)

    def _change(self, view: View, first: str, make_page: Answer, change: Answer, cookie: str) -> Response:
        form = view.request.form()
        if not self.sessions.is_form_token(cookie, str(form.get("form_token") or "")):
            said = "This form is not of this session: load its page again, and repeat."
            return self._said(view.base, 403, "Refused", said)
        if not view.may_write:
            said = "This dashboard only shows: start the server with --dashboard write."
            return self._said(view.base, 403, "Refused", said)
        try:
            done: Redirect | None = change(form)
            if done is None:
                raise HTTPError(404, "There is nothing to change here")
        except MinihttpError as error:
            return self._again(view, first, make_page, form, error)
        audit.info("dashboard admin key: %s request_id=%s", done.said, view.request.id)
        said = tag("p", f"{done.said[0].upper()}{done.said[1:]}.", class_="done", role="status")
        note = self._notes.keep(cookie, join([said, done.shown]), is_once=done.is_once)
        return _redirect(f"{done.path}{'&' if '?' in done.path else '?'}note={note}")

    def _again(self, view: View, first: str, make_page: Answer, form: Any, error: MinihttpError) -> Response:
        """The page of a form that was refused, with what was sent still in it."""
        view.sent = form
        try:
            page: Page = make_page() or Page("This cannot be done", Safe(""))
        except MinihttpError:
            page = Page("This cannot be done", Safe(""))
        said = tag("p", str(error), class_="error", role="alert")
        return self._page(view, first, page._replace(status=error.status), said)

    def _page(self, view: View, chosen: str, page: Page, note: Safe | None = None) -> Response:
        menu = [
            tag("li", tag("a", name, href=view.path(path), aria_current="page" if path == chosen else None))
            for path, (_, name) in PAGES.items()
        ]
        leave = view.form(view.path("logout"), tag("button", "Sign out"), class_="leave")
        header = tag(
            "header",
            tag("a", "Skip to content", href="#content", class_="skip"),
            tag("a", self._installed.name, href=view.path(""), class_="brand"),
            tag("nav", tag("ul", menu), aria_label="Dashboard"),
            leave,
        )
        trail = tag("nav", [_crumb(view, *crumb) for crumb in page.trail], class_="trail", aria_label="Above")
        above = trail if page.trail else None
        main = tag("main", above, tag("h1", page.title), note, page.body, id="content")
        title = f"{page.title} · {self._installed.name}"
        return _html(page.status, title, view.base, view.masked(join([header, main])))

    # ------------------------------------------------------------ who may come in

    def _log_in_or_out(self, request: Request, base: str, path: str) -> Response:
        if path == "logout":
            if request.method != "POST":
                return _redirect(base)
            return _redirect(f"{base}login", self._set_cookie(request, base, "", 0))
        code = request.query.get("code")
        if code and request.method == "GET" and "Sec-Purpose" not in request.headers:  # no mere prefetch
            if self.sessions.take_link(code):
                return self._enter(request, base, "the banner's link")
            return self._refuse(request, base, False)
        if request.method == "POST":
            given = str(request.form().get("key") or "")
            try:
                is_right = self._admin_key.open(given, request.remote_addr) == ""
            except RateLimitedError:
                return self._refuse(request, base, True)
            return (
                self._enter(request, base, "the admin key")
                if is_right
                else self._refuse(request, base, False)
            )
        return self._login(base, "", 200)

    def _enter(self, request: Request, base: str, by: str) -> Response:
        """Open a session. The page goes on by itself: a redirect of a link in another site's page would come
        without the cookie, which is SameSite=Strict.
        """
        audit.info("dashboard: signed in by %s request_id=%s", by, request.id)
        on = tag("meta", http_equiv="refresh", content=f"0; url={base}")
        body = tag("main", tag("h1", "Signed in"), tag("p", tag("a", "To the dashboard", href=base)))
        response = _redirect(base) if request.method == "POST" else _html(200, "Signed in", base, body, on)
        response.headers.append(*self._set_cookie(request, base, self.sessions.new(), SESSION_SECONDS))
        return response

    def _refuse(self, request: Request, base: str, must_wait: bool) -> Response:
        audit.warning("dashboard: a wrong key or link was refused request_id=%s", request.id)
        if must_wait:
            return self._login(base, "Too many wrong keys: wait a minute.", 429)
        return self._login(base, "This is not the key, or the link is used up.", 403)

    def _login(self, base: str, said: str, status: int) -> Response:
        key = tag(
            "input",
            type="password",
            name="key",
            autocomplete="current-password",
            required=True,
            autofocus=True,
        )
        body = tag(
            "main",
            tag("h1", self._installed.name),
            tag("p", said, class_="error", role="alert") if said else None,
            tag(
                "form",
                tag("label", "Admin key", key),
                tag("button", "Sign in"),
                method="post",
                action=f"{base}login",
            ),
            tag("p", "The key is what MINIHTTP_ADMIN_KEY says where the server runs.", class_="muted"),
            id="content",
            class_="login",
        )
        return _html(status, f"Sign in · {self._installed.name}", base, body)

    def _said(self, base: str, status: int, title: str, said: str) -> Response:
        """A page for whom nothing is shown to."""
        way = tag("p", tag("a", "To the dashboard", href=base))
        body = tag("main", tag("h1", title), tag("p", said, class_="error", role="alert"), way)
        return _html(status, title, base, body)

    def _cookie(self, fields: str) -> str:
        for part in fields.split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.sessions.cookie_name:
                return value
        return ""

    def _set_cookie(self, request: Request, base: str, value: str, seconds: int) -> tuple[str, str]:
        secure = "; Secure" if request.origin.startswith("https:") else ""
        limits = f"Max-Age={seconds}; Path={base}; HttpOnly; SameSite=Strict{secure}"
        return "Set-Cookie", f"{self.sessions.cookie_name}={value}; {limits}"

    def _is_our_host(self, request: Request) -> bool:
        found = split_host(_origin(request.origin).partition("://")[2])
        return found is not None and self._installed.app.hosts.includes(found[0])

    def _is_same_origin(self, request: Request) -> bool:
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site == "same-origin"
        origin = request.headers.get("Origin")
        return bool(origin) and origin in {_origin(request.origin), _origin(self._origin)}


_NOT_FOUND = Page("Not found", tag("p", "There is no such page.", class_="empty"), 404)


def _answer_at(table: Mapping[str, Answer], rest: list[str], *given: Any) -> Any:
    """What the first answer of a page's table gives whose pattern fits the rest of a path, or None.

    In a pattern `*` is a segment and `**` all of them, one or more: the answer is called with those.
    """
    for pattern, answer in table.items():
        parts = pattern.split("/") if pattern else []
        if pattern == "**" and rest:
            return answer(*given, *rest)
        pairs = list(zip(parts, rest, strict=False))
        if len(parts) == len(rest) and all(part in ("*", word) for part, word in pairs):
            return answer(*given, *(word for part, word in pairs if part == "*"))
    return None


def _refused(error: MinihttpError) -> Page:
    said = tag("p", str(error), class_="error", role="alert")
    return Page("This cannot be done", said, error.status)


def _crumb(view: View, text: str, *segments: str) -> Safe:
    return join([view.link(text, *segments), " / "])


def _base(request: Request) -> str:
    """What every path of the dashboard begins with, below whatever prefix the app is mounted."""
    return percent_encode(request.environ.get("SCRIPT_NAME", ""), "latin-1", encode_percent=True) + "/_/"


def _origin(url: str) -> str:
    """The origin of a URL: without the path below which the app is mounted."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}"


def _redirect(path: str, *headers: tuple[str, str]) -> Response:
    return Response(b"", 303, [("Location", path), *headers])


def _html(status: int, title: str, base: str, body: Safe, *more_head: Safe) -> Response:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("link", rel="stylesheet", href=f"{base}style.css"),
        *more_head,
    )
    text = f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"
    return Response(text, status, {"Content-Type": "text/html; charset=utf-8"})


def style() -> Response:
    """The style sheet of all pages."""
    text = Path(__file__).with_name("style.css").read_bytes()
    return Response(text, headers={"Content-Type": "text/css; charset=utf-8"})


def standalone(request: Request, title: str, body: Safe) -> Response:
    """A page without a menu, for whoever asks."""
    return _secured(_html(200, title, _base(request), body))


def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.set(name, value)
    return response
