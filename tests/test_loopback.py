# SPDX-License-Identifier: MIT
"""What only this machine reaches, and what an IPv6 network is."""

from __future__ import annotations

import pytest

from minihttp.loopback import is_loopback, network_of


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.9", "::1"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0.0.0.0",
        "127.0.0.1.example",
        "127.0.0.256",
        "127.1",
        "128.0.0.1",
        "localhost.example",
        "::",
        "127.0.0.x",
    ],
)
def test_others(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2"),
        ("2001:db8:1:2::9", "2001:db8:1:2"),
        ("fe80::1%eth0", "fe80"),
        ("::1", ""),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_an_ipv6_network_is_one_peer(host: str, peer: str) -> None:
    assert network_of(host) == peer
