# SPDX-License-Identifier: MIT
"""The HTTP server: waitress, cured and drained.

`serve` binds, opens the app, says so, serves until SIGTERM or SIGINT, and drains: it stops listening, lets
every request in flight be answered to its last byte, then closes the app. `Server` is the same without
signals, for threads and tests. The main loop is run from here because waitress's own stops at the first
signal and cuts what is still being sent. waitress is named in this folder only. Knows nothing of routes or
documents: any WSGI callable will do.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from ..limits import DEFAULT_LIMITS, KIB, MIB
from . import cure
from .sockets import affordable_connections, bind
from .tasks import CuredReportingTask, RefusalTask, Served, StockTask

__all__ = ["Served", "Server", "bind", "serve"]

log = logging.getLogger("minihttp.server")

EXPRESS_PATHS = frozenset(
    ("/_/health", "/_/ready", "/_/metrics")
)  # a thread of their own: see `_Listener.add_task`
DRAIN_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FORWARDED = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"}
_SLACK_BYTES = 64 * KIB  # the app's own 413 (JSON) comes before waitress's (text) for a small excess
_FIXED = {  # each measured or reasoned in docs/serving.md
    "ident": "minihttp",  # no version: ASVS 13.4.6
    "recv_bytes": 64 * KIB,
    "outbuf_overflow": 1 * MIB,
    "inbuf_overflow": 512 * KIB,
    "max_request_header_size": 64 * KIB,
    "channel_timeout": 30,
    "cleanup_interval": 5,
    "asyncore_use_poll": True,
    "log_socket_errors": False,  # a client that leaves is no event
}


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server, with what its channels and tasks ask of it."""

    draining = False

    def __init__(self, app: Any, sock: socket.socket, adj: Adjustments, sockets: Any, report: Any) -> None:
        self.report = report
        self.trusted_proxy = adj.trusted_proxy
        self.express = ThreadedTaskDispatcher()
        self.express.set_thread_count(1)
        info = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(app, sockets, _sock=sock, adj=adj, bind_socket=False, sockinfo=info)

    def add_task(self, channel: Any) -> None:
        """Queues a request; probes have a thread of their own, which answers while all others are busy."""
        is_probe = getattr(channel.requests[0], "path", "") in EXPRESS_PATHS
        (self.express if is_probe else self.task_dispatcher).add_task(channel)

    def maintenance(self, now: float) -> None:
        """Closes idle connections, and those whose request head has been arriving for too long."""
        super().maintenance(now)
        oldest = now - self.adj.channel_timeout
        for channel in self.active_channels.values():
            if not channel.requests and getattr(channel, "head_since", now) < oldest:
                channel.will_close = True

    def stop_listening(self) -> None:
        """Closes the listening socket and leaves the connections."""
        self.accepting = False
        wasyncore.dispatcher.close(self)


class Server:
    """A bound server. `run` serves until `stop`, which any thread or signal handler may call.

    Args:
        app: a WSGI callable.
        host: the address to listen on.
        port: the port, 0 for one that the system chooses.
        listener: a bound socket, instead of host and port.
        threads: handlers that run at the same time.
        connections: clients connected at the same time; None for 1,000 or what the descriptors allow.
        max_body_bytes: the largest request body of any route.
        grace_seconds: how long requests in flight may take once `stop` was called.
        trusted_proxy: the address whose X-Forwarded-* and X-Request-Id are believed; `*` for any.
        report: called with a `Served` after each request, in the thread that served it.

    Raises:
        ConfigurationError: the address cannot be used, or the descriptors do not suffice.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        listener: socket.socket | None = None,
        threads: int = 8,
        connections: int | None = None,
        max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
        grace_seconds: float = 30.0,
        trusted_proxy: str | None = None,
        report: Callable[[Served], None] | None = None,
    ) -> None:
        affordable = affordable_connections(connections or 1000, threads)
        if connections and affordable < connections:
            log.warning(
                "%d connections: the limit of open files allows no more (wanted %d)", affordable, connections
            )
        self.listener = listener or bind(host, port)
        self.host, self.port = self.listener.getsockname()[:2]
        self.grace_seconds = grace_seconds
        self._deadline: float | None = None
        cured = cure.is_known()
        settings: dict[str, Any] = {**_FIXED, **(cure.ADJUSTMENTS if cured else {})}
        if trusted_proxy:
            settings.update(trusted_proxy=trusted_proxy, trusted_proxy_headers=_FORWARDED)
        adj = Adjustments(
            sockets=[self.listener],
            threads=threads,
            connection_limit=affordable,
            max_request_body_size=max_body_bytes + _SLACK_BYTES,
            server_name=self.host,
            **settings,
        )
        logging.getLogger("waitress.queue").setLevel(
            logging.ERROR
        )  # a line for each request that waits: 6-23 %
        self._sockets: dict[int, Any] = {}
        self._server = _Listener(app, self.listener, adj, self._sockets, report)
        self._server.channel_class = _CuredChannel if cured else _StockChannel
        if not cured:
            log.warning(
                "this waitress is unknown: serving with its stock channels, slower with many connections"
            )

    @property
    def url(self) -> str:
        """`http://host:port` as one would type it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serves until `stop`, then drains and frees everything."""
        channels = self._server.active_channels
        try:
            while self._deadline is None:
                wasyncore.loop(1.0, use_poll=True, map=self._sockets, count=1)
            self._server.stop_listening()
            while (left := self._deadline - time.monotonic()) > 0:
                for channel in [c for c in channels.values() if not _is_busy(c)]:
                    channel.handle_close()
                if not channels:
                    break
                wasyncore.loop(min(left, 1.0), use_poll=True, map=self._sockets, count=1)
            if channels:
                log.warning(
                    "%d requests were cut: they took longer than %g s", len(channels), self.grace_seconds
                )
        finally:
            self._close()

    def stop(self) -> None:
        """Begins the drain; returns at once."""
        if self._deadline is None:
            self._server.draining = True
            self._deadline = time.monotonic() + self.grace_seconds
            self._server.pull_trigger()

    @property
    def seconds_left(self) -> float:
        """What is left of the grace; all of it before `stop`."""
        return self.grace_seconds if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _close(self) -> None:
        self._server.stop_listening()
        for dispatcher in (self._server.express, self._server.task_dispatcher):
            dispatcher.shutdown(timeout=min(1.0, self.seconds_left))
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.trigger.close()


class _StockChannel(HTTPChannel):  # type: ignore[misc]
    task_class = StockTask
    error_task_class = RefusalTask


class _CuredChannel(cure.CuredChannel):
    task_class = CuredReportingTask
    error_task_class = RefusalTask


def _is_busy(channel: Any) -> bool:
    """Whether a drain waits for it: a request is being served, answered, or its body is on the way."""
    arriving = channel.request is not None and channel.request.headers_finished
    return bool(channel.requests or channel.total_outbufs_len or arriving)


def serve(app: Any, *, ready: Callable[[Server], None] | None = None, **settings: Any) -> None:
    """Serves `app` until SIGTERM or SIGINT, then drains; a second signal ends the process at once.

    Runs in the main thread, which alone may set signal handlers.

    Args:
        app: an `App`, which is opened and started before the first request and closed after the last; or
            any WSGI callable.
        ready: called with the `Server` once it listens and the app is open.
        settings: as for `Server`.

    Raises:
        ConfigurationError: the address cannot be used, or the app does not open.
    """
    server = Server(app, **settings)

    def on_signal(number: int, frame: Any) -> None:
        for name in DRAIN_SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        server.stop()

    try:
        for step in ("open", "start"):
            getattr(app, step, _nothing)()
        for name in DRAIN_SIGNALS:
            signal.signal(name, on_signal)
        if ready is not None:
            ready(server)
        server.run()
    finally:
        server.listener.close()
        close = getattr(app, "close", None)
        if close is not None:
            close(server.seconds_left)


def _nothing() -> None:
    """What a WSGI callable that is no `App` does to open and start."""
