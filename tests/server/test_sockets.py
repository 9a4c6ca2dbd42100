# SPDX-License-Identifier: MIT
"""Where a server may listen, and how many connections it can have."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from minihttp.errors import ConfigurationError
from minihttp.server import bind
from minihttp.server.sockets import affordable_connections, affordable_files, descriptor_limit


def test_a_port_in_use_names_the_process() -> None:
    with socket.socket():  # its descriptor is free again when the list of them is made, and gets into it
        listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with pytest.raises(ConfigurationError, match=rf"{port}: the port is in use") as caught:
        bind("127.0.0.1", port)
    if Path("/proc/net/tcp").exists():
        assert f"pid {os.getpid()}" in str(caught.value)
    listener.close()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("no.such.host.invalid", "cannot listen on host 'no.such.host.invalid': "),
        ("127.0.0.1:80", "cannot listen on host '127.0.0.1:80': "),
        ("192.0.2.1", r"cannot listen on 192\.0\.2\.1:0: this machine has no such address$"),
        ("[2001:db8::1]", r"cannot listen on \[2001:db8::1\]:0: "),
    ],
)
def test_a_host_that_cannot_be_is_one_sentence(host: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        bind(host, 0)


def test_connections_fit_the_descriptors() -> None:
    limit = descriptor_limit()
    assert limit is not None
    assert affordable_connections(10, 4) == 10
    connections = affordable_connections(limit, 4)
    assert connections + affordable_files(connections, 4) == limit - 4 - 49
    assert affordable_files(connections, 4) >= connections // 8, "the rest is for bodies in files"
    with pytest.raises(ConfigurationError, match="ulimit -n"):
        affordable_connections(10, limit)
