# SPDX-License-Identifier: MIT
"""The HTTP server: waitress, patched and drained.

`serve` binds, prepares the app, says so, serves until SIGTERM or SIGINT, and drains: it stops listening, lets
every request in flight be answered to its last byte, then closes the app. `Server` is the same without
signals, for threads and tests. The main loop is run from here because waitress's own stops at the first
signal and cuts what is still being sent. waitress is named in this folder only. Knows nothing of routes or
documents: any WSGI callable will do.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..logs import Served
from .listener import Listener, ListenerSettings, log
from .sockets import authority, bind, inherited

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Served", "Server", "bind", "inherited", "serve"]

DRAIN_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_THREADS_END_SECONDS = 1.0  # idle threads end at once; one that is busy after the grace is abandoned


class ServerSettings(ListenerSettings, total=False):
    """The keywords of `Server`, for type checkers."""

    host: str
    port: int
    listener: socket.socket | None
    grace_seconds: float


class Server:
    """A bound server. `run` serves until `stop`, which any thread or signal handler may call.

    Args:
        app: a WSGI callable.
        host: the address to listen on.
        port: the port, 0 for one that the system chooses.
        listener: a bound socket, instead of host and port.
        grace_seconds: how long requests in flight may take once `stop` was called.
        settings: as for `Listener`.

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
        grace_seconds: float = 30.0,
        **settings: Unpack[ListenerSettings],
    ) -> None:
        sock = listener or bind(host, port)
        self.host, self.port = sock.getsockname()[:2]
        self.grace_seconds = grace_seconds
        self._deadline: float | None = None
        self._listener = Listener(app, sock, **settings)

    @property
    def url(self) -> str:
        """`http://host:port` as one would type it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{authority(host, self.port)}"

    def run(self, poll_seconds: float = 1.0) -> None:
        """Serves until `stop`, drains, and frees everything.

        Args:
            poll_seconds: how long the loop may sleep before it looks for connections that have been idle.
        """
        try:
            while self._deadline is None:
                self._listener.poll(poll_seconds)
            self._listener.stop_listening()
            while (busy := self._listener.close_idle()) and self.seconds_left:
                self._listener.poll(min(self.seconds_left, poll_seconds))
            if busy:
                log.warning("%d requests took longer than %g s and were cut", busy, self.grace_seconds)
        finally:
            self.close()

    def stop(self) -> None:
        """Begins the drain; returns at once."""
        if self._deadline is None:
            self._listener.draining = True
            self._deadline = time.monotonic() + self.grace_seconds
            self._listener.pull_trigger()

    def close(self) -> None:
        """Frees socket, threads and connections of a server that does not run."""
        self._listener.close_all(_THREADS_END_SECONDS)

    @property
    def seconds_left(self) -> float:
        """What is left of the grace; all of it before `stop`."""
        return self.grace_seconds if self._deadline is None else max(0.0, self._deadline - time.monotonic())


def serve(
    app: Any,
    *,
    ready: Callable[[Server], None] | None = None,
    beside: Server | None = None,
    **settings: Unpack[ServerSettings],
) -> None:
    """Serves `app` until SIGTERM or SIGINT, then drains; a second signal ends the process at once.

    Runs in the main thread, which alone may set signal handlers.

    Args:
        app: an `App`, which is prepared before the first request and closed after the last; or any WSGI
            callable. What it finds wrong later (`App.when_refused`) ends the server as a signal would, and is
            raised then.
        ready: called with the `Server` once it listens and the app is prepared.
        beside: another server, of the same app, that serves as long as this one.
        settings: as for `Server`.

    Raises:
        ConfigurationError: the address cannot be used, or the app cannot be prepared.
    """
    server = Server(app, **settings)

    def on_signal(number: int, frame: Any) -> None:
        for name in DRAIN_SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        server.stop()

    refusals: list[Exception] = []

    def refuse(error: Exception) -> None:
        refusals.append(error)
        server.stop()

    other = threading.Thread(target=beside.run, name="minihttp-beside") if beside is not None else None
    try:
        others = [] if beside is None else [beside.host]
        if settings.get("trusted_proxy"):  # which has a name that nobody may have told the app
            getattr(app, "check_exposed", _nothing)((), True)
        else:
            addresses = (server.host, settings.get("host", server.host), *others)
            getattr(app, "listen_on", _nothing)(*addresses)
        getattr(app, "when_refused", _nothing)(refuse)
        getattr(app, "prepare", _nothing)()
        for name in DRAIN_SIGNALS:
            signal.signal(name, on_signal)
        if other is not None:
            other.start()
        if ready is not None:
            ready(server)
        server.run()
        if refusals:
            raise refusals[0]
    finally:
        server.close()
        if beside is not None and other is not None:
            beside.stop()
            if other.is_alive():
                other.join()
            beside.close()
        getattr(app, "close", _nothing)(server.seconds_left)


def _nothing(*arguments: Any) -> None:
    """What a WSGI callable that is no `App` does to be prepared and closed."""
