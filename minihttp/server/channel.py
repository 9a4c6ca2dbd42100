# SPDX-License-Identifier: MIT
"""Waitress, patched: a channel that does not make the main loop spin while a handler answers.

Stock waitress counts a response as pending before it sends it. Meanwhile the channel looks writable but is
locked, so the main loop spins, takes the interpreter from the handlers, and throughput collapses with many
connections. The patched channel

* sends first and queues what the kernel did not take;
* sends the head and the first bytes of the body in one call;
* stays readable while one request is served, so that the main loop need not be woken to hear of the next one;
* wakes the main loop only when there is something for it to do (`_WakeFilter`);
* still answers a client that has closed its sending half;
* reads on for a while after a refusal, so that a client still sending gets to see it (RFC 9112 §9.6).

`pyproject.toml` pins waitress to the versions that this was tested with. Knows nothing of apps, signals or
logs.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import WSGITask

# What the patched channel needs besides itself: it is read while a request is served, and the next one, which
# may come before the thread that sent a response has finished with it, is no reason to stop.
ADJUSTMENTS = {"channel_request_lookahead": 2}
_MAX_JOINED_BYTES = 65_536  # a larger first piece is sent by itself: joining would copy it


class PatchedTask(WSGITask):  # type: ignore[misc]
    """A response whose head waits for the first piece of its body."""

    def write(self, data: bytes) -> None:
        if self.wrote_header or len(data) > _MAX_JOINED_BYTES:
            super().write(data)
            return
        held: list[bytes] = []
        self.channel.held = held
        try:
            super().write(data)
        finally:
            self.channel.held = None
        self.channel.write_soon(b"".join(held))


class _WakeFilter:
    """What a patched channel sees as its server: it wakes the main loop only when that has work."""

    __slots__ = ("active_channels", "add_task", "adj", "application", "channel", "server")

    def __init__(self, server: Any, channel: PatchedChannel) -> None:
        self.server, self.channel = server, channel
        self.adj, self.application = server.adj, server.application  # read in every request
        self.active_channels, self.add_task = server.active_channels, server.add_task

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)

    def pull_trigger(self) -> None:
        channel = self.channel
        pending = channel.total_outbufs_len or channel.will_close or channel.close_when_flushed
        if channel.parked or pending or self.server.draining:  # a drain closes what has become idle
            self.server.changed(channel)
            self.server.pull_trigger()


class PatchedChannel(HTTPChannel):  # type: ignore[misc]
    """One connection.

    Attributes:
        held: the pieces that `PatchedTask.write` holds back, or None.
        parked: the main loop may be waiting without listening to this connection.
        half_closed: the client has sent its last byte.
        refused: the last response refused a request that may not have been read to its end.
        lingering: our sending half is closed, and what the client sends is thrown away.
    """

    task_class = PatchedTask
    held: list[bytes] | None = None
    parked = False
    half_closed = False
    refused = False
    lingering = False
    sendbuf_len: int

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(_WakeFilter(server, self), sock, addr, adj, map=map)
        # A piece of a file as large as the socket's buffer (2.6 MB) would cost each thread 8 MB for ever.
        self.sendbuf_len = min(int(self.sendbuf_len), 256 * 1024)

    def readable(self) -> bool:
        if self.lingering:
            return True
        self.parked = True  # before looking: a handler that changes the answer meanwhile sees it and rings
        if self.half_closed or not super().readable():
            return False
        self.parked = False
        return True

    def handle_read(self) -> None:
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if data and self.lingering:
            return  # no activity: the idle timeout, counted from the refusal, ends this
        if data:
            self.last_activity = time.time()
            self.received(data)
            return
        with self.requests_lock:
            self.half_closed = True
            busy = bool(self.requests)
            self.close_when_flushed = not busy
        if not busy and not self.total_outbufs_len:
            self.handle_close()

    def write_soon(self, data: Any) -> int:
        if self.held is not None:
            self.held.append(data)
            return len(data)
        if type(data) is not bytes or not data:
            return int(super().write_soon(data))
        with self.outbuf_lock:
            if not self.connected:  # closed while we waited for the lock
                raise ClientDisconnected
            sent = 0
            if not self.total_outbufs_len:
                try:
                    sent = self.send(data, do_close=False)
                except OSError:  # the stock way below meets the same error and knows what to do
                    pass
            if sent:
                self.last_activity = time.time()
            if sent < len(data):
                super().write_soon(data[sent:] if sent else data)
        return len(data)

    def handle_close(self) -> None:
        if self.refused and self.connected and not self.lingering and not self.half_closed:
            self.lingering, self.will_close = True, False
            try:
                self.socket.shutdown(socket.SHUT_WR)
                return
            except OSError:  # the client has gone
                pass
        super().handle_close()
        if self.request is not None:  # half of one, which nobody will read
            self.request.close()

    def service(self) -> None:
        self.refused = self.requests[0].error is not None
        super().service()
        if self.half_closed:
            with self.requests_lock:
                self.close_when_flushed = self.close_when_flushed or not self.requests
            self.server.pull_trigger()
