# SPDX-License-Identifier: MIT
"""Out of file descriptors while running: new connections wait, the others are served, and nothing spins."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

from .wire import PATIENCE_SECONDS, Connection

PROGRAM = """
import logging, os, resource, socket
from minihttp.server import Server, bind

class Counting(socket.socket):
    failed = 0
    def accept(self):
        try:
            return super().accept()
        except OSError as error:
            self.failed += not isinstance(error, BlockingIOError)
            raise

def app(environ, start):
    if environ["PATH_INFO"] == "/lower":
        used = len(os.listdir("/proc/self/fd")) - 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    body = str(listener.failed).encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]

logging.basicConfig()
listener = Counting(fileno=bind("127.0.0.1", 0).detach())
server = Server(app, listener=listener, threads=2)
print(server.port, flush=True)
server.run()
"""


def test_a_server_without_descriptors_waits_for_some() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    server: object = SimpleNamespace(host="127.0.0.1", port=int(program.stdout.readline()))
    try:
        with Connection(server) as first:
            begun = time.monotonic()
            assert first.get("/lower").status == 200
            clients = [Connection(server) for _ in range(10)]
            for _ in range(300):  # connections that are there are served meanwhile
                failed = int(first.get("/").body)
            rests = (time.monotonic() - begun) / 0.5
            assert 0 < failed < rests + 2, "it waits half a second between two attempts"
            for client in clients:  # each that closes leaves its descriptor to another
                assert client.get("/").status == 200
                client.close()
    finally:
        program.kill()
        _, logged = program.communicate(timeout=PATIENCE_SECONDS)
    assert logged.count("cannot accept") == 1 and len(logged.splitlines()) == 1, logged
