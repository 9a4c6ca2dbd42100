# SPDX-License-Identifier: MIT
"""An app that waits until the test lets it go on, and answers of 15 MiB."""

from __future__ import annotations

import threading
from typing import Any

from .wire import PATIENCE_SECONDS

BIG = bytes(15 * 1024 * 1024)


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
