# SPDX-License-Identifier: MIT
"""The SQLite engine: the contract, group commit, the lock, and real faults of the file underneath."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import DocumentBackendContract, Oops, get, in_a_thread, put, putter, together
from tests.storage_backends.sqlite_world import backend, path, refused

__all__ = ["backend", "path"]


class TestSqlite(DocumentBackendContract):
    backend_class = "storage_backends.sqlite:DocumentBackend"

    def check_integrity(self, location: str) -> None:
        connection = sqlite3.connect(location)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_a_database_in_memory_leaves_nothing_behind() -> None:
    backend = DocumentBackend(":memory:")
    place = Path(backend._path).parent
    put(backend, "a", "1")
    assert get(backend, "a") == ("table", "1")
    backend.close()
    assert not place.exists()


def as_one_batch(backend: DocumentBackend, bodies: list[Any], *, any_thread: bool = False) -> list[Any]:
    """Run the bodies in concurrent writes of which the first lasts until all others wait; their outcomes."""
    outcomes: list[Any] = [None] * len(bodies)
    inside = threading.Event()

    def first(w: Any) -> Any:
        inside.set()
        while backend.statistics()["waiting"] < len(bodies) - 1:
            pass
        return bodies[0](w)

    def run(n: int) -> None:
        if n:
            assert inside.wait(60)
        try:
            outcomes[n] = backend.write(bodies[n] if n else first, None, any_thread=any_thread)
        except BaseException as error:
            outcomes[n] = error

    together([lambda n=n: run(n) for n in range(len(bodies))])
    return outcomes


def test_waiting_writers_share_one_commit(backend: DocumentBackend) -> None:
    before = backend.statistics()
    outcomes = as_one_batch(backend, [putter(f"w{n}") for n in range(6)])
    after = backend.statistics()
    assert outcomes == [f"w{n}" for n in range(6)]
    assert after["mutations"] - before["mutations"] == 6
    assert after["commits"] - before["commits"] == 1
    assert all(get(backend, f"w{n}") for n in range(6))


@pytest.mark.parametrize("error", [Oops, SystemExit])
@pytest.mark.parametrize("place", [0, 2, 5])
def test_one_that_raises_takes_nobody_with_it(
    backend: DocumentBackend, place: int, error: type[BaseException]
) -> None:
    def failing(w: Any) -> None:
        w.put("failed", "t", "", (), ())
        raise error

    bodies = [putter(f"w{n}") for n in range(6)]
    bodies[place] = failing
    outcomes = as_one_batch(backend, bodies)
    assert isinstance(outcomes.pop(place), error)
    assert sorted(outcomes) == sorted(f"w{n}" for n in range(6) if n != place)
    assert all(get(backend, id) for id in outcomes)
    assert get(backend, "failed") is None


@contextmanager
def no_file_may_grow(path: str, by_bytes: int = 0) -> Iterator[None]:
    """A disk that takes little more: the write-ahead log is near the process's file size limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(path + "-wal").st_size + by_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_when_the_commit_fails_everyone_fails_and_none_is_visible(
    backend: DocumentBackend, path: str
) -> None:
    put(backend, "before", "1")
    with no_file_may_grow(path):
        outcomes = as_one_batch(backend, [putter(f"w{n}") for n in range(6)])
        assert get(backend, "before") == ("table", "1")  # reads go on
    assert [type(outcome) for outcome in outcomes] == [DocumentBackend.Fault] * 6
    assert {outcome.errno for outcome in outcomes} <= {errno.EIO, errno.ENOSPC}
    assert [get(backend, f"w{n}") for n in range(6)] == [None] * 6
    put(backend, "after", "1")
    backend.close()
    again = DocumentBackend(path)
    assert [bool(get(again, id)) for id in ("before", "w0", "after")] == [True, False, True]
    again.close()


def test_a_fault_that_rolls_everything_back_fails_the_whole_batch(backend: DocumentBackend) -> None:
    def lose(w: Any) -> None:
        w.execute("ROLLBACK")  # as SQLite does on its own after some faults

    outcomes = as_one_batch(backend, [putter("a"), lambda w: lose(w), putter("b")])
    faults = [outcome for outcome in outcomes if isinstance(outcome, DocumentBackend.Fault)]
    assert faults and get(backend, "a") is None
    assert (outcomes[2] == "b") is (get(backend, "b") is not None)


def test_after_such_a_fault_nothing_is_written_on_its_own(backend: DocumentBackend) -> None:
    def go_on(w: Any) -> None:
        w.execute("ROLLBACK")
        refused(errno.EIO, lambda: w.put("alone", "t", "", (), ()))
        refused(errno.EIO, lambda: w.nested().__enter__())

    refused(errno.EIO, lambda: backend.write(go_on, None))
    assert get(backend, "alone") is None


class Interrupt(BaseException):
    """What a signal handler raises."""


def interrupted_while_waiting(backend: DocumentBackend) -> list[Any]:
    """Writes of "a" (in a thread), "b" (in this one, interrupted while it waits) and "c"; their outcomes."""
    outcomes: dict[str, Any] = {}
    inside, interrupted, this_thread = threading.Event(), threading.Event(), threading.get_ident()

    def slow(w: Any) -> str:
        inside.set()
        while not backend.statistics()["waiting"]:
            pass
        signal.pthread_kill(this_thread, signal.SIGUSR1)
        assert interrupted.wait(60)
        return str(putter("a")(w))

    def run(name: str, body: Any) -> None:
        outcomes[name] = backend.write(body, None)

    def handler(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=run, args=("a", slow))
    thread.start()
    try:
        assert inside.wait(60)
        run("b", putter("b"))
    except Interrupt:
        outcomes["b"] = Interrupt
        interrupted.set()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    run("c", putter("c"))
    return [outcomes[name] for name in "abc"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
def test_one_that_is_interrupted_while_it_waits_holds_up_nobody(backend: DocumentBackend) -> None:
    assert interrupted_while_waiting(backend) == ["a", Interrupt, "c"]
    assert [bool(get(backend, id)) for id in "abc"] == [True, False, True]


@pytest.mark.parametrize("own", [True, False])
def test_what_may_run_anywhere_runs_where_the_turn_is(backend: DocumentBackend, own: bool) -> None:
    threads: list[int] = []
    bodies = [lambda w: threads.append(threading.get_ident())] * 6
    as_one_batch(backend, bodies, any_thread=not own)
    assert len(set(threads)) == (6 if own else 1)


def test_a_full_database(backend: DocumentBackend) -> None:
    put(backend, "a", "1")
    backend.write(lambda w: w.execute("PRAGMA max_page_count = 10"), None)
    refused(errno.ENOSPC, lambda: put(backend, "big", "x" * 100_000))
    assert get(backend, "a") == ("table", "1")
    backend.write(lambda w: w.execute("PRAGMA max_page_count = 100000"), None)
    put(backend, "big", "x" * 100_000)


def test_a_read_only_database(backend: DocumentBackend) -> None:
    put(backend, "a", "1")
    backend.write(lambda w: w.execute("PRAGMA query_only = 1"), None)
    refused(errno.EROFS, lambda: put(backend, "b", "1"))
    assert get(backend, "a") == ("table", "1")


def test_a_lock_held_by_another_program(backend: DocumentBackend, path: str) -> None:
    put(backend, "a", "1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused(errno.EAGAIN, lambda: put(backend, "b", "1"))
    together([lambda: refused(errno.EAGAIN, lambda: put(backend, "b", "1"))] * 4)
    assert get(backend, "a") == ("table", "1")
    other.execute("ROLLBACK")
    other.close()
    put(backend, "b", "1")


def test_after_closing(backend: DocumentBackend) -> None:
    reading = backend.read(None)
    with reading:
        backend.close()
    refused(errno.EIO, lambda: put(backend, "a", "1"))
    refused(errno.EIO, lambda: get(backend, "a"))


def test_a_lengthened_log_is_read_like_any_other_after_a_crash(backend: DocumentBackend, path: str) -> None:
    for n in range(20):
        put(backend, f"w{n}", "1")
    assert backend.statistics()["wal_bytes"] > 4_000_000
    for suffix in ("", "-wal"):  # what is on disk while the process still runs is what a crash leaves
        shutil.copy(path + suffix, path + ".copy" + suffix)
    again = DocumentBackend(path + ".copy")
    assert all(get(again, f"w{n}") for n in range(20))
    put(again, "after", "1")
    again.close()
    TestSqlite().check_integrity(path + ".copy")


def test_without_room_the_log_stays_as_it_is(backend: DocumentBackend, path: str) -> None:
    def keep_going() -> None:
        for n in range(40):  # the second time nothing at all can be added to the log
            put(backend, f"w{n}", "1")

    with no_file_may_grow(path, 1_000_000):
        in_a_thread(keep_going)
    assert all(get(backend, f"w{n}") for n in range(40))


def log_bytes_beside_relayed_readers(path: str) -> int:
    """How long the write-ahead log gets while there is always a reader."""
    backend = DocumentBackend(path, max_wal_bytes=400_000)
    put(backend, "a", "x" * 50_000)
    done = threading.Event()

    def read_in_relays() -> None:
        reader = backend.read(None)
        reader.__enter__().get("a")
        while not done.is_set():
            following = backend.read(None)
            following.__enter__().get("a")  # the next snapshot is open before the last one is closed
            reader.__exit__(None, None, None)
            reader = following
        reader.__exit__(None, None, None)

    def write() -> None:
        for _ in range(200):  # 12 MB of log
            put(backend, "a", "x" * 50_000)
            sizes.append(backend.statistics()["wal_bytes"])
        done.set()

    sizes: list[int] = []
    together([read_in_relays, write])
    backend.close()
    return max(sizes)


def test_the_log_is_bounded_though_there_is_always_a_reader(path: str) -> None:
    # A reader that gets no processor time for as long as writers wait, several times, is busy elsewhere
    assert any(log_bytes_beside_relayed_readers(path) < 4_000_000 for _ in range(3))


def test_a_long_reader_keeps_the_log_but_does_not_stop_writers(path: str) -> None:
    backend = DocumentBackend(path, max_wal_bytes=200_000)
    put(backend, "a", "old")
    with backend.read(None) as reading:
        assert reading.get("a") == ("table", "old")
        for _ in range(30):
            in_a_thread(lambda: put(backend, "a", "x" * 50_000))
        assert reading.get("a") == ("table", "old")
        assert backend.statistics()["wal_bytes"] > 1_000_000
    backend.close()
