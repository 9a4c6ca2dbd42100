# SPDX-License-Identifier: MIT
"""Who may stay connected: the full table, a peer's share of it, and the reserve, on real sockets.

The loop is turned by the test, and the peer is chosen by the loopback address that a client connects from.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from minihttp.server.admission import RESERVE, Admission
from minihttp.server.listener import Listener

from .listening import listener_for

PATIENCE_SECONDS = 30.0
clients: list[Client] = []


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


@contextmanager
def listening(connections: int, per_peer: int, trusted_proxy: str | None = None) -> Iterator[Listener]:
    listener = listener_for(
        app,
        connections=connections,
        connections_per_peer=per_peer,
        max_body_bytes=100,
        min_body_bytes_per_second=500,
        max_spooled_bytes=100,
        trusted_proxy=trusted_proxy,
    )
    try:
        yield listener
    finally:
        listener.close_all(PATIENCE_SECONDS)
        while clients:
            clients.pop().socket.close()


class Client:
    def __init__(self, listener: Listener, peer: str = "127.0.0.1") -> None:
        self.listener = listener
        self.socket = socket.create_connection(
            listener.socket.getsockname(), PATIENCE_SECONDS, source_address=(peer, 0)
        )
        clients.append(self)
        listener.poll(PATIENCE_SECONDS)

    def ask(self, target: str = "/") -> bytes:
        """The response to a GET, as far as it comes in one piece."""
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        self.socket.settimeout(0.05)
        for _ in range(int(PATIENCE_SECONDS / 0.05)):
            self.listener.poll(0.01)
            try:
                return self.socket.recv(65_536)
            except TimeoutError:
                continue
        raise AssertionError("no response")

    @property
    def is_open(self) -> bool:
        self.socket.settimeout(0.0)
        try:
            return self.socket.recv(1) != b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False


def status(response: bytes) -> int:
    return int(response.split()[1])


def test_when_the_table_is_full_the_longest_idle_connection_goes(caplog: pytest.LogCaptureFixture) -> None:
    with listening(4, 4) as listener, caplog.at_level(logging.WARNING):
        clients = [Client(listener) for _ in range(4)]
        assert status(clients[0].ask()) == 200  # so that the second is the longest idle
        others = [Client(listener, "127.0.0.2") for _ in range(2)]
        assert [client.is_open for client in clients] == [True, False, False, True]
        assert [status(other.ask()) for other in others] == [200, 200]
        assert "all 4 connections are in use" in caplog.text and len(caplog.records) == 1


def test_one_peer_cannot_have_them_all() -> None:
    with listening(8, 4) as listener:
        greedy = [Client(listener, "127.0.0.2") for _ in range(20)]
        assert sum(client.is_open for client in greedy) == 4 and greedy[-1].is_open
        others = [Client(listener, f"127.0.0.{n}") for n in (3, 4, 5, 6)]
        assert all(client.is_open for client in others)
        assert sum(client.is_open for client in greedy) == 4


def test_the_trusted_proxy_may_have_them_all() -> None:
    with listening(8, 2, "127.0.0.2") as listener:
        assert all(client.is_open for client in [Client(listener, "127.0.0.2") for _ in range(8)])


def test_what_is_not_idle_stays_and_a_probe_is_answered_in_the_reserve() -> None:
    with listening(3, 3) as listener:
        busy = [Client(listener) for _ in range(3)]
        for client in busy:
            client.socket.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            listener.poll(PATIENCE_SECONDS)
        refused = Client(listener).ask()
        assert status(refused) == 503 and b"Retry-After" in refused
        assert set(json.loads(refused.partition(b"\r\n\r\n")[2])) == {"error"}
        for target in ("/_/health", "/_/ready"):
            assert status(Client(listener).ask(target)) == 200
        for target in ("/_/%68ealth", "/_/health?a", "/_/metrics"):
            assert status(Client(listener).ask(target)) == 503
        assert all(client.is_open for client in busy)


def test_the_reserve_is_small_and_its_oldest_connection_gives_way() -> None:
    with listening(1, 1) as listener:
        busy = Client(listener)
        busy.socket.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        listener.poll(PATIENCE_SECONDS)
        waiting = [Client(listener) for _ in range(RESERVE + 5)]
        assert [client.is_open for client in waiting] == [False] * 5 + [True] * RESERVE
        assert busy.is_open and len(listener.active_channels) == RESERVE + 1
        for client in waiting[5:]:
            client.socket.close()
        for _ in range(RESERVE):
            listener.poll(0.01)
        assert len(listener.active_channels) == 1
        assert status(Client(listener).ask("/_/health")) == 200


def test_a_head_that_drips_gives_way_after_some_seconds() -> None:
    with listening(2, 2) as listener:
        slow = [Client(listener) for _ in range(2)]
        for client in slow:
            client.socket.sendall(b"GET / HTTP/1.1\r\nX: ")
            listener.poll(PATIENCE_SECONDS)
        assert status(Client(listener).ask()) == 503
        for channel in listener.active_channels.values():
            if channel.request is not None:
                channel.request.began -= 6
        assert status(Client(listener).ask()) == 200


def test_empty_lines_are_no_activity() -> None:
    with listening(2, 2) as listener:
        client = Client(listener)
        client.socket.sendall(b"\r\n")
        listener.poll(PATIENCE_SECONDS)
        [channel] = listener.active_channels.values()
        began = channel.active_at
        listener.maintenance(began + 29)
        assert not channel.will_close
        listener.maintenance(began + 31)
        assert channel.will_close


@pytest.mark.parametrize("step_seconds", [-86_400, 86_400])
def test_a_clock_that_is_set_cuts_nobody_and_spares_nobody(
    monkeypatch: pytest.MonkeyPatch, step_seconds: float
) -> None:
    import time

    with listening(2, 2) as listener:
        client = Client(listener)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + step_seconds)
        listener._next_maintenance = 0.0
        listener.poll(0.0)
        [channel] = listener.active_channels.values()
        assert client.is_open and not channel.will_close
        assert status(client.ask()) == 200
        while channel.requests:  # the thread that answered it has not quite ended
            listener.poll(0.01)
        listener.maintenance(channel.active_at + 31)
        assert channel.will_close


def test_counts_return_to_nothing() -> None:
    with listening(3, 2) as listener:
        for _ in range(5):
            Client(listener).socket.close()
        while listener.active_channels:
            listener.poll(0.01)
        assert isinstance(listener.admission, Admission)
        assert listener.admission.count == 0 and not listener.admission._peers
