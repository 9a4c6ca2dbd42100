# SPDX-License-Identifier: MIT
"""The write-ahead log: after a long reader no writer waits until it is folded into the database."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from storage_backends.sqlite import DocumentBackend
from storage_backends.sqlite_copy import DatabaseCopy
from storage_backends.sqlite_log import AUTO_PAGES, LONG_BYTES, USUAL_BYTES
from tests.contracts.documents import get, in_a_thread, put
from tests.storage_backends.sqlite_world import backend, path

__all__ = ["backend", "path"]
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
TEXT = "x" * 100_000


def auto_pages(backend: DocumentBackend) -> int:
    """From how many pages on a COMMIT folds the log in."""
    [(pages,)] = backend.write(lambda w: w.execute("PRAGMA wal_autocheckpoint"), None)
    return int(pages)


def write_a_long_log(backend: DocumentBackend) -> None:
    """Write until a thread has the log."""
    for number in range(3 * LONG_BYTES // len(TEXT)):
        put(backend, f"d{number}", TEXT)
    assert backend._log.thread is not None


def joined(thread: threading.Thread | None) -> None:
    assert thread is not None
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def pages_in(path: str, folder: Path) -> int:
    """How many documents the database has without its log."""
    alone = str(folder / "alone.db")
    subprocess.run(["cp", path, alone], check=True)  # by this process it would take SQLite's locks away
    if not os.path.getsize(alone):
        return 0
    with closing(sqlite3.connect(alone)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
            return 0
        [(count,)] = connection.execute("SELECT count(*) FROM documents")
        return int(count)


def test_a_thread_folds_in_what_was_written_beside_a_long_reader(
    backend: DocumentBackend, path: str, tmp_path: Path
) -> None:
    held = DatabaseCopy(path)
    write_a_long_log(backend)
    assert auto_pages(backend) == 0, "no COMMIT does it"
    before = pages_in(path, tmp_path)
    held.close()
    joined(backend._log.thread)
    count = 3 * LONG_BYTES // len(TEXT)
    assert before < count / 2 and pages_in(path, tmp_path) >= count - 16, "it is done, and nobody has written"
    for number in range(16):
        put(backend, f"e{number}", "1")
    assert auto_pages(backend) == AUTO_PAGES
    for number in range(32):
        put(backend, f"f{number}", "1")
    assert backend._log._used()[0] < LONG_BYTES / 10, "it was started anew"
    assert all(get(backend, f"d{number}") for number in range(count))


def test_a_log_that_stays_long_is_left_to_the_thread_again(backend: DocumentBackend, path: str) -> None:
    for _ in range(2):
        held = DatabaseCopy(path)
        write_a_long_log(backend)
        held.close()
        joined(backend._log.thread)
    assert sqlite_says_ok(path)


def sqlite_says_ok(path: str) -> bool:
    with sqlite3.connect(path) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


def test_closing_does_not_wait_for_a_long_reader(path: str) -> None:
    backend = DocumentBackend(path)
    held = DatabaseCopy(path)
    write_a_long_log(backend)
    thread = backend._log.thread
    backend.close()
    joined(thread)
    held.close()
    again = DocumentBackend(path)
    assert get(again, "d0")
    again.close()


def test_a_log_of_the_usual_length_is_not_read(backend: DocumentBackend, path: str) -> None:
    for number in range(32):
        put(backend, f"d{number}", "{}")
    log = backend._log
    assert log._is_short()
    os.truncate(path + "-wal", USUAL_BYTES - 1)
    assert not log._is_short(), "it is lengthened"
    os.truncate(path + "-wal", LONG_BYTES + 1)
    assert not log._is_short(), "it is looked how much of it is in use"


def test_how_long_the_log_is(backend: DocumentBackend, path: str) -> None:
    """As SQLite says: in a file with zeros behind the last frame, and with frames of an earlier log."""
    counted: list[int] = []
    for number in range(120):
        put(backend, f"d{number}", "x" * 50_000)
        reader = sqlite3.connect(path)
        [(_, frames, _)] = reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        reader.close()
        assert backend._log._used()[0] == frames * 4_120
        counted.append(frames)
    assert any(later < earlier for earlier, later in pairwise(counted))


KILLED = """
import sys, threading
from storage_backends.sqlite import DocumentBackend
from storage_backends.sqlite_copy import DatabaseCopy
backend = DocumentBackend(sys.argv[1])
number = 0

def write(count):
    global number
    for _ in range(count):
        number += 1
        id, text = f"{sys.argv[2]}-{number % 400}", str(number) + "x" * 80_000
        backend.write(lambda w: w.put(id, "t", text, (), ()), None)
        print(number, flush=True)

while True:
    held = DatabaseCopy(sys.argv[1])
    write(250)
    held.close()
    write(int(sys.argv[2]) * 40)
"""


def test_kills_while_the_thread_is_at_it(path: str) -> None:
    for life in range(4):
        command = [sys.executable, "-c", KILLED, path, str(life)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        child = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(252 + 4 * life)]
        child.kill()
        told += [int(line) for line in child.stdout.readlines() if line.endswith("\n")]
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        assert sqlite_says_ok(path)
        with_rest = DocumentBackend(path)
        found: dict[str, Any] = {}
        for number in told[-400:]:
            found[f"{life}-{number % 400}"] = number
        for id, number in found.items():
            row = get(with_rest, id)
            assert row is not None and int(row[1].rstrip("x")) >= number
        in_a_thread(lambda backend=with_rest: put(backend, "after", "1"))
        with_rest.close()
