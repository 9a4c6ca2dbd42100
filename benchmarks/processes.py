# SPDX-License-Identifier: MIT
"""Servers under measurement: a process of its own for each, load by `wrk`, and what it cost."""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent


class Started(NamedTuple):
    """A server that listens."""

    pid: int
    url: str

    def cpu_seconds(self) -> float:
        """Processor time of its processes, and of the kernel on their behalf (Linux)."""
        ticks = 0
        for fields in self._stats():
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory of its processes."""
        pages = sum(int(fields[21]) for fields in self._stats())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def _stats(self) -> Iterator[list[str]]:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[3]) == self.pid:  # the session
                yield fields


class Sample(NamedTuple):
    """What `wrk` and the kernel count."""

    rate: float  # requests a second
    cpu_us: float  # processor time of the server, a request
    p99_ms: float


@contextmanager
def started(
    command: Sequence[str], env: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[Started]:
    """Run `python COMMAND`, in which `{port}` stands for a free one, until the block ends."""
    if port is None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
    paths = os.pathsep.join([str(FOLDER.parent), str(FOLDER)])
    server = subprocess.Popen(
        [part.format(port=port) if "{port}" in part else part for part in command],
        env={**os.environ, "PYTHONPATH": paths, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(server, port)
        yield Started(server.pid, f"http://127.0.0.1:{port}")
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit(f"{server.args!r} did not start")


def sample(server: Started, path: str, clients: int, seconds: float, script: str = "") -> Sample:
    """One run of `wrk`."""
    options = ["-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "10s", "--latency"]
    before = server.cpu_seconds()
    command = ["wrk", *options, *(["-s", script] if script else []), server.url + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    used = server.cpu_seconds() - before
    assert "Non-2xx" not in said, said
    requests = int(re.findall(r"([0-9]+) requests in", said)[0])
    slowest = re.findall(r"99% +([0-9.]+)(us|ms|s|m)", said)[0]
    p99_ms = float(slowest[0]) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[slowest[1]]
    rate = float(re.findall(r"Requests/sec: +([0-9.]+)", said)[0])
    return Sample(rate, used / max(requests, 1) * 1e6, p99_ms)


def python(module: str) -> list[str]:
    """The command of a module's own command line."""
    return [sys.executable, "-m", *module.split()]


def cell(found: Sequence[float], base: float) -> str:
    """The median, its ratio to that of the first row, the least and the greatest run."""
    median = statistics.median(found)
    spread = f" {min(found):,.0f}–{max(found):,.0f}" if len(found) > 1 else ""
    return f"{median:,.0f} ({median / base:.2f}×){spread}"
