# SPDX-License-Identifier: MIT
"""What only this machine reaches."""

from __future__ import annotations

import pytest

from minihttp.loopback import is_loopback


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
