# SPDX-License-Identifier: MIT
"""`logs`: the last lines of a running server."""

from __future__ import annotations

import logging

import pytest

from minihttp.app import log_ring
from tests.cli.shell import Shell, shell

__all__ = ["shell"]


def test_logs_of_a_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = log_ring.install()
    try:
        with shell.served(monkeypatch) as url:
            shell("run", "app:create", '{"name": "pen"}', "--server", url)
            rows = shell("logs", "--server", url, "--function", "app:create", "--jsonl").rows
            assert rows[-1]["message"] == "creating pen" and rows[-1]["level"] == "warning"
            assert "creating pen" in shell("logs", "--server", url, "--level", "warning").out
            done = shell("logs", "--server", url, "--request", "none-such")
            assert (done.out, done.err) == ("", "no such lines so far\n")
    finally:
        logging.getLogger().removeHandler(ring)
