# SPDX-License-Identifier: MIT
"""The app: a WSGI callable, with its options and its life; `responder.py` answers the requests.

Storage, functions and jobs are opened on first use (or by `open`), so an app that only routes imports no
sqlite3 and makes no data directory. Knows no server: waitress, gunicorn and wsgiref call it alike.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import (
    ConfigurationError,
    DataDirectoryError,
    HTTPError,
    MinihttpError,
    SchemaError,
    StorageUnavailableError,
    no_attribute,
)
from ..functions.calls import RunsActions, RunsMutations, RunsQueries
from ..functions.context import HandlerServices
from ..http.router import HttpRouter
from ..loggers import get_logger
from ..watchdog import watchdog
from .hosts import Hosts
from .options import AppOptions, changed
from .responder import Responder, StartResponse
from .runtime import Runtime

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..functions.registry import Function
    from .dispatch import Routes
    from .metrics import Metrics
    from .services import Services

log = get_logger("minihttp")

_UPLOAD_PATH = "/api/storage/upload"
_LOCKED_PAUSE_SECONDS = 1.0  # between two attempts to open data that another process has
_FORK_GRACE_SECONDS = 1.0
_REFUSAL_GRACE_SECONDS = 30.0  # for the jobs that run when the stored documents are refused
_apps: weakref.WeakSet[App] = weakref.WeakSet()
_of_parents: list[Services] = []


_ROUTES = "routes are registered on its router, http.route(…), before App(http)"
_WORDS_OF_OTHERS = {  # of frameworks that people know
    **dict.fromkeys(("run", "listen", "serve", "start"), "`python -m minihttp serve` serves it"),
    **dict.fromkeys(("route", "get", "post", "put", "delete", "webhook"), _ROUTES),
    "db": "documents are read and written by functions: app.run_query(f, …), app.run_mutation(f, …)",
    "test_client": "testing.in_memory(app) is a copy for tests",
}


class App(Runtime, RunsQueries, RunsMutations, RunsActions):
    """An app: routes, functions, documents, files and jobs behind one WSGI callable.

    Args:
        http: the router.
        options: those of `app/options.py`, by name: `App(http, data="data", workers=2)`.

    Attributes:
        options: all of them, as they are in force.

    Raises:
        ConfigurationError: for settings that cannot be; mistakes in schema, functions and crons show in
            `open`.
    """

    def __init__(self, http: HttpRouter | None = None, **options: Unpack[AppOptions]) -> None:
        if http is not None and not isinstance(http, HttpRouter):
            hint = "; write App(http, schema=…)" if hasattr(http, "tables") else ""
            raise ConfigurationError(f"App(http) takes an HttpRouter, not {http!r}{hint}")
        super().__init__(http if http is not None else HttpRouter())
        self._is_prepared = self._serves = self._is_for_child = False
        self._locked_until = 0.0
        self._when_refused: Callable[[SchemaError], object] | None = None
        self._bound: tuple[str, ...] = ()
        _apps.add(self)
        self._routes: Routes | None = None  # once it serves
        self.configure(**options)

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, _WORDS_OF_OTHERS.get(name, ""))

    @classmethod
    def from_package(cls, package: str | os.PathLike[str], **options: Unpack[AppOptions]) -> App:
        """The app of a folder with `http.py`, and beside it `schema.py`, `crons.py` and modules of functions.

        Args:
            package: the folder's path, or the name of an importable package.
            options: as for `App`.

        Raises:
            ConfigurationError: for a folder without `http.py`, or an `http.py` without `http`.
        """
        from .loader import load_package

        found = load_package(os.fspath(package))
        return cls(found.http, **options).configure(**found.options)

    @classmethod
    def from_target(cls, target: str) -> App:
        """The app that a command line names: `module:app`, `module`, `path/to/app.py`, or a folder.

        Raises:
            ConfigurationError: nothing is there, it is no app and no router, or its code raises.
        """
        from .loader import Package, find_target

        found = find_target(target)
        if isinstance(found, Package):
            return cls(found.http, **found.options)
        thing, module = found
        if isinstance(thing, App):
            return thing
        if isinstance(thing, HttpRouter):
            return cls(thing, modules=[module])
        kind = type(thing).__name__
        raise ConfigurationError(f"{target!r} is of type {kind}; it must be an App or an HttpRouter")

    # ------------------------------------------------------------ WSGI

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        return self._responder.answer(environ, start_response)

    def _compose_or_refuse(self) -> Routes:
        """`_compose` for the first request: 503 while another process has the data, said once in the log."""
        self._serves = True
        now = time.monotonic()
        if now >= self._locked_until:
            try:
                return self._compose()
            except DataDirectoryError as error:
                if not error.is_locked:
                    raise
                if not self._locked_until:
                    log.error("%s: run one worker process, or keep documents in PostgreSQL", error)
                self._locked_until = now + _LOCKED_PAUSE_SECONDS
        raise HTTPError(503, StorageUnavailableError.told, headers=[("Retry-After", "5")])

    def _before_fork(self) -> None:
        """A server that loads the app and then forks its workers: what `prepare` opened is for the worker."""
        if self._services is not None:
            self._is_for_child = self._is_prepared and not self._serves and not watchdog.calls()
            if self._is_for_child:
                self.close(_FORK_GRACE_SECONDS)

    def _after_fork(self) -> None:
        """In the child: connections and locks of the parent are not ours, and its threads are not here."""
        self._opening = threading.RLock()
        if self._services is not None:
            _of_parents.append(self._services)  # to free it would end the parent's transactions
            self._services = self._routes = None
            self._renew()
        if self._is_for_child:
            try:
                self.prepare()
            except ConfigurationError as error:
                log.error("%s", error)  # and each request is refused

    def _compose(self) -> Routes:
        """Once, before the first request: all routes; storage and worker where there is work for them."""
        with self._opening:
            if self._routes is None:
                routes = self._all_routes
                self._check_auth()
                if self._has_work:
                    self._open(self._refuse)
                    self.start()
                    routes.mount(self.inbox.endpoints)
                self._routes = routes
            return self._routes

    def _check_auth(self) -> None:
        """A provider's mistake is one of the start."""
        if self.options.auth:
            _ = self.authenticator

    @property
    def _has_work(self) -> bool:
        """Whether there is work for storage and worker; else nothing is opened until somebody asks."""
        given = (self.options.modules, self.options.schema, self.options.crons)
        return any(given) or bool(self.http.webhooks or self.http.mutations)

    def when_refused(self, call: Callable[[SchemaError], object]) -> None:
        """Call this, in a thread, when documents that do not match the schema are found after `prepare`: the
        server is to end. Where nobody has asked for it, storage is closed and what needs it is 503.
        """
        self._when_refused = call

    def _refuse(self, error: SchemaError) -> None:
        if self._when_refused is not None:
            self._when_refused(error)
            return
        log.error("%s", error)
        self.refusal = error
        self.services.close_documents(_REFUSAL_GRACE_SECONDS)

    @cached_property
    def _all_routes(self) -> Routes:
        from .dispatch import Routes

        return Routes(self)

    def plan_body(self, environ: dict[str, str]) -> tuple[int, str | None] | None:
        """What a server does with the body of a request whose head it has read.

        Args:
            environ: REQUEST_METHOD, REQUEST_URI, QUERY_STRING and the header fields.

        Returns:
            The most bytes that the body may have, and the folder for one too large for memory (so that the
            file store can keep it) or None for any. None where the response does not depend on the body: no
            route, another method, a host that is not ours, a wrong token, a missing signature, storage that
            cannot be opened.
        """
        if "HTTP_X_FORWARDED_HOST" not in environ and not self.hosts.allows(environ.get("HTTP_HOST")):
            return None
        try:
            max_bytes = (self._routes or self._compose()).plan_body(environ, self.limits)
            if max_bytes is None:
                return None
            if environ["REQUEST_URI"].partition("?")[0] == _UPLOAD_PATH:
                return min(max_bytes, self.files.max_upload_bytes(environ)), self.files.backend.spool_folder
        except MinihttpError:  # the call for the response fails alike, and answers
            return None
        return max_bytes, None

    def find_pattern(self, method: str, target: str) -> str | None:
        """The pattern of the route for a request target, which a log may hold where the path may not."""
        route = (self._routes or self._compose()).find(target.partition("?")[0], method)
        return None if route is None else route.pattern

    # ------------------------------------------------------------ life

    def configure(self, **options: Unpack[AppOptions]) -> App:
        """Change options before the app is opened: what a command line does with its flags.

        Raises:
            ConfigurationError: for an unknown option, or once the app is open.
        """
        if self._services is not None:
            raise ConfigurationError("the app is open already: configure() comes before open()")
        self.options = changed(self.options, options)
        self.limits = self.options.limits  # read in every request
        self._handlers = HandlerServices(
            self.options.origin, self.limits.action_seconds, self.identify, lambda: self.runner
        )
        self.listen_on(*self._bound)
        self.metrics = self._metrics()
        for made in ("authenticator", "admin_key"):
            vars(self).pop(made, None)
        return self

    def listen_on(self, *addresses: str) -> None:
        """Hear from a server at which addresses it takes requests: `hosts` has these by default."""
        self._bound = addresses
        self.hosts = Hosts(self.options.hosts, self.options.origin, addresses)
        self._renew()

    def _renew(self) -> None:
        """What answers requests is made anew, with what is in force now."""
        self._responder = Responder(self, self._compose_or_refuse, self.hosts, self._handlers)

    def _metrics(self) -> Metrics | None:
        wanted = self.options.metrics
        if wanted is not True:
            return wanted or None
        from .metrics import Metrics

        return Metrics()

    def prepare(self) -> App:
        """Do now what the first request would: own routes; storage and worker where there is work for them.

        For a server that knows nothing of `App`, where it loads the app (docs/deploy.md). If the server then
        forks its worker, storage and worker threads are opened there instead. What takes long of a changed
        schema goes on behind the requests (docs/howto/schema-changes.md).

        Raises:
            ConfigurationError: as `open`, and for a route that is taken twice, or a secret that could be
                guessed.
        """
        self.check_exposed(self._bound)
        self._compose()
        self._is_prepared = True
        return self

    def check(self, *, stored: bool = True) -> bool:
        """Find what would stop a start, and change nothing: routes, schema, functions, crons, webhooks, data.

        Args:
            stored: whether to look at what is stored too, which is locked meanwhile.

        Returns:
            Whether that was done: not where nothing is stored yet or another process has it open.

        Raises:
            ConfigurationError: as `prepare`, the first that is found.
            StorageUnavailableError: what is stored cannot be read.
        """
        from .dispatch import Routes

        Routes(self)
        self._check_auth()
        if not (stored or self._has_work):
            return False
        from .services import try_out  # 40 ms, which an app that only routes need not spend

        return try_out(self.options, self.http, self.secrets, stored)

    def open(self) -> App:
        """Open storage, check the schema and register the functions; a second call does nothing.

        Raises:
            ConfigurationError: as `Runtime.open`, and for a route that is taken twice.
        """
        _ = self._all_routes  # a path taken twice is a mistake of the start, not of the first request
        super().open()
        return self

    def start(self) -> None:
        """Start the worker threads, unless `workers` is 0, and the sweep of the file store."""
        if self.options.workers > 0:
            self.jobs.start()
        if self.options.data != ":memory:":
            self.files.sweep_in_background()
        self.inbox.start()

    def close(self, grace_seconds: float = 30.0) -> None:
        """Stop the worker between two jobs, waiting at most `grace_seconds`, and close storage."""
        with self._opening:
            services, self._services, self._routes = self._services, None, None
            vars(self).pop("_all_routes", None)
            self._renew()
        if services is not None:
            services.close(grace_seconds)

    def __enter__(self) -> App:
        self.open()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ calls from plain Python

    def _bind(self, kind: str, function: Function | str, args: Mapping[str, Any]) -> Callable[[], Any]:
        return self.services.runner.bind(function, args, kind=kind)


def _each_app(call: Callable[[App], None]) -> None:
    for app in list(_apps):
        call(app)


os.register_at_fork(
    before=partial(_each_app, App._before_fork), after_in_child=partial(_each_app, App._after_fork)
)
