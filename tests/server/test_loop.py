# SPDX-License-Identifier: MIT
"""One turn of the loop: connections that wait, and one that is cut."""

from __future__ import annotations

import socket

from .listening import Gated, listener_for
from .wire import PATIENCE_SECONDS


def test_connections_that_wait_are_accepted_together() -> None:
    listener = listener_for(Gated())
    clients = [socket.create_connection(listener.socket.getsockname()) for _ in range(8)]
    listener.poll(PATIENCE_SECONDS)
    assert len(listener.active_channels) == 8
    for client in clients:
        client.close()
    listener.close_all(PATIENCE_SECONDS)


def test_a_connection_may_get_the_descriptor_of_one_that_is_cut_in_the_same_turn() -> None:
    listener = listener_for(Gated())
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


def test_many_bodies_at_once_are_read_in_small_pieces() -> None:
    room = {"connections": 200, "connections_per_peer": 200}
    listener = listener_for(Gated(), **room, max_body_bytes=100_000, max_spooled_bytes=10**8)
    clients = [socket.create_connection(listener.socket.getsockname()) for _ in range(128)]
    listener.poll(PATIENCE_SECONDS)
    for client in clients:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + bytes(40_000))
    assert listener.recv_bytes() == 65_536, "of few connections much is read at once"
    listener.poll(PATIENCE_SECONDS)
    channels = listener.active_channels.values()
    left = [len(channel.socket.recv(65_536, socket.MSG_PEEK)) for channel in channels]
    assert len(left) == 128
    assert min(left) >= 30_000, "a poll takes 8 KiB of each"
    for client in clients:
        client.close()
    listener.close_all(PATIENCE_SECONDS)
