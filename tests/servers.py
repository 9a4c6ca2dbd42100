# SPDX-License-Identifier: MIT
"""Servers that tests start for themselves on loopback; a test skips where the program is missing.

With the environment variable CI_REQUIRE_SERVERS set (the gate sets it) a missing program is a failure.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_START_SECONDS = 60.0


def program(name: str) -> str:
    """The path of a program, from PATH or from beside this Python; skips the test where there is none."""
    beside = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        if os.environ.get("CI_REQUIRE_SERVERS"):
            pytest.fail(f"the program {name} is not installed")
        pytest.skip(f"the program {name} is not installed")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class SeaweedFS:
    """An S3 server with one bucket, `minihttp`."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, prefix: str, **options: object) -> str:
        extra = "".join(f"&{name}={value}" for name, value in options.items())
        return f"s3://minihttp/{prefix}?endpoint={self.endpoint}&access_key_id=ci&secret_access_key=ci{extra}"

    def start(self) -> None:
        others = [f"-{name}={free_port()}" for name in _PORTS]
        off = ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        self._process = subprocess.Popen(
            [
                *(program("weed"), "mini", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *(f"-s3.port={self.port}", "-bucket=minihttp", "-master.telemetry=false", *off, *others),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "ci", "AWS_SECRET_ACCESS_KEY": "ci"},
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._has_bucket():
            assert time.monotonic() < deadline, "SeaweedFS does not start"
            assert self._process.poll() is None, "SeaweedFS has ended"
            time.sleep(0.1)

    def _has_bucket(self) -> bool:
        """Whether it lets us in and has made the bucket, which comes later than its first answers."""
        from storage_backends.s3 import FileBackend

        try:
            urllib.request.urlopen(f"{self.endpoint}/minihttp", timeout=2).close()
        except urllib.error.HTTPError as error:
            if error.code != 403:
                return False
        except OSError:
            return False
        try:
            next(FileBackend(self.url("start").partition(":")[2]).list(), None)
        except FileBackend.Fault:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()


_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)
_PORTS = (*_PORTS, "s3.port.grpc", "admin.port", "admin.port.grpc")


@contextmanager
def seaweedfs() -> Iterator[SeaweedFS]:
    folder = tempfile.mkdtemp(prefix="seaweedfs-")
    server = SeaweedFS(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
