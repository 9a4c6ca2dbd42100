# SPDX-License-Identifier: MIT
"""The dashboard below `/_/`: pages as functions from data to HTML, without scripts.

It reads and changes an app only through the app's own functions (`_app:…`, `_jobs:…`, `_webhooks:…`), as the
command line does. Its pages are loaded when the first one is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError, HTTPError

if TYPE_CHECKING:
    from ..app.wsgi import App
    from ..http.request import Request
    from ..http.response import Response
    from .activity import Activity
    from .site import Dashboard

__all__ = ["MODES", "Installed", "install", "install_welcome"]

MODES = ("off", "read", "write")


class Installed:
    """The dashboard of one app, which is made when somebody first asks for a page or a link.

    Attributes:
        activity: what the server reports to: `activity.record` takes each `Served`.
    """

    def __init__(self, app: App, admin_key: str, may_write: bool, activity: Activity) -> None:
        self._app = app
        self._admin_key = admin_key
        self._may_write = may_write
        self.activity = activity
        self._dashboard: Dashboard | None = None

    @property
    def dashboard(self) -> Dashboard:
        if self._dashboard is None:
            from .site import Dashboard

            self._dashboard = Dashboard(self._app, self._admin_key, self._may_write, self.activity)
        return self._dashboard

    def link(self) -> str:
        """The path of a link that opens one session within ten minutes: `/_/login?code=…`."""
        return f"/_/login?code={self.dashboard.sessions.make_link()}"

    def __call__(self, ctx: object, request: Request) -> Response:
        return self.dashboard.handle(request)


def install(app: App, mode: str = "read", admin_key: str | None = None) -> Installed | None:
    """Open the dashboard of an app below `/_/`, before the app serves its first request.

    Args:
        mode: "read" shows, "write" changes too, "off" does nothing.
        admin_key: what opens it; by default the app's own.

    Returns:
        What was installed; None for "off", and where there is no admin key.

    Raises:
        ConfigurationError: for another mode.
    """
    if mode not in MODES:
        raise ConfigurationError(f"the dashboard is one of {', '.join(MODES)}, not {mode!r}")
    key = admin_key or app.options.admin_key or app.options.environment.get("MINIHTTP_ADMIN_KEY")
    if mode == "off" or not key:
        return None
    from ..app import log_ring
    from .activity import Activity

    log_ring.install()
    activity = Activity([declared.path for declared in app.http.webhooks], app.options.clock)
    installed = Installed(app, key, mode == "write", activity)
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
