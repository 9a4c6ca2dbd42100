# SPDX-License-Identifier: MIT
"""One turn of the loop: connections that wait, and one that is cut."""

from __future__ import annotations

import socket

from minihttp.server import bind
from minihttp.server.listener import Listener
from tests.server.listening import Gated

from .wire import PATIENCE_SECONDS


def listening(connections: int = 10, per_peer: int = 10) -> Listener:
    """A listener whose loop is turned by the test."""
    return Listener(
        Gated(),
        bind("127.0.0.1", 0),
        threads=1,
        connections=connections,
        connections_per_peer=per_peer,
        max_body_bytes=1,
        min_body_bytes_per_second=1,
        max_spooled_bytes=1,
        trusted_proxy=None,
        report=None,
    )


def test_connections_that_wait_are_accepted_together() -> None:
    listener = listening()
    clients = [socket.create_connection(listener.socket.getsockname()) for _ in range(8)]
    listener.poll(PATIENCE_SECONDS)
    assert len(listener.active_channels) == 8
    for client in clients:
        client.close()
    listener.close_all(PATIENCE_SECONDS)


def test_a_connection_may_get_the_descriptor_of_one_that_is_cut_in_the_same_turn() -> None:
    listener = listening()
    with socket.create_connection(listener.socket.getsockname()) as stuck:
        listener.poll(PATIENCE_SECONDS)
        [channel] = listener.active_channels.values()
        channel.total_outbufs_len, channel.active_at = 1, -1e9  # a response of which nothing was ever taken
        listener._next_maintenance = 0
        with socket.create_connection(listener.socket.getsockname()) as other:
            listener.poll(PATIENCE_SECONDS)
            [channel] = listener.active_channels.values()
            assert channel.addr == other.getsockname() != stuck.getsockname()
    listener.close_all(PATIENCE_SECONDS)
