# SPDX-License-Identifier: MIT
"""A TCP proxy on loopback in front of a server, which breaks lines after so many bytes."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections to a server.

    Args:
        url: of the server.
        max_down: each line is broken after so many bytes from the server.
        max_up: the first line that carries so many bytes to the server is broken then.

    Attributes:
        quiet: set while no line is open.
        broken: how many lines were broken.
    """

    def __init__(self, url: str, *, max_down: int | None = None, max_up: int | None = None) -> None:
        self._target = urlsplit(url).hostname, urlsplit(url).port
        self._max_down, self._max_up = max_down, max_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open = 0
        self.broken = 0
        self.quiet = threading.Event()
        self.quiet.set()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self._open += 1
                    self.quiet.clear()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            up = threading.Thread(target=self._pump, args=(client, server, True), daemon=True)
            up.start()
            self._pump(server, client, False)
            up.join()
        with self._lock:
            self._open -= 1
            if not self._open:
                self.quiet.set()

    def _pump(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        done = 0
        with suppress(OSError):
            while data := source.recv(65_536):
                done += len(data)
                limit = self._max_up if upwards else self._max_down
                if limit is not None and done > limit:
                    self.broken += 1
                    if upwards:
                        self._max_up = None
                    break
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
