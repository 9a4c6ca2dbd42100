# SPDX-License-Identifier: MIT
"""One connection: waitress's `HTTPChannel`, patched.

Stock waitress counts a response as pending before it sends it. Meanwhile the channel looks writable but is
locked, so the main loop spins, takes the interpreter from the handlers, and throughput collapses with many
connections. This one

* sends first and queues what the kernel did not take;
* sends the head and the first bytes of the body in one call;
* stays readable while one request is served, so that the main loop need not be woken to hear of the next one;
* wakes the main loop only when there is something for it to do (`_WakeFilter`);
* reads a plain request by `lean`, and parses no more requests of a pipeline than it serves soon;
* holds no thread while its client takes a response slowly: the task goes on when there is room;
* still answers a client that has closed its sending half;
* reads on for a while after a refusal, so that a client still sending gets to see it (RFC 9112 §9.6).

Durations are of the monotonic clock. Knows nothing of apps, signals or logs.
"""

from __future__ import annotations

import logging
import socket
from time import monotonic
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.utilities import InternalServerError

from ..limits import KIB, MIB
from . import lean
from .buffers import ResponseBuffer
from .lean import LeanRequest
from .parser import Parser
from .task import ApplicationTask, RefusalTask, ResponseTask

log = logging.getLogger("minihttp.server")

# The next request may come before the thread that sent a response has finished with it.
_LOOKAHEAD_REQUESTS = 2
_PAUSE_BYTES = 1 * MIB  # pending: a task that has more to say waits for its client
_RESUME_BYTES = 256 * KIB
# A piece of a file as large as the socket's buffer (2.6 MB) would cost each thread 8 MB for ever.
_MAX_SENT_BYTES = 256 * KIB


class _WakeFilter:
    """What a channel sees as its server: it wakes the main loop only when that has work with the channel."""

    __slots__ = (
        "active_channels", "add_task", "adj", "application", "channel", "proxies", "recv_bytes", "report",
        "server",
    )  # fmt: skip

    def __init__(self, server: Any, channel: Channel) -> None:
        self.server, self.channel = server, channel
        self.adj, self.application = server.adj, server.application  # read in every request
        self.active_channels, self.add_task = server.active_channels, server.add_task
        self.proxies, self.report, self.recv_bytes = server.proxies, server.report, server.recv_bytes

    @property
    def draining(self) -> bool:
        return bool(self.server.draining)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)

    def pull_trigger(self) -> None:
        channel = self.channel
        pending = channel.total_outbufs_len or channel.will_close or channel.close_when_flushed
        if channel.parked or pending or self.server.draining:  # a drain closes what has become idle
            self.server.changed(channel)
            self.server.pull_trigger()


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection.

    Attributes:
        active_at: when it was made, or the last byte of a response went out, by the monotonic clock. What
            arrives is no activity: a request has a rate of its own, and blank lines are none.
        made_at: when it was made.
        peer: whom it counts for, see `admission`.
        is_reserved: it is beyond the limit, and only probes are answered on it.
        base_environ: what the environs of its plain requests have in common, once there is one.
        parked: the main loop may be waiting without listening to this connection.
        half_closed: the client has sent its last byte.
        refused: the last response went out before the request was read to its end.
        lingering: our sending half is closed, and what the client sends is thrown away.
    """

    requests: list[Parser | LeanRequest]
    request: Parser | None
    sent_continue: bool
    peer: Any = None
    is_reserved = False
    base_environ: dict[str, Any] | None = None
    parked = False
    half_closed = False
    refused = False
    lingering = False
    sendbuf_len: int
    _task: ResponseTask | None = None  # begun, and waiting for its client
    _waits_for_client = False  # the main loop adds the channel as a task when there is room again
    _last_fields: lean.PlainFields | None = None  # of the last plain request
    _unparsed = b""  # bytes after the requests that are parsed, which are enough for now

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(_WakeFilter(server, self), sock, addr, adj, map=map)
        self.sendbuf_len = min(int(self.sendbuf_len), _MAX_SENT_BYTES)
        self.outbufs = [ResponseBuffer(adj.outbuf_overflow, adj.budget)]
        self.active_at = self.made_at = monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked, served or sent on it."""
        return not (self.requests or self.total_outbufs_len or self.request is not None)

    @property
    def is_spooled(self) -> bool:
        """Whether a part of a response is in a file, or would be if there were room."""
        buffers = [buffer for buffer in list(self.outbufs) if isinstance(buffer, ResponseBuffer)]
        return any(buffer.taken_bytes or buffer.lacks_room for buffer in buffers)

    # -- in the main loop

    def readable(self) -> bool:
        if self.lingering:
            return True
        self.parked = True  # before looking: a handler that changes the answer meanwhile sees it and wakes
        if (
            self.half_closed
            or self.will_close
            or self.close_when_flushed
            or len(self.requests) > _LOOKAHEAD_REQUESTS
            or self.total_outbufs_len
        ):
            return False
        self.parked = False
        return True

    def handle_read(self) -> None:
        try:
            data = self.socket.recv(self.server.recv_bytes())
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if data and self.lingering:
            return  # no activity: the idle timeout, counted from the refusal, ends this
        if data:
            self.received(data)
            return
        with self.requests_lock:
            self.half_closed = True
            busy = bool(self.requests)
            self.close_when_flushed = not busy
        if not busy and not self.total_outbufs_len:
            self.handle_close()

    def received(self, data: bytes) -> bool:
        with self.requests_lock:
            if self.will_close or self.close_when_flushed:  # by a thread, since the loop looked
                return False
            was_busy = bool(self.requests)
            self._unparsed = self._unparsed + data if self._unparsed else data
            self._parse()
            if self.requests and not was_busy:
                self.server.add_task(self)
        return True

    def _parse(self) -> None:
        """Makes requests of what has come, but not many more than are served soon; under `requests_lock`."""
        data = self._unparsed
        while data and len(self.requests) <= _LOOKAHEAD_REQUESTS:
            request = self.request
            if request is None:
                plain = None if self.is_reserved else lean.read(data, self.adj, self._last_fields)
                if plain is not None:
                    self._last_fields = plain[0].fields
                    self.requests.append(plain[0])
                    data = data[plain[1] :]
                    continue
                request = self.request = Parser(self.adj, self.is_reserved)
            taken = request.received(data)
            if request.expect_continue and not self.requests and not self.sent_continue:
                self.send_continue()
            if request.completed:
                self.sent_continue = False
                self.requests.append(request)
                self.request = None
                if request.error or request.is_unread:  # where the next one would begin is not known
                    data = b""
                    break
            data = data[taken:] if taken < len(data) else b""
        self._unparsed = data

    def handle_write(self) -> None:
        super().handle_write()
        if self._waits_for_client and self.total_outbufs_len <= _RESUME_BYTES:
            self._resume()

    def _resume(self) -> None:
        with self.outbuf_lock:
            waited, self._waits_for_client = self._waits_for_client, False
        if waited:
            self.server.add_task(self)

    def _flush_some(self, do_close: bool = True) -> bool:
        if super()._flush_some(do_close=do_close):
            self.active_at = monotonic()
            last = self.outbufs[-1]
            if not self.total_outbufs_len and (last.held_bytes or last.overflowed):  # it keeps what it sent
                self.outbufs[-1] = ResponseBuffer(self.adj.outbuf_overflow, self.adj.budget)
                last.close()
            return True
        return False

    def handle_close(self) -> None:
        if self.refused and self.connected and not self.lingering and not self.half_closed:
            self.lingering, self.will_close = True, False
            try:
                self.socket.shutdown(socket.SHUT_WR)
                return
            except OSError:  # the client has gone
                pass
        super().handle_close()
        request = self.request
        if request is not None:  # half of one, which nobody will read
            request.close()
        self._resume()  # so that the task can end

    def del_channel(self, map: Any = None) -> None:
        super().del_channel(map)
        self.server.forget(self)

    # -- in a handler thread

    def write_soon(self, data: Any) -> int:
        if not data:
            return 0
        with self.outbuf_lock:
            if not self.connected:  # closed while we waited for the lock
                raise ClientDisconnected
            if type(data) is not bytes:
                self._queue(data)
                return len(data)
            sent = 0
            if not self.total_outbufs_len:
                try:
                    sent = self.socket.send(data)
                except OSError:  # `_queue` meets the same error and knows what to do
                    pass
            if sent:
                self.active_at = monotonic()
            if sent < len(data):
                self._queue(data[sent:] if sent else data)
        return len(data)

    def _queue(self, data: Any) -> None:
        """Keeps what the kernel has not taken; under `outbuf_lock`."""
        last = self.outbufs[-1]
        is_file = isinstance(data, ReadOnlyFileBasedBuffer)  # wsgi.file_wrapper
        if is_file:
            self.outbufs.append(data)
        if is_file or last.appended_bytes >= self.adj.outbuf_overflow:  # one that is sent frees its file
            last = ResponseBuffer(self.adj.outbuf_overflow, self.adj.budget)
            self.outbufs.append(last)
        if not is_file:
            last.append(data)
            if last.lacks_room:
                self.server.shed()
        self.total_outbufs_len += len(data)
        self._flush_exception(self._flush_some, do_close=False)
        if self.total_outbufs_len or self.will_close:
            self.server.pull_trigger()

    @property
    def is_backed_up(self) -> bool:
        """Whether the client has so much to take that what follows had better wait."""
        return bool(self.total_outbufs_len > _PAUSE_BYTES)

    def service(self) -> None:
        """Serves the first request, or goes on with it, as far as its client takes the response."""
        request = self.requests[0]
        task = self._task
        if task is None:
            self.refused = request.error is not None or request.is_unread
            task = (RefusalTask if request.error else ApplicationTask)(self, request)
        else:
            self._task = None
        try:
            task.service()
        except ClientDisconnected:
            task.close_on_finish = True
        except Exception:
            log.exception("a request was not answered")
            task.close_on_finish = True
            if not task.wrote_header:
                task = self._answer_500(request)
        if task.is_paused:
            self._task = task
            if not task.park():
                self._go_on()
        else:
            self._end(request, task.close_on_finish or not self.connected)

    def _answer_500(self, request: Any) -> ResponseTask:
        request.error = InternalServerError("Internal server error")
        task = RefusalTask(self, request)
        try:
            task.service()
        except ClientDisconnected:
            task.close_on_finish = True
        return task

    def _go_on(self) -> None:
        """Has this channel served again: at once, or when its client has taken most of what is pending."""
        with self.outbuf_lock:
            self._waits_for_client = waits = self.connected and self.is_backed_up
        if waits:
            self.server.pull_trigger()
        else:
            self.server.add_task(self)

    def _end(self, request: Any, close: bool) -> None:
        """After a request: the next one, if it has come."""
        with self.requests_lock:
            if close:
                self.close_when_flushed = True
                for left in self.requests:
                    left.close()
                self.requests, self._unparsed = [], b""
            else:
                request.close()
                self.requests.pop(0)
                if self._unparsed:
                    self._parse()
                half = self.request
                if not self.requests and half is not None and half.expect_continue and not self.sent_continue:
                    self.send_continue()
                if self.half_closed and not self.requests:
                    self.close_when_flushed = True
            more = bool(self.requests)
        self.active_at = monotonic()
        if more:
            self._go_on()
        elif self.connected:
            self.server.pull_trigger()

    def cancel(self) -> None:
        super().cancel()
        self._task = None
