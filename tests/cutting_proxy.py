# SPDX-License-Identifier: MIT
"""A TCP proxy on loopback that cuts lines at chosen moments of PostgreSQL's COMMIT."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any


class CuttingProxy:
    """Forwards connections to a port, until it is told to cut one.

    `cut(moment)` breaks the line of the next COMMIT: "before" the server has it, "during" (the
    server has it and nobody reads its answer), or "after" (its answer has come and is thrown away); after
    "silence" no line is broken, but the answer does not come. While `flows` is not set, nothing is forwarded.
    """

    def __init__(self, port: int) -> None:
        self._to_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._moment: str | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.cuts = 0
        self.refuses = False
        self.flows = threading.Event()
        self.flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, moment: str) -> None:
        with self._lock:
            self._moment = moment

    @property
    def pending(self) -> bool:
        return self._moment is not None

    def close(self) -> None:
        self._listener.close()
        self.break_all()

    def break_all(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            _shut(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    _shut(client)
                    continue
                server = socket.create_connection(("127.0.0.1", self._to_port))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets += [client, server]
                state: dict[str, Any] = {}
                for source, target in ((client, server), (server, client)):
                    upwards = source is client
                    pump = threading.Thread(
                        target=self._pump, args=(source, target, upwards, state), daemon=True
                    )
                    pump.start()

    def _pump(
        self, source: socket.socket, target: socket.socket, upwards: bool, state: dict[str, Any]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.flows.wait()
                if upwards and b"COMMIT\0" in data:
                    moment = self._take()
                    if moment == "before":
                        break
                    if moment == "during":
                        target.sendall(data)
                        break
                    if moment == "after":
                        state["drop"] = True
                    if moment == "silence":
                        self.flows.clear()
                elif not upwards and state.get("drop"):
                    break
                target.sendall(data)
        _shut(source)
        _shut(target)

    def _take(self) -> str | None:
        with self._lock:
            moment, self._moment = self._moment, None
            self.cuts += moment is not None
            return moment


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
