# SPDX-License-Identifier: MIT
"""The SQLite engine: the contract, group commit, the lock, and real faults of the file underneath."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from storage_backends import sqlite
from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import (
    ROOT,
    DocumentBackendContract,
    Oops,
    get,
    in_a_thread,
    put,
    putter,
    together,
)


class TestSqlite(DocumentBackendContract):
    backend_class = "storage_backends.sqlite:DocumentBackend"

    def check_integrity(self, location: str) -> None:
        connection = sqlite3.connect(location)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "app.db")


@pytest.fixture
def backend(path: str) -> Iterator[DocumentBackend]:
    backend = DocumentBackend(path, busy_seconds=0.05, max_batch_seconds=60)
    yield backend
    backend.close()


def refused(number: int, call: Any) -> str:
    with pytest.raises(DocumentBackend.Fault) as caught:
        call()
    assert caught.value.errno == number, caught.value
    return str(caught.value)


# ---------------------------------------------------------------- a person and the file


def test_a_person_can_read_it(backend: DocumentBackend, path: str) -> None:
    backend.write(lambda w: w.put("id1", "items", '{"name":"é"}', [(1, b"k")], ()), None)
    connection = sqlite3.connect(path)
    assert connection.execute("""SELECT id, json FROM documents WHERE "table" = 'items'""").fetchall() == [
        ("id1", '{"name":"é"}')
    ]
    assert connection.execute("SELECT json ->> 'name' FROM documents").fetchall() == [("é",)]
    connection.close()


def test_the_file_is_its_owner_s_only(backend: DocumentBackend, path: str) -> None:
    put(backend, "a", "")
    for suffix in ("", "-wal", "-shm", ".lock"):
        assert os.stat(path + suffix).st_mode & 0o077 == 0


def test_the_directory_is_its_owner_s_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DocumentBackend(str(tmp_path / "above" / "data" / "app.db")).close()
    finally:
        os.umask(before)
    for name, mode in (("data", 0o700), ("data/app.db", 0o600), ("data/app.db.lock", 0o600)):
        assert stat.S_IMODE(os.stat(tmp_path / "above" / name).st_mode) == mode, name


@pytest.mark.parametrize("name", ["app.db", "app.db.lock", "app.db-wal", "app.db-shm", "app.db-journal"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str, there: bool) -> None:
    victim = tmp_path / "victim"
    if there:
        victim.write_bytes(b"precious")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).symlink_to(victim)
    with pytest.raises(DocumentBackend.Fault, match=f"{name} is a symbolic link: put the file itself there"):
        DocumentBackend(str(tmp_path / "data" / "app.db"))
    assert victim.read_bytes() == b"precious" if there else not victim.exists()


@pytest.mark.parametrize("name", ["app.db", "app.db.lock"])
def test_a_pipe_in_the_place_of_a_file_holds_up_nobody(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DocumentBackend.Fault, match=f"{name} is no plain file"):
        DocumentBackend(str(tmp_path / "app.db"))


def test_every_connection_is_set_up_for_durability(backend: DocumentBackend) -> None:
    settings = ("journal_mode", "synchronous", "query_only", "wal_autocheckpoint")
    read = lambda engine: [engine.execute(f"PRAGMA {name}")[0][0] for name in settings]
    with backend.read(None) as reading:
        assert read(reading) == ["wal", 2, 1, 0]
    assert backend.write(read, None) == ["wal", 2, 0, 1000]


def test_a_database_in_memory_leaves_nothing_behind() -> None:
    backend = DocumentBackend(":memory:")
    place = Path(backend._path).parent
    put(backend, "a", "1")
    assert get(backend, "a") == ("table", "1")
    backend.close()
    assert not place.exists()


# ---------------------------------------------------------------- one process


def test_a_second_process_is_refused_by_name(backend: DocumentBackend, path: str) -> None:
    program = "import sys; from storage_backends.sqlite import DocumentBackend; DocumentBackend(sys.argv[1])"
    child = subprocess.run(
        [sys.executable, "-c", program, path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 1
    assert f"directory {Path(path).parent} is in use by process {os.getpid()}" in child.stderr
    assert f"is in use by process {os.getpid()}" in refused(errno.EAGAIN, lambda: DocumentBackend(path))
    put(backend, "a", "unharmed")
    backend.close()
    DocumentBackend(path).close()


# ---------------------------------------------------------------- group commit


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


def test_rows_that_wait_are_read_and_undone_like_others(backend: DocumentBackend) -> None:
    seen: list[Any] = []

    def body(w: Any) -> None:
        w.put("a", "t", "1", [(1, b"k")], ())
        with suppress(Oops), w.nested():
            w.put("a", "t", "2", (), ())
            with suppress(Oops), w.nested():
                w.put("b", "t", "1", [(1, b"l")], ())
                seen.append(w.get("b"))
                raise Oops
            seen.append((w.get("a"), w.get("b")))
            raise Oops
        seen.append(w.get("a"))
        with w.nested():
            w.put("c", "t", "1", (), ())
            w.delete("a", [(1, b"k")])
        with suppress(Oops), w.nested():
            w.put("d", "t", "1", (), ())
            raise Oops
        seen.append(w.scan("", "~", reverse=False, limit=9))

    backend.write(body, None)
    assert seen == [("t", "1"), (("t", "2"), None), ("t", "1"), [("c", "1")]]
    assert [get(backend, id) for id in "abcd"] == [None, None, ("t", "1"), None]


# ---------------------------------------------------------------- faults of the file


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


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xee" * 5000])
def test_a_file_that_is_no_database(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(DocumentBackend.Fault):
        DocumentBackend(path)
    assert Path(path).read_bytes() == content


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE theirs (x)", "of another program"),
        ("PRAGMA user_version = 99", "of another program or a newer version (format 99, not 1)"),
    ],
)
def test_a_database_of_another_program_or_a_newer_version(path: str, statement: str, message: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.close()
    assert refused(errno.EILSEQ, lambda: DocumentBackend(path)).endswith(f"app.db is the database {message}")


def test_a_damaged_page(backend: DocumentBackend, path: str) -> None:
    backend.write(lambda w: [w.put(f"{n:04}", "t", "x" * 500, (), ()) for n in range(500)], None)
    backend.close()
    damaged = DocumentBackend(path)
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xee" * 20 * 4096)
    with damaged.read(None) as reading:
        refused(errno.EILSEQ, lambda: reading.scan("", "~", reverse=False, limit=1000))
    problems, is_whole = damaged.problems(10.0)
    assert problems and is_whole
    damaged.close()
    os.utime(path)
    assert "put a backup in its place" in refused(errno.EILSEQ, lambda: DocumentBackend(path))


def test_a_database_that_was_closed_and_left_alone_is_not_looked_at_again(
    backend: DocumentBackend, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(sqlite, "problems", lambda path, limit_seconds: (looks.append(path) or [], True))
    put(backend, "a", "1")
    backend.close()
    DocumentBackend(path).close()
    assert not looks
    with open(path, "r+b"):
        os.utime(path, ns=(1, 1))
    DocumentBackend(path).close()
    assert looks == [path], "somebody has changed it since"


def test_a_copy_of_a_database_in_use_is_looked_at(
    backend: DocumentBackend, path: str, tmp_path: Path
) -> None:
    put(backend, "a", "1")
    backend.close()
    shutil.copytree(tmp_path, tmp_path / "copy")
    with open(tmp_path / "copy" / "app.db", "r+b") as file:
        file.seek(4096)
        file.write(b"\xee" * 4096)
    shutil.copystat(path, tmp_path / "copy" / "app.db")  # as `cp -a` does
    refused(errno.EILSEQ, lambda: DocumentBackend(str(tmp_path / "copy" / "app.db")))


def test_a_copy_made_while_others_write_is_whole_and_of_one_moment(
    backend: DocumentBackend, path: str
) -> None:
    """Each transaction changes two documents; a copy never has one of the two."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            text = f'{{"n":{number},"x":"{"x" * 4000}"}}'
            backend.write(
                lambda w, text=text, number=number: [
                    w.put(f"{place}{number % 50:02}", "t", text, [(1, b"%d" % number)], ()) for place in "ab"
                ],
                None,
            )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            target = f"{path}.copy{number}"
            steps: list[int] = []
            with closing(DocumentBackend.Copy(path)) as snapshot:
                snapshot.write(target, lambda done, total, steps=steps: steps.append(done))
            copy = DocumentBackend(target)
            with copy.read(None) as reading:
                first = [json for _, json in reading.scan("a", "b", reverse=False, limit=100)]
                second = [json for _, json in reading.scan("b", "c", reverse=False, limit=100)]
            assert first == second
            assert steps
            copy.close()
    finally:
        stop.set()
        thread.join()
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".partial")]


@pytest.mark.parametrize("place", ["file/app.db", "/proc/nowhere/app.db", "\0/app.db"])
def test_a_place_that_cannot_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((DocumentBackend.Fault, ValueError)):
        DocumentBackend(str(tmp_path / place))


def test_after_closing(backend: DocumentBackend) -> None:
    reading = backend.read(None)
    with reading:
        backend.close()
    refused(errno.EIO, lambda: put(backend, "a", "1"))
    refused(errno.EIO, lambda: get(backend, "a"))


# ---------------------------------------------------------------- the write-ahead log


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


def test_the_log_is_bounded_though_there_is_always_a_reader(path: str) -> None:
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
    assert max(sizes) < 4_000_000
    backend.close()


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
