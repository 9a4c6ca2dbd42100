# SPDX-License-Identifier: MIT
"""The dashboard below `/_/`: pages as functions from data to HTML, without scripts.

It reads and changes an app only through the app's own functions (`_app:…`, `_jobs:…`, `_webhooks:…`), as the
command line does. Its pages are loaded when the first one is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..app.wsgi import App
    from ..http.request import Request
    from ..http.response import Response
    from .activity import Activity
    from .session import Sessions
    from .site import Dashboard

__all__ = ["MODES", "Installed", "install", "install_welcome"]

MODES = ("off", "read", "write")
_PORT_OF_ITS_OWN = "minihttp.dashboard"


class Installed:
    """The dashboard of one app. Its pages are loaded when somebody first asks for one.

    Args:
        app: the app.
        admin_key: what opens it.
        may_write: whether it changes things; otherwise every change is 403.
        activity: what is plotted: `activity.record` takes each `Served` of the server.
        name: what the app is called on every page.
        is_apart: whether it has a port of its own; then the app's own port has no dashboard.
    """

    def __init__(
        self, app: App, admin_key: str, may_write: bool, activity: Activity, name: str, is_apart: bool = False
    ) -> None:
        self.app = app
        self.may_write = may_write
        self.activity = activity
        self.name = name
        self.is_apart = is_apart
        self.key = admin_key

    @cached_property
    def sessions(self) -> Sessions:
        from .session import Sessions

        return Sessions(self.key, self.app.options.clock)

    @cached_property
    def _dashboard(self) -> Dashboard:
        from .site import Dashboard

        return Dashboard(self)

    def link(self) -> str:
        """The path of a link that opens one session within ten minutes: `/_/login?code=…`."""
        return f"/_/login?code={self.sessions.make_link()}"

    def wants_body(self, environ: Mapping[str, str]) -> bool:
        """Whether a form counts, from its head: who has no session can only sign in."""
        return not self.is_apart and self._dashboard.wants_form(environ)

    def __call__(self, ctx: object, request: Request) -> Response:
        if self.is_apart and _PORT_OF_ITS_OWN not in request.environ:
            raise HTTPError(404, "Not found")
        return self._dashboard.handle(request)

    def on_its_own_port(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI callable of `--dashboard-listen`: the app below `/_/`, and nothing else of it."""
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_/"):
            environ[_PORT_OF_ITS_OWN] = True
            return self.app(environ, start_response)
        status, headers = "404 Not Found", [("Content-Length", "0")]
        if path in ("", "/"):
            status = "303 See Other"
            headers.append(("Location", f"{environ.get('SCRIPT_NAME', '')}/_/"))
        start_response(status, headers)
        return [b""]


def install(
    app: App,
    mode: str = "read",
    admin_key: str | None = None,
    *,
    name: str = "minihttp",
    is_apart: bool = False,
) -> Installed | None:
    """Open the dashboard of an app below `/_/`, before the app serves its first request.

    Args:
        mode: "read" shows, "write" changes too, "off" does nothing.
        admin_key: what opens it; by default the app's own.
        name: what the app is called on its pages.
        is_apart: it has a port of its own (`on_its_own_port`); the app's own port then answers 404.

    Returns:
        What was installed; None for "off", and where there is no admin key.

    Raises:
        ConfigurationError: for another mode.
    """
    if mode not in MODES:
        raise ConfigurationError(f"the dashboard is one of {', '.join(MODES)}, not {mode!r}")
    key = admin_key or app.options.admin_key or app.options.environment.get("MINIHTTP_ADMIN_KEY") or ""
    key = key.strip()
    if mode == "off" or not key:
        return None
    from ..app import log_ring
    from .activity import Activity

    log_ring.install()
    activity = Activity([declared.path for declared in app.http.webhooks], app.options.clock)
    installed = Installed(app, key, mode == "write", activity, name, is_apart)
    app.system_handlers["/_/"] = installed
    return installed


def install_welcome(app: App) -> None:
    """Show `GET /` of an app that has no such route: its routes, and how to go on. For development."""

    def answer(ctx: object, request: Request) -> Response:
        from .site import standalone
        from .welcome import welcome

        return standalone(request, "It runs · minihttp", welcome(app, request.origin))

    def style(ctx: object, request: Request) -> Response:
        from .site import style

        if request.tail != "style.css":
            raise HTTPError(404, "Not found")
        return style()

    app.system_handlers["/"] = answer
    app.system_handlers.setdefault("/_/", style)
