# SPDX-License-Identifier: MIT
"""What bytes of a stranger cost: processor time, memory, disk, log, and how long `/_/health` takes meanwhile.

Each row sends bytes to a server in a process of its own, and then as many bytes as plain bodies, the control.
The row may cost at most `TIMES` the processor time of its control, and at most `MEMORY_TIMES` its size in
memory, and a constant for what is measured beside it.
"""

from __future__ import annotations

import glob
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from minihttp.limits import KIB, MIB
from tests.live import Process

if not os.path.exists("/proc/self/clear_refs"):
    pytest.skip("needs Linux's /proc", allow_module_level=True)

TIMES = 3.0
SLACK_SECONDS = 0.015  # a busy machine, and what the probes and the meter cost
MEMORY_TIMES = 4.0
SLACK_BYTES = 12 * MIB  # allocators keep some
LOG_BYTES_A_CONNECTION = 600
HEALTH_SECONDS = 0.100
HEALTH_TIMES = 5.0  # of the control's slowest, where the machine is busy
PATIENCE_SECONDS = 60.0
_ATTEMPTS = 3  # a machine that was busy elsewhere is not so each time, bytes that cost too much are


def head(target: str, *fields: str, method: str = "POST", host: str = "localhost") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


def sized(target: str, body: bytes, *fields: str, **how: str) -> bytes:
    return head(target, f"Content-Length: {len(body)}", *fields, **how) + body


def chunked(body: bytes, target: str = "/plain") -> bytes:
    return head(target, "Transfer-Encoding: chunked") + body


def plain(size: int) -> bytes:
    return sized("/plain", bytes(size))


JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
ADMIN = "Authorization: Convex not-the-key-of-anybody"
_SIZE = 2 * MIB


def _query(count: int) -> bytes:
    return json.dumps({"queries": [{"path": "no:function", "args": {}}] * count}).encode()


def _call(path: str, size: int) -> bytes:
    return b'{"path": "%s", "args": {"value": [%s[]]}}' % (path.encode(), b"[]," * (size // 3))


def _form(parts: list[bytes]) -> bytes:
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%d' % n + part for n, part in enumerate(parts)
    )
    return sized("/form", body + b"--b--\r\n", "Content-Type: multipart/form-data; boundary=b")


def _many(unit: bytes, count: int) -> bytes:
    return b"[%s]" % b",".join([unit] * count)


def _keyed(value: bytes, count: int) -> bytes:
    return b",".join([b'"k%d":%s' % (n, value) for n in range(count)])


_ESCAPES = b"\\a" * 400
_NAMES = [b'"%d%s":1' % (n, b"x" * 1_000) for n in range(_SIZE // 1_010 - 64)]
LENGTH = "Content-Length: 0"
ASK = "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request"


def called(args: bytes) -> bytes:
    """A call of the public query of the app."""
    return sized("/api/query", b'{"path": "tests/apps/costs:get", "args": %s}' % args, JSON)


def kept(value: bytes) -> bytes:
    """A call of the public mutation that does nothing with its argument."""
    return sized("/api/mutation", b'{"path": "tests/apps/costs:drop", "args": {"value": %s}}' % value, JSON)


class Row(NamedTuple):
    """`connections` times `sent`, one connection after the other."""

    name: str
    sent: bytes
    connections: int = 1


ROWS = [
    # -- framing
    Row("chunks of one byte", chunked(b"1\r\nx\r\n" * (_SIZE // 6))),
    Row("chunks of five bytes", chunked(b"5\r\nxxxxx\r\n" * (_SIZE // 10))),
    Row("chunks of line ends", chunked(b"4\r\n\r\n\r\n\r\n" * (_SIZE // 9))),
    Row("chunks with extensions", chunked(b"40;%s\r\n%s\r\n" % (b"a" * 64, b"x" * 64) * (_SIZE // 135))),
    Row("chunks with quoted extensions", chunked(b'3e8;a="%s"\r\n%s\r\n' % (_ESCAPES, bytes(1_000)) * 1_900)),
    Row("a size line without end", chunked(b"1;" + b"a" * _SIZE)),
    Row("sizes with many zeros", chunked((b"0" * 900 + b"1\r\nx\r\n") * (_SIZE // 906))),
    Row("trailers without end", chunked(b"0\r\n" + b"a: b\r\n" * (_SIZE // 6))),
    Row("chunks of 100 bytes", chunked(b"64\r\n%s\r\n" % (b"x" * 100) * (_SIZE // 106) + b"0\r\n\r\n")),
    Row("blank lines", b"\r\n\r\n" * (_SIZE // 4)),
    Row("line feeds", b"\n" * _SIZE),
    Row("a field 10,000 times", head("/plain", *["A: b"] * 10_000), 20),
    Row("10,000 fields", head("/plain", *[f"A{n}: b" for n in range(8_000)]), 20),
    Row("a field folded", head("/plain", "A: b", *[" c"] * 15_000), 20),
    Row("a head without end", b"GET / HTTP/1.1\r\nA: " + b"b" * _SIZE),
    Row("a target without end", b"GET /" + b"a" * _SIZE),
    # -- work
    Row("JSON of empty arrays", sized("/json", b"[" + b"[]," * (_SIZE // 3 - 64) + b"0]", JSON)),
    Row("JSON of empty objects", sized("/json", b"[" + b"{}," * (_SIZE // 3 - 64) + b"0]", JSON)),
    Row("JSON of small objects", sized("/json", b"[" + b'{"":0},' * (_SIZE // 7 - 64) + b"0]", JSON)),
    Row("JSON of arrays", sized("/json", _many(b"[]", 24_000), JSON), 5),
    Row("JSON of many arrays", sized("/json", _many(b"[]", 48_000), JSON), 5),
    Row("JSON of nested arrays", sized("/json", _many(b"[" * 60 + b"]" * 60, 250), JSON), 5),
    Row("JSON of nested objects", sized("/json", _many(b'{"a":' * 30 + b"0" + b"}" * 30, 250), JSON), 5),
    Row("JSON of objects, 30 deep", sized("/json", _many(b'{"a":' * 30 + b"0" + b"}" * 30, 1_600), JSON), 2),
    Row("JSON that is too deep", sized("/json", _many(b"[" * 900 + b"]" * 900, 100), JSON), 3),
    Row("JSON of long numbers", sized("/json", _many(b"9" * 4_000, 500), JSON), 3),
    Row("JSON of white space", sized("/json", b"[1" + b"\n" * (_SIZE - 99) + b"]" + b" " * 90, JSON), 3),
    Row("JSON of commas in strings", sized("/json", b'["%s"]' % (b"," * (_SIZE - 99)), JSON), 3),
    Row("JSON of numbers of one width", sized("/json", b'{"a": [%s0]}' % (b"1234," * 38_000), JSON), 6),
    Row("JSON of empty strings", sized("/json", _many(b'""', 600_000), JSON), 2),
    Row("JSON of lists, opened", sized("/opened", b'{"value": {%s}}' % _keyed(b"[]", 10_000), JSON), 4),
    Row("declared lists", sized("/any", b"{%s}" % _keyed(b"[]", 9_000), JSON), 2),
    Row("declared fields", sized("/record", b"{%s}" % _keyed(b"1", 15_000), JSON), 2),
    Row("declared fields, one refused", sized("/record", b'{%s,"$":1}' % _keyed(b"1", 12_000), JSON), 2),
    Row("declared numbers", sized("/numbers", _many(b"1.5", 30_000), JSON), 4),
    Row("declared unions", sized("/unions", _many(b"null", 30_000), JSON), 4),
    Row("declared unions, the last", sized("/unions", _many(b"1", 8_000), JSON), 2),
    Row("JSON with a mistake", sized("/json", b"[" + b"1,\n" * 45_000 + b"x]", JSON), 5),
    Row("JSON of brackets", sized("/json", b"[" * (_SIZE - 64), JSON)),
    Row("JSON of 16 MB", sized("/json", b"[" + b"[]," * (16 * MIB // 3) + b"0]", JSON)),
    Row("a call of nothing", sized("/api/mutation", _call("no:function", 16 * MIB), JSON)),
    Row("a call that is refused", sized("/api/mutation", _call("tests/apps/costs:keep", _SIZE), JSON)),
    Row("a call as another kind", sized("/api/query", _call("tests/apps/costs:keep", _SIZE), JSON)),
    Row("a batch of 20,000 queries", sized("/api/query_batch", _query(20_000), JSON)),
    Row("a batch of no functions", sized("/api/query_batch", _query(100), JSON), 10),
    Row("a form of ampersands", sized("/form", b"&" * _SIZE, FORM)),
    # -- bodies that nobody asked for
    Row("bodies to no route", sized("/nothing", bytes(19 * MIB))),
    Row("bodies to no route, in chunks", chunked(b"100000\r\n%s\r\n" % bytes(MIB) * 19, "/nothing")),
    Row("bodies of another method", sized("/plain", bytes(19 * MIB), method="PUT")),
    Row("bodies of a GET", sized("/meter", bytes(19 * MIB), method="GET")),
    Row("uploads without a token", sized("/api/storage/upload?token=1-0", bytes(19 * MIB))),
    Row("deliveries without a signature", sized("/hook", bytes(900 * KIB)), 20),
    Row("bodies for another host", sized("/plain", bytes(19 * MIB), host="evil")),
    Row("names of functions", sized("/api/query", b'{"path": "%s"}' % (b"a" * (_SIZE - 64)), JSON)),
    Row("names of fields", called(b'{"%s": 1}' % (b"\\u009b" * (_SIZE // 6 - 64)))),
    Row("names of many fields", called(b"{%s}" % b",".join(_NAMES))),
    Row("arguments of 9,000 fields", kept(b"{%s}" % b",".join([b'"k%d":1' % n for n in range(9_000)])), 5),
    Row("arguments of small objects", kept(_many(b'{"a":1}', 8_000)), 2),
    Row("arguments of records", kept(_many(b'{"a":1,"b":2,"c":"x","d":null,"e":true}', 3_000)), 2),
    Row("arguments of lists", kept(_many(b"[" * 14 + b"1" + b"]" * 14, 300)), 10),
    Row("a list for a number", called(b'{"n": [%s0]}' % (b"0," * 99_000))),
    Row("escapes in a form", sized("/form", b"a=" + b"%41" * 300_000, FORM)),
    Row("fields of a form", sized("/form", b"&".join([b"a=%zz"] * 1_000), FORM), 15),
    Row("escaped fields of a form", sized("/form", b"&".join([b"a=%41"] * 1_000), FORM), 20),
    Row("fields of a query", head("/named?" + "a=%41&" * 999, method="GET"), 60),
    Row("equal signs in a form", sized("/form", b"&".join([b"a=%41" + b"=" * 18_000] * 100), FORM)),
    Row("tiny files in a form", _form([b'"; filename="a"\r\n\r\nx\r\n'] * 999), 8),
    Row("parts with types", _form([b'"\r\nContent-Type: a/b\r\n\r\nx\r\n'] * 300), 15),
    Row("parts with many headers", _form([b'"\r\nA: b' + b"\r\nA: b" * 6 + b"\r\n\r\nx\r\n"] * 900), 6),
    Row("parts with folded heads", _form([b'"' + b"\r\n " * 50 + b"\r\n\r\nx\r\n"] * 900), 4),
    Row("parts that are not text", _form([b'"\r\n\r\n' + b"\xff" * 900 + b"\r\n"] * 900), 2),
    Row("quotes in the names of parts", _form([b'\\"' * 300 + b'"\r\n\r\n\r\n'] * 900), 2),
    Row("broken escapes in a form", sized("/form", b"a=" + b"%zz" * 300_000, FORM)),
    Row("a large form of escapes", sized("/form", b"a=" + b"%41" * 6_000_000, FORM)),
    Row("many broken escapes in a form", sized("/form", b"&".join([b"a=" + b"%" * 999] * 999), FORM), 2),
    Row("parameters of a part", _form([b'"' + b";" * 7_500 + b"\r\n\r\n\r\n"] * 900)),
    Row("named parameters of a part", _form([b'"' + b";a=b" * 1_500 + b"\r\n\r\n\r\n"] * 900)),
    Row("escapes in the name of a part", _form([b'\\"' * 3_500 + b'"\r\n\r\n\r\n'] * 900)),
    Row("long heads of parts", _form([b'"\r\nA: ' + b"b" * 7_500 + b"\r\n\r\n\r\n"] * 900)),
    Row("fields that are not text", _form([b'"\r\n\r\n' + b"\xff" * 19_000 + b"\r\n"] * 900)),
    # -- heads
    Row("a path of escapes", head("/" + "%41" * 20_000, "Content-Length: 0"), 30),
    Row("a short path of escapes", head("/" + "%c3%a9" * 1_350, LENGTH), 30),
    Row("a short path of signs", head("/" + "|" * 8_000, LENGTH), 12),
    Row("a path of dots", head("/" + "a./" * 20_000, "Content-Length: 0"), 30),
    Row("a query of escapes", head("/api/query?path=x:y&args=" + "%5B" * 20_000, method="GET"), 20),
    Row("numbers in a query", head("/api/query?path=x:y&args=[" + "1," * 29_000 + "1]", method="GET"), 20),
    Row("arrays in a query", head("/api/query?path=x:y&args=[" + "[]," * 19_000 + "1]", method="GET"), 20),
    Row("parameters of a type", head("/json", LENGTH, JSON + "".join(f";a{n}=b" for n in range(6_000))), 30),
    Row("options of a connection", head("/plain", "Content-Length: 0", "Connection: " + "a," * 30_000), 30),
    Row("signatures of a delivery", head("/hook", LENGTH, "Stripe-Signature: " + "v1=a," * 10_000), 20),
    Row("names of a preflight", head("/api/query", ASK + "-Headers: " + "a," * 30_000, method="OPTIONS"), 20),
    Row("calls with a wrong key", sized("/api/function", bytes(1900 * KIB), JSON, ADMIN), 10),
]  # fmt: skip


class Cost(NamedTuple):
    """What a server used while bytes were sent."""

    seconds: float
    memory_bytes: int
    disk_bytes: int
    log_bytes: int
    health_seconds: float


class Watch:
    """Asks for `/_/health` and looks at the server's open files, over and over, until it is left."""

    def __init__(self, process: Process, folder: Path) -> None:
        self._process, self._folder = process, str(folder)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.slowest_seconds = 0.0
        self.disk_bytes = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            began = time.perf_counter()
            assert self._process.client.get("/_/health").status == 200
            self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - began)
            self.disk_bytes = max(self.disk_bytes, self._nameless_bytes())
            if self._ended.wait(0.02):
                return

    def _nameless_bytes(self) -> int:
        """The size of the nameless files that the server has open in its data directory."""
        total = 0
        for path in glob.glob(f"/proc/{self._process.popen.pid}/fd/*"):
            with suppress(OSError):
                target = os.readlink(path)
                if target.startswith(self._folder) and target.endswith("(deleted)"):
                    total += os.stat(path).st_size
        return total


def send(process: Process, data: bytes) -> bytes:
    """Sends everything, whatever comes back, and waits until the server has answered or left; its answer."""
    answer = b""
    with socket.create_connection((process.client.host, process.client.port), PATIENCE_SECONDS) as client:
        with suppress(ConnectionError):
            client.sendall(data)
        with suppress(ConnectionError):
            client.shutdown(socket.SHUT_WR)
            while data := client.recv(65_536):
                answer += data
    return answer


def cost(process: Process, folder: Path, run: Callable[[], None]) -> Cost:
    log_bytes = len(process.output())
    before = process.client.get("/meter").json()
    Path(f"/proc/{before['pid']}/clear_refs").write_text("5")  # the peak is counted from here
    with Watch(process, folder) as watch:
        run()
    after = process.client.get("/meter").json()
    return Cost(
        after["seconds"] - before["seconds"],
        after["peak"] - before["bytes"],
        watch.disk_bytes,
        len(process.output()) - log_bytes,
        watch.slowest_seconds,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Path]]:
    data = tmp_path_factory.mktemp("costs") / "data"
    process = Process("tests.apps.costs:app", data, env={"COSTS_SECRET": "whsec_a-secret-of-some-length"})
    assert send(process, plain(MIB)).startswith(b"HTTP/1.1 200 "), "the control is really read"
    process.client.post("/api/mutation", {"path": "tests/apps/costs:keep", "args": {"value": 1}})
    try:
        yield process, data
    finally:
        process.kill()


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_bytes_cost_what_a_plain_body_of_their_size_costs(served: tuple[Process, Path], row: Row) -> None:
    process, data = served
    # Of the same size and as many; the largest body that is allowed, as often as it takes.
    pieces = [plain(min(len(row.sent), 18 * MIB))] * row.connections * -(-len(row.sent) // (18 * MIB))

    def run_control() -> None:
        for piece in pieces:
            send(process, piece)

    def run_row() -> None:
        for _ in range(row.connections):
            send(process, row.sent)

    for _ in range(_ATTEMPTS):
        control = cost(process, data, run_control)
        took = cost(process, data, run_row)
        print(f"{row.name}: {took} control {control}")
        beyond = _beyond_budget(row, took, control)
        if not beyond:
            return
    raise AssertionError(f"{row.name}: {', '.join(beyond)}; {took}, control {control}")


def _beyond_budget(row: Row, took: Cost, control: Cost) -> list[str]:
    """What of a row cost too much."""
    budget = {
        "seconds": TIMES * control.seconds + SLACK_SECONDS,
        "memory_bytes": MEMORY_TIMES * len(row.sent) + SLACK_BYTES,
        "disk_bytes": 0,
        "log_bytes": (row.connections + 200) * LOG_BYTES_A_CONNECTION,
        "health_seconds": max(HEALTH_SECONDS, HEALTH_TIMES * control.health_seconds),
    }
    return [name for name, most in budget.items() if getattr(took, name) > most]
