# SPDX-License-Identifier: MIT
"""A listener whose loop the test turns, and an app that waits until the test lets it go on."""

from __future__ import annotations

import threading
from typing import Any

from minihttp.server.listener import Listener
from minihttp.server.sockets import bind

from .wire import PATIENCE_SECONDS

BIG = bytes(15 * 1024 * 1024)


def listener_for(app: Any, **settings: Any) -> Listener:
    """A listener on a free port whose loop is turned by the test."""
    usual: dict[str, Any] = {
        "threads": 1, "connections": 10, "connections_per_peer": 10, "max_body_bytes": 10_000,
        "min_body_bytes_per_second": 100, "max_spooled_bytes": 100_000, "trusted_proxy": None, "report": None,
    }  # fmt: skip
    return Listener(app, bind("127.0.0.1", 0), **{**usual, **settings})


class Gated:
    """An app whose `/gate` waits until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/gate":
            self.entered.release()
            self.gate.wait(PATIENCE_SECONDS)
        if path == "/routed":
            environ["minihttp.route"] = "/{name}"
        body = BIG if path == "/big" else environ["minihttp.request_id"].encode()
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]
