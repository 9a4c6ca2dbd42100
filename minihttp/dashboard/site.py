# SPDX-License-Identifier: MIT
"""The dashboard as one handler: who may come in, which page answers, and the frame around it.

Every view is a GET; every change is a POST that carries the session's token, comes from a page of the same
origin, and is answered by 303. Pages may not be framed, cached, or load anything from elsewhere.
"""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MinihttpError
from ..http.response import Response
from .html import Safe, join, tag
from .session import SESSION_SECONDS, Sessions
from .view import Page, Redirect, View

if TYPE_CHECKING:
    from ..app.wsgi import App
    from ..http.request import Request
    from .activity import Activity

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
}
MODES = ("off", "read", "write")
COOKIE = "minihttp_session"
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
        admin_key: what opens it.
        may_write: whether it changes things; otherwise every change is 403.
        activity: what is plotted.
    """

    def __init__(self, app: App, admin_key: str, may_write: bool, activity: Activity) -> None:
        self._app = app
        self._may_write = may_write
        self._activity = activity
        self.sessions = Sessions(admin_key, app.options.clock)

    def handle(self, request: Request) -> Response:
        """Answer a request below `/_/`."""
        return _secured(self._answer(request))

    def _answer(self, request: Request) -> Response:
        base = request.environ.get("SCRIPT_NAME", "") + "/_/"
        if not self._is_our_host(request):
            return _simple(
                421,
                "The dashboard answers on loopback addresses, and on the hosts of --origin and --hosts only.",
            )
        path = request.tail
        if path == "style.css":
            return style()
        if request.method == "POST" and not self._is_same_origin(request):
            return _simple(403, "This form was not sent from a page of the dashboard.")
        if path in ("login", "logout"):
            return self._log_in_or_out(request, base, path)
        cookie = _cookie(request)
        if not self.sessions.is_valid(cookie):
            return (
                _redirect(f"{base}login")
                if request.method in ("GET", "HEAD")
                else _simple(403, "The session has ended.")
            )
        view = View(
            self._app, self._activity, request, base, self._may_write, self.sessions.form_token(cookie)
        )
        return self._view(view, path.split("/"), cookie)

    # ------------------------------------------------------------ pages

    def _view(self, view: View, segments: list[str], cookie: str) -> Response:
        first = segments[0]
        found = PAGES.get(first)
        if found is None:
            return self._page(view, first, Page("Not found", tag("p", "There is no such page."), 404))
        module = import_module(f".{found[0]}", __package__)
        try:
            if view.request.method == "POST":
                return self._change(view, module, segments[1:], cookie)
            result = module.page(view, segments[1:])
        except MinihttpError as error:
            said = tag("p", str(error), class_="error", role="alert")
            result = Page("This cannot be done", said, error.status)
        if isinstance(result, Response):
            return result
        return self._page(view, first, result or Page("Not found", tag("p", "There is no such page."), 404))

    def _change(self, view: View, module: Any, segments: list[str], cookie: str) -> Response:
        form = view.request.form()
        if not self.sessions.is_form_token(cookie, str(form.get("form_token") or "")):
            return _simple(403, "This form is not of this session: go back, load the page again, and repeat.")
        if not self._may_write:
            return _simple(403, "This dashboard only shows: start the server with --dashboard write.")
        result = module.change(view, form, segments)
        if not isinstance(result, Redirect):
            return result if isinstance(result, Response) else self._page(view, "", result)
        if result.said:
            audit.info("dashboard admin: %s request_id=%s", result.said, view.request.id)
        return _redirect(result.path)

    def _page(self, view: View, chosen: str, page: Page) -> Response:
        menu = [
            tag("li", tag("a", name, href=view.path(path), aria_current="page" if path == chosen else None))
            for path, (_, name) in PAGES.items()
        ]
        leave = view.form(view.path("logout"), tag("button", "Sign out"), class_="inline")
        header = tag(
            "header",
            tag("a", "Skip to content", href="#content", class_="skip"),
            tag("strong", "minihttp", class_="brand"),
            tag("nav", tag("ul", menu), aria_label="Dashboard"),
            leave,
        )
        main = tag("main", tag("h1", page.title), page.body, id="content")
        return _html(page.status, f"{page.title} · minihttp", view.base, header, main)

    # ------------------------------------------------------------ who may come in

    def _log_in_or_out(self, request: Request, base: str, path: str) -> Response:
        if path == "logout":
            if request.method != "POST":
                return _redirect(base)
            return _redirect(f"{base}login", _set_cookie(request, base, "", 0))
        if request.method == "POST":
            form = request.form()
            code = str(form.get("code") or "")
            if code:
                opened: bool | None = self.sessions.take_link(code)
            else:
                opened = self.sessions.opens(str(form.get("key") or ""), request.remote_addr)
            if opened:
                audit.info("dashboard admin: signed in request_id=%s", request.id)
                return _redirect(base, _set_cookie(request, base, self.sessions.new(), SESSION_SECONDS))
            audit.warning("dashboard: a wrong key or link was refused request_id=%s", request.id)
            said = (
                "Too many wrong keys: wait a minute."
                if opened is None
                else "This is not the key, or the link is used up."
            )
            return self._login(base, said, 429 if opened is None else 403)
        return self._login(base, "", 200, request.query.get("code") or "")

    def _login(self, base: str, said: str, status: int, code: str = "") -> Response:
        if code:
            inputs = [
                tag("p", "Open the dashboard of this server in this browser?"),
                tag("input", type="hidden", name="code", value=code),
                tag("button", "Open the dashboard", autofocus=True),
            ]
        else:
            key = tag(
                "input",
                type="password",
                name="key",
                autocomplete="current-password",
                required=True,
                autofocus=True,
            )
            inputs = [tag("label", "Admin key ", key), tag("button", "Sign in")]
        body = tag(
            "main",
            tag("h1", "minihttp"),
            tag("p", said, class_="error", role="alert") if said else None,
            tag("form", inputs, method="post", action=f"{base}login"),
            id="content",
            class_="login",
        )
        return _html(status, "Sign in · minihttp", base, body)

    def _is_our_host(self, request: Request) -> bool:
        return self._app.hosts.includes(_host(request.origin))

    def _is_same_origin(self, request: Request) -> bool:
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site == "same-origin"
        origin = request.headers.get("Origin")
        return origin is not None and origin in (request.origin, self._app.options.origin.rstrip("/"))


def _host(origin: str) -> str:
    """The host of an origin, without port and brackets."""
    authority = origin.partition("://")[2]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0].lower()


def _cookie(request: Request) -> str:
    for part in (request.headers.get("Cookie") or "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _set_cookie(request: Request, base: str, value: str, seconds: int) -> tuple[str, str]:
    secure = "; Secure" if request.origin.startswith("https:") else ""
    return (
        "Set-Cookie",
        f"{COOKIE}={value}; Max-Age={seconds}; Path={base}; HttpOnly; SameSite=Strict{secure}",
    )


def _redirect(path: str, *headers: tuple[str, str]) -> Response:
    return Response(b"", 303, [("Location", path), *headers])


def _simple(status: int, text: str) -> Response:
    return Response(f"{text}\n", status)


def _html(status: int, title: str, base: str, *body: Safe) -> Response:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("link", rel="stylesheet", href=f"{base}style.css"),
    )
    text = f"<!doctype html>\n{tag('html', head, tag('body', join(body)), lang='en')}\n"
    return Response(text, status, {"Content-Type": "text/html; charset=utf-8"})


def style() -> Response:
    """The style sheet of all pages."""
    text = Path(__file__).with_name("style.css").read_bytes()
    return Response(text, headers={"Content-Type": "text/css; charset=utf-8"})


def standalone(request: Request, title: str, body: Safe) -> Response:
    """A page without a menu, for whoever asks."""
    return _secured(_html(200, title, request.environ.get("SCRIPT_NAME", "") + "/_/", body))


def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.set(name, value)
    return response
