# SPDX-License-Identifier: MIT
"""What answers the requests of an app: path → route → handler → response.

Each request reads a dozen settings, so they are kept here, in the slots of one object that is made anew when
one of them changes: to ask the app itself, which has hints for attributes that it lacks, costs five times as
much. Knows no server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import DeadlineError, HTTPError
from ..functions.context import HandlerCtx, HandlerServices
from ..http.deferred import Deferred
from ..http.error_response import response_for
from ..http.hooks import as_response
from ..http.response import Response
from ..http.target import check_host, find_odd
from ..watchdog import watchdog
from .request import AppRequest, LenientRequest
from .response_body import Closing, watch

if TYPE_CHECKING:
    from ..http.cors import Cors
    from ..http.router import Route
    from .dispatch import Routes
    from .hosts import Hosts
    from .idempotency import Attempt
    from .runtime import Runtime

StartResponse = Callable[..., Any]
_send_plain = Response.__call__
_PLAIN = (Response, dict, list)


class Responder:
    """Answers requests (PEP 3333).

    Args:
        runtime: the app's services and options.
        compose: makes its routes when the first request comes, or raises what that is answered with.
        hosts: those that a request may name.
        services: what contexts of handlers are made with.
    """

    __slots__ = (
        "_compose", "_failures", "_hosts", "_http", "_known_hosts", "_limit_seconds", "_limits",
        "_make_request", "_routes", "_runtime", "_services",
    )  # fmt: skip

    def __init__(
        self, runtime: Runtime, compose: Callable[[], Routes], hosts: Hosts, services: HandlerServices
    ) -> None:
        self._runtime = runtime
        self._compose = compose
        self._routes: Routes | None = None
        self._hosts, self._known_hosts = hosts, hosts.known
        self._services = services
        self._http = runtime.http
        self._failures = runtime.failures
        self._failures.are_shown = runtime.options.development
        self._limits, self._limit_seconds = runtime.limits, runtime.limits.action_seconds
        self._make_request = AppRequest if runtime.options.strict_media_type else LenientRequest

    def answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request: AppRequest | None = None
        route: Route | None = None
        response: Response | None
        cors = self._http.cors
        environ["minihttp.failures"] = self._failures
        try:
            routes = self._routes
            if routes is None:
                routes = self._routes = self._compose()
            host = environ.get("HTTP_HOST")
            is_known = host in self._known_hosts
            if not is_known:
                self._hosts.check(environ)
            # Mostly the user's tables and the path as it was sent tell all, and calls cost more than these.
            path: str = environ.get("REQUEST_URI") or environ.get("RAW_URI", "")
            table = routes.tables.get(environ["REQUEST_METHOD"])
            if table is not None and path and not environ.get("SCRIPT_NAME"):
                route = table.exact.get(path)
                if route is None:
                    if "?" in path:
                        path = path[: path.index("?")]
                    route = table.find(path)
            # A path that is registered is a good one, and of a pattern the parameters can be bad.
            if route is None or not (
                route.is_plain or (route.is_apart and find_odd(path) is None and "/." not in path)
            ):
                route, path = routes.match(environ)
            elif routes.endpoints:
                route = routes.endpoints.get(route, route)
            if route is None:
                response, cors = routes.refusal(environ)
            else:
                request = self._make_request(environ, path, route, self._limits)
                environ["minihttp.route"] = route.pattern
                cors = route.cors or cors
                if not is_known:
                    check_host(environ)
                    self._hosts.remember(host)
                ctx = HandlerCtx(self._services, request)
                if not route.watched:
                    response = route.run(ctx, request)
                elif route.takes_key and "HTTP_IDEMPOTENCY_KEY" in environ and self._runtime.is_open:
                    answer = partial(self._answer_once, route)
                    response = watchdog.run(self._limit_seconds, route, answer, ctx, request)
                else:
                    response = watchdog.run(self._limit_seconds, route, route.run, ctx, request)
                if response.__class__ is not Response or response.body.__class__ is not bytes:
                    response = self._completed(response, request, route, ctx)
                    if response is None:
                        return ()
        except (Exception, SystemExit) as error:  # sys.exit() in a handler must not take the server with it
            response = self._response_for(error, environ, request)
        if (
            cors is None
            and response.__class__ is Response
            and (request is None or route is None or not route.takes_body or not request.closable)
        ):
            return _send_plain(response, environ, start_response)
        return self._send(response, request, cors, environ, start_response)

    def _completed(self, result: Any, request: AppRequest, route: Route, ctx: HandlerCtx) -> Response | None:
        """The response that a result of a handler stands for, whose code is watched while it is sent; None
        where the server has suspended the request.
        """
        if result.__class__ is Deferred:
            if route.run is not route.handler:  # hooks run once its response is made
                result = result.within(partial(watchdog.run, self._limit_seconds, route))
            suspend = request.environ.get("minihttp.suspend")
            if suspend is not None:
                result.begin(partial(self._resume, result, suspend(), request, request.environ))
                return None
            result = result.wait()
        if result.__class__ in _PLAIN:
            response = as_response(result, route.label)
        else:  # its methods may be the user's
            response = watchdog.run(self._limit_seconds, route, as_response, result, route.label)
        if response.body.__class__ is not bytes:
            watch(response, request, route, ctx.deadline, self._failures)
        return response

    def _response_for(
        self, error: BaseException, environ: dict[str, Any], request: AppRequest | None
    ) -> Response:
        """The response for an error; its text, and the data that the app gives it, may be the user's code."""
        if request is None or request.route is None or error.__class__ is HTTPError:
            return response_for(error, environ, request)
        make = partial(response_for, error, environ, request)
        return watchdog.run(self._limit_seconds, request.route, make)

    def _resume(
        self, deferred: Deferred, resume: Any, request: AppRequest, environ: dict[str, Any], *outcome: Any
    ) -> None:
        """The work of a deferred response is done: hand the server what answers the request."""

        def answer(start_response: StartResponse) -> Iterable[bytes]:
            try:
                response = deferred.respond(*outcome)
                if response.body.__class__ is not bytes and request.route is not None:
                    deadline = monotonic() + self._limit_seconds
                    watch(response, request, request.route, deadline, self._failures)
            except (Exception, SystemExit) as error:
                response = self._response_for(error, environ, request)
            cors = (request.route and request.route.cors) or self._http.cors
            return self._send(response, request, cors, environ, start_response)

        resume(answer)

    def _send(
        self,
        response: Response,
        request: AppRequest | None,
        cors: Cors | None,
        environ: dict[str, Any],
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        if cors is not None:
            environ["minihttp.cors"] = cors  # for an error of a streamed body before its first byte
            cors.apply(response.headers, environ.get("HTTP_ORIGIN"))
        if request is not None and request.closable:
            return Closing(response(environ, start_response), request.close)
        return response(environ, start_response)

    def _answer_once(self, route: Route, ctx: HandlerCtx, request: AppRequest) -> Response:
        """Answer a request that has an Idempotency-Key, or say again what it was answered."""

        def respond(attempt: Attempt) -> Response:
            ctx.attempt = attempt
            try:
                response = as_response(route.run(ctx, request), route.label)
            except Exception as error:
                if not attempt.results or isinstance(error, DeadlineError):
                    raise
                response = response_for(error, request.environ, request)
            kept = attempt.keep(response)
            ctx.attempt = None  # what a stream does takes effect once, since no other request gets here
            return kept

        return self._runtime.services.idempotency.answer(request, respond)
