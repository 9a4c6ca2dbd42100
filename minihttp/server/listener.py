# SPDX-License-Identifier: MIT
"""Waitress's server, put together: parser, tasks, channels, threads, admission, a loop by epoll.

Knows nothing of signals and of when to stop; `Server` runs its loop.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any, TypedDict

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from ..limits import DEFAULT_LIMITS, KIB, MIB
from ..logs import Served
from ..loopback import network_of
from .admission import Admission
from .buffers import BodyBudget
from .channel import Channel
from .dispatcher import Dispatcher
from .loop import Sockets
from .min_rate import MinRate
from .proxy_headers import TrustedProxies
from .sockets import acked_bytes, affordable_connections, affordable_files

log = logging.getLogger("minihttp.server")

_FIXED = {  # the reasons and the numbers are in docs/serving.md
    "clear_untrusted_proxy_headers": False,  # `proxy_headers` sees to them
    "ident": "minihttp",  # no version: ASVS 13.4.6
    "outbuf_overflow": 1 * MIB,
    "inbuf_overflow": 512 * KIB,
    "max_request_header_size": 64 * KIB,
    "channel_timeout": 30,
    "cleanup_interval": 5,
    "asyncore_use_poll": True,
    "log_socket_errors": False,  # a client that leaves is no event
}
_POLL_BYTES, _LEAST_RECV_BYTES, _MAX_RECV_BYTES = 1 * MIB, 8 * KIB, 64 * KIB
_DEFAULT_CONNECTIONS = 1000
_SLACK_BYTES = 64 * KIB  # so that a small excess reaches the app, which knows the limit of the route
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS = 0.5  # without descriptors, until the next attempt to accept
_COMPLAINT_SECONDS = 60.0  # the least time between two log lines about it
_NEW_SECONDS = 1.0
_SOON_SECONDS = 0.001
_RESERVE_SECONDS = 5.0  # how long a connection in the reserve may stay


class ListenerSettings(TypedDict, total=False):
    """The keywords of `Listener`, for type checkers."""

    threads: int
    connections: int | None
    connections_per_peer: int | None
    max_body_bytes: int
    min_body_bytes_per_second: int
    max_spooled_bytes: int
    max_buffered_bytes: float
    trusted_proxy: str | None
    trusted_proxy_hops: int | None
    report: Callable[[Served], None] | None


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """A listening socket with its connections and threads.

    Args:
        app: a WSGI callable.
        sock: bound.
        threads: handlers that run at the same time.
        connections: clients connected at the same time; None for 1,000 or what the descriptors allow.
        connections_per_peer: those of one address, unless it is the trusted proxy; None for half of them.
        max_body_bytes: the largest request body, unless the app has `plan_body(environ)`.
        min_body_bytes_per_second: a body on its way for longer than the idle timeout must come this fast, and
            a response be taken this fast.
        max_spooled_bytes: what all bodies and responses that are too large for memory may take of the disk.
        max_buffered_bytes: what all others may take of memory; past it they go to the disk, too.
        trusted_proxy: the addresses and networks whose X-Forwarded-* and X-Request-Id are believed, separated
            by commas; `*` for any.
        trusted_proxy_hops: how many proxies stand in a row; by default as many as are trusted, one for `*`.
        report: called with a `Served` after each request, in the thread that served it.

    Raises:
        ConfigurationError: the descriptors do not suffice.

    Attributes:
        draining: whether responses say `Connection: close`.
        budget: what bodies and responses take of memory and disk.
        sockets: the listening socket, the connections and the loop's own pipe, by descriptor.
    """

    draining = False
    is_closed = False
    next_channel_cleanup = inf  # `poll` calls `maintenance`, not waitress
    _next_maintenance = 0.0  # seconds of the monotonic clock, as all of these
    _loop_thread = 0
    _undrained = False  # tasks wait that the loop has to see to soon
    _resting_until = 0.0  # no connection is accepted before
    _silent_until = 0.0
    _has_to_shed = False

    def __init__(
        self,
        app: Any,
        sock: socket.socket,
        *,
        threads: int = 16,
        connections: int | None = None,
        connections_per_peer: int | None = None,
        max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
        min_body_bytes_per_second: int = DEFAULT_LIMITS.min_body_bytes_per_second,
        max_spooled_bytes: int = DEFAULT_LIMITS.max_spooled_bytes,
        max_buffered_bytes: float = DEFAULT_LIMITS.max_buffered_bytes,
        trusted_proxy: str | None = None,
        trusted_proxy_hops: int | None = None,
        report: Callable[[Served], None] | None = None,
    ) -> None:
        affordable = affordable_connections(connections or _DEFAULT_CONNECTIONS, threads)
        if connections and affordable < connections:
            log.warning("the limit of open files allows %d connections, not %d", affordable, connections)
        max_files = affordable_files(affordable, threads)
        # Without `listen` it would look up a name, and for that 0.4 MB of tables are loaded.
        adjustments = Adjustments(listen="", threads=threads, server_name=sock.getsockname()[0], **_FIXED)
        self.budget = adjustments.budget = BodyBudget(max_buffered_bytes, max_spooled_bytes, max_files)
        adjustments.slack_bytes = _SLACK_BYTES
        adjustments.min_body_bytes_per_second = min_body_bytes_per_second
        plan, pattern = getattr(app, "plan_body", None), getattr(app, "find_pattern", None)
        adjustments.plan_body = (
            (lambda request: plan(request.environ())) if plan else (lambda request: (max_body_bytes, None))
        )
        adjustments.find_pattern = (
            (lambda request: pattern(request.command, request.request_uri)) if pattern else _nothing
        )
        adjustments.has_proxy = bool(trusted_proxy)
        self.proxies = TrustedProxies(trusted_proxy or "", trusted_proxy_hops)
        self.admission = Admission(
            affordable,
            connections_per_peer or max(1, affordable // 2),
            self.proxies.exempts,
            lambda: self.active_channels.values(),
        )
        self.report = report
        self._rates: dict[Any, MinRate] = {}  # of the responses on their way
        self.probes = Dispatcher(1, "probe")
        self.sockets = Sockets() if hasattr(select, "epoll") else {}
        self.changed = getattr(self.sockets, "changed", _nothing)
        self._bell = threading.RLock()  # taken again by a signal handler that calls `stop`
        # A line for each request that has to wait costs 6 to 23 % of the throughput.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        info = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(
            app,
            self.sockets,
            dispatcher=Dispatcher(threads),
            _sock=sock,
            adj=adjustments,
            bind_socket=False,
            sockinfo=info,
        )

    def add_task(self, channel: Any) -> None:
        """Queues a request; probes have a thread of their own, which answers while all others are busy."""
        if channel.requests[0].is_probe:
            self.probes.add_task(channel)
        elif threading.get_ident() == self._loop_thread:  # `poll` has them taken all together
            self.task_dispatcher.queue.append(channel)
        else:
            self.task_dispatcher.add_task(channel)
            if len(self.task_dispatcher.queue) > 1:  # the threads that are awake may get stuck before it
                self.pull_trigger()

    def forget(self, channel: Any) -> None:
        """A channel is closed."""
        self.admission.remove(channel)

    def shed(self) -> None:
        """The spool is full: the response that nothing was taken of for longest is cut; for any thread."""
        self._has_to_shed = True
        self.pull_trigger()

    def accept(self) -> Any:
        """As waitress does; without a descriptor for it, the connection waits in the kernel's queue."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            now = monotonic()
            self._resting_until = now + _REST_SECONDS
            if now > self._silent_until:
                log.error("cannot accept connections: %s; raise `ulimit -n`", os.strerror(error.errno))
            self._silent_until = now + _COMPLAINT_SECONDS
            return None

    def handle_accept(self) -> None:
        """Accepts all that wait: until the next poll the handlers may take some milliseconds."""
        for _ in range(self.admission.connections):
            accepted = self.accept()
            if accepted is None:
                return
            connection, address = accepted
            try:
                self.set_socket_options(connection)
            except OSError:  # the client has gone
                connection.close()
                continue
            peer = network_of(address[0])
            has_room = self.admission.admit(peer, monotonic())
            channel = Channel(self, connection, address, self.adj, map=self._map)
            channel.peer, channel.is_reserved = peer, not has_room
            self.admission.add(channel)

    def readable(self) -> bool:
        return bool(self.accepting) and monotonic() >= self._resting_until

    def pull_trigger(self) -> None:
        """Wakes the main loop, unless it has ended: the number of its pipe may be another file by then."""
        with self._bell:
            if not self.is_closed:
                super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Closes connections that are idle, whose request is late, or whose response is taken too slowly."""
        rates, self._rates = self._rates, {}
        idle_since = now - self.adj.channel_timeout
        late_since = now - _RESERVE_SECONDS
        for channel in list(self.active_channels.values()):
            if channel.total_outbufs_len:
                taken = acked_bytes(channel.socket)
                rate = self._rates[channel] = rates.get(channel) or MinRate(now, self.adj, taken or 0)
                is_left = rate.is_late(now, taken) if taken else channel.active_at < idle_since
                if is_left:
                    channel.handle_close()  # here: no event tells of a full socket. A handler may wait for it
                    continue
            if self._is_idle(channel, now, late_since if channel.is_reserved else idle_since):
                channel.will_close = True
            if channel.will_close:
                self.changed(channel)

    def _is_idle(self, channel: Any, now: float, idle_since: float) -> bool:
        """Whether a connection has nothing to do, or its request is late."""
        request = channel.request
        if channel.requests or channel in self._rates:
            if request is not None:
                request.restart_clock(now)
            return False
        if request is not None and not channel.is_reserved:
            return bool(request.is_late(now))
        return bool(channel.active_at < idle_since)

    def _cut_slowest(self) -> None:
        self._has_to_shed = False
        slow = [channel for channel in self.active_channels.values() if channel.is_spooled]
        if slow:
            channel = min(slow, key=lambda channel: channel.active_at)
            log.warning("the response to %s was cut: too much is spooled, and it takes nothing", channel.peer)
            channel.handle_close()

    def recv_bytes(self) -> int:
        """The most that is read from a connection now.

        Hundreds of large bodies that arrive together are read in small pieces, so that a poll is short and a
        short request is not long behind them.
        """
        ready = getattr(self.sockets, "ready", 0)
        return min(_MAX_RECV_BYTES, max(_LEAST_RECV_BYTES, _POLL_BYTES // max(1, ready)))

    def poll(self, timeout_seconds: float) -> None:
        """One poll of the main loop: waits for sockets at most so long, and serves those that are ready."""
        self._loop_thread = threading.get_ident()
        now = monotonic()
        if self._has_to_shed:
            self._cut_slowest()
        if self._undrained:
            timeout_seconds = min(timeout_seconds, _SOON_SECONDS)
        elif now < self._resting_until:
            timeout_seconds = min(timeout_seconds, _REST_SECONDS)
        if now >= self._next_maintenance:
            # Before the sockets are asked, not among them: a descriptor that it frees may be the next
            # connection's when the answer comes.
            self._next_maintenance = now + self.adj.cleanup_interval
            self.maintenance(now)
        if isinstance(self.sockets, Sockets):
            self.changed(self)  # full, or out of descriptors, it is not readable
            self.sockets.poll(timeout_seconds)
        else:
            wasyncore.loop(timeout_seconds, use_poll=True, map=self.sockets, count=1)
        self._undrained = self.task_dispatcher.drain()

    def state(self) -> dict[str, float]:
        """The server's numbers, for `/_/ready` and `/_/metrics`."""
        handlers = self.task_dispatcher
        return {
            "threads": handlers.count,
            "threads_busy": handlers.busy,
            "requests_queued": len(handlers.queue),
            "connections": len(self.active_channels),
            "stalled_seconds": handlers.stalled_seconds(),
            "spooled_bytes": self.budget.bytes,
            "buffered_bytes": self.budget.memory_bytes,
        }

    def stop_listening(self) -> None:
        """Closes the listening socket and leaves the connections."""
        self.accepting = False
        wasyncore.dispatcher.close(self)

    def close_idle(self) -> int:
        """Closes the connections on which nothing is served, sent or uploaded; returns how many are left.

        One that has just come is about to send its request, and no other server would hear of it.
        """
        for channel in list(self.active_channels.values()):
            arriving = channel.request is not None and channel.request.headers_finished
            if channel.active_at == channel.made_at:
                arriving = arriving or monotonic() < channel.made_at + _NEW_SECONDS
            if not (channel.requests or channel.total_outbufs_len or arriving):
                channel.handle_close()
        return len(self.active_channels)

    def close_all(self, timeout_seconds: float) -> None:
        """Ends threads and connections, waiting for handlers that run at most so long."""
        if self.is_closed:
            return
        self.stop_listening()
        for dispatcher in (self.probes, self.task_dispatcher):
            dispatcher.shutdown(timeout_seconds)
        for channel in list(self.active_channels.values()):
            channel.lingering = True  # for long enough
            channel.handle_close()
        with self._bell:
            self.is_closed = True
            self.trigger.close()


def _nothing(thing: Any) -> None:
    """For a loop that asks every connection in every poll, and for a callable that has no routes."""
