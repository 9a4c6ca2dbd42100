# SPDX-License-Identifier: MIT
"""Many writers of one PostgreSQL database: lines cut at each moment of a COMMIT, batches, and processes."""

from __future__ import annotations

import errno
import faulthandler
import itertools
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.documents import ROOT, Oops, entries, get, put, putter, together
from tests.contracts.patience import HANGS_SECONDS, PatienceContract, given_up_after_it_had_run
from tests.cutting_proxy import CuttingProxy
from tests.interrupts import Interrupt, interrupted_after
from tests.postgresql_server import Server, postgresql, schema_for


@pytest.fixture(autouse=True)
def tracebacks_of_a_dead_lock() -> Iterator[None]:
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def server() -> Server:
    return postgresql()


@pytest.fixture
def location(server: Server, tmp_path: Path) -> str:
    return server.location(schema_for(tmp_path))


def open_backend(location: str, **options: Any) -> Any:
    from storage_backends.postgresql import DocumentBackend

    return DocumentBackend(location, **options)


@pytest.fixture
def backend(location: str) -> Iterator[Any]:
    backend = open_backend(location, max_batch_seconds=HANGS_SECONDS, patience_seconds=HANGS_SECONDS)
    yield backend
    backend.close()


def increment(w: Any) -> int:
    count = int((w.get("n") or ("", "0"))[1]) + 1
    w.put("n", "t", str(count), (), ())
    return count


# ---------------------------------------------------------------- from one mutation to the next


def test_what_this_process_wrote_last_is_not_read_again(backend: Any) -> None:
    put(backend, "a", "1")
    put(backend, "b", "1")
    assert backend.write(lambda w: (w.get("b"), w.begun), None) == (("table", "1"), False)
    put(backend, "b", "2")
    assert backend.write(lambda w: (w.get("a"), w.begun), None) == (("table", "1"), True)
    backend.write(lambda w: w.put("a", "another", "2", (), ()), None)
    backend.write(lambda w: w.put("a", *(w.get("a") and ("yet another", "3")), (), ()), None)
    assert get(backend, "a") == ("yet another", "3")


def test_and_yet_what_others_wrote_meanwhile_counts(backend: Any, location: str) -> None:
    other = open_backend(location)
    assert [each.write(increment, None) for each in [backend, other, backend, backend, other] * 2] == [
        *range(1, 11)
    ]
    other.close()


def test_a_mutation_sees_one_state_of_what_others_write_together(backend: Any, location: str) -> None:
    put(backend, "b", "1")
    put(backend, "a", "1")
    other = open_backend(location)
    other.write(lambda w: [w.put(id, "table", "2", (), ()) for id in "ab"], None)
    seen = []
    backend.write(lambda w: seen.append((w.get("a"), w.get("b"))), None)
    assert seen == [(("table", "2"), ("table", "2"))]
    other.close()


# ---------------------------------------------------------------- lines that break


def test_sixty_cuts_lose_nothing_double_nothing_and_nobody_hears_of_them(
    server: Server, tmp_path: Path
) -> None:
    proxy = CuttingProxy(server.port)
    backend = open_backend(server.location(schema_for(tmp_path), port=proxy.port))
    acknowledged = itertools.count()
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            backend.write(increment, None)
            next(acknowledged)

    def cut() -> None:
        try:
            for moment in ["before", "during", "after"] * 20:
                proxy.cut(moment)
                while proxy.pending:
                    ended.wait(0.001)
        finally:
            ended.set()

    together([cut, *[work] * 4])
    assert proxy.cuts == 60
    assert get(backend, "n") == ("t", str(next(acknowledged)))
    backend.close()
    proxy.close()


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_what_is_only_inserted_is_there_once_though_no_answer_comes(
    server: Server, tmp_path: Path, moment: str
) -> None:
    proxy = CuttingProxy(server.port)
    backend = open_backend(server.location(schema_for(tmp_path), port=proxy.port))
    new_ids = map(str, itertools.count())
    for written in range(1, 4):
        proxy.cut(moment)
        backend.write(lambda w: w.put(next(new_ids), "t", "1", (), ()), None)  # a new id each time it is run
        with backend.read(None) as reading:
            assert reading.count("", "~", 100) == written
    assert proxy.cuts == 3
    backend.close()
    proxy.close()


def test_idle_lines_that_broke_are_no_error(server: Server, tmp_path: Path) -> None:
    proxy = CuttingProxy(server.port)
    backend = open_backend(server.location(schema_for(tmp_path), port=proxy.port))
    for n in range(1, 4):
        assert backend.write(increment, None) == n
        assert get(backend, "n") == ("t", str(n))
        proxy.break_all()
    backend.close()
    proxy.close()


def test_a_snapshot_that_has_read_says_that_its_line_broke(server: Server, tmp_path: Path) -> None:
    proxy = CuttingProxy(server.port)
    backend = open_backend(server.location(schema_for(tmp_path), port=proxy.port))
    put(backend, "a", "1")
    with pytest.raises(backend.Fault) as caught, backend.read(None) as reading:
        assert reading.get("a") == ("table", "1")
        proxy.break_all()
        reading.get("a")
    assert caught.value.errno == errno.ECONNRESET
    assert get(backend, "a") == ("table", "1")
    backend.close()
    proxy.close()


def test_waiting_for_a_server_is_no_time_of_a_function(server: Server, tmp_path: Path) -> None:
    from minihttp.data.database import Database

    proxy = CuttingProxy(server.port)
    database = Database(open_backend(server.location(schema_for(tmp_path), port=proxy.port)))
    id = database.write(lambda t: t.db.insert("hot", {"n": 0}))

    def increment(t: Any) -> None:
        t.db.patch(id, {"n": t.db.get(id)["n"] + 1})

    limit_seconds = 2.0
    for _ in range(2):
        proxy.refuses = True
        proxy.break_all()
        back = threading.Timer(2 * limit_seconds, setattr, (proxy, "refuses", False))
        back.start()
        together(
            [
                lambda: database.write(increment, time_limit_seconds=limit_seconds),
                lambda: database.write(increment, time_limit_seconds=limit_seconds),
                lambda: database.read(lambda t: t.db.get(id), time_limit_seconds=limit_seconds),
            ]
        )
        back.join()
    assert database.read(lambda t: t.db.get(id)["n"]) == 4
    database.close()
    proxy.close()


# ---------------------------------------------------------------- batches


def as_one_batch(backend: Any, bodies: list[Any], *, any_thread: bool = False) -> list[Any]:
    """Run the bodies in concurrent writes of which the first lasts until all others wait; their outcomes."""
    outcomes: list[Any] = [None] * len(bodies)
    inside, full = threading.Event(), threading.Event()

    def first(w: Any) -> Any:
        while not inside.is_set() or not full.is_set():  # the first time it runs
            inside.set()
            if backend.statistics()["waiting"] >= len(bodies) - 1:
                full.set()
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


def failing(w: Any) -> None:
    w.put("failed", "t", "", (), ())
    raise Oops


@pytest.mark.parametrize("any_thread", [False, True])
def test_writers_at_the_same_time_share_a_commit(backend: Any, any_thread: bool) -> None:
    before = backend.statistics()["commits"]
    outcomes = as_one_batch(backend, [putter(id) for id in "abcd"] + [failing], any_thread=any_thread)
    assert outcomes[:4] == list("abcd")
    assert isinstance(outcomes[4], Oops)
    assert backend.statistics()["commits"] == before + 1
    assert [bool(get(backend, id)) for id in [*"abcd", "failed"]] == [True] * 4 + [False]


@pytest.mark.parametrize("own", [True, False])
def test_what_may_run_in_any_thread_runs_in_the_leader_s(backend: Any, own: bool) -> None:
    threads: list[int] = []
    as_one_batch(backend, [lambda w: threads.append(threading.get_ident())] * 6, any_thread=not own)
    assert len(set(threads)) == (6 if own else 1)


# ---------------------------------------------------------------- a mutation that does not end


@pytest.fixture
def hasty(location: str) -> Iterator[Any]:
    backend = open_backend(location, max_batch_seconds=HANGS_SECONDS, patience_seconds=0.2)
    yield backend
    backend.close()


class TestPatience(PatienceContract):
    pass


def test_one_that_was_given_up_after_it_had_run_is_undone_alone(hasty: Any) -> None:
    """It shared the transaction of one that does not end; its caller will try again, the others need not."""
    assert given_up_after_it_had_run(hasty) == [errno.EAGAIN]
    assert (get(hasty, "a"), bool(get(hasty, "held"))) == (None, True)


def test_a_server_that_does_not_answer_is_waited_for_longer(server: Server, tmp_path: Path) -> None:
    proxy = CuttingProxy(server.port)
    backend = open_backend(server.location(schema_for(tmp_path), port=proxy.port), patience_seconds=0.1)
    put(backend, "n", "0")
    proxy.flows.clear()
    go_on = threading.Timer(1.0, proxy.flows.set)  # several times the patience
    go_on.start()
    together([lambda: backend.write(increment, None)] * 3)
    assert get(backend, "n") == ("t", "3")
    backend.close()
    proxy.close()


def test_a_statement_that_fails_is_the_fault_of_its_mutation_alone(backend: Any) -> None:
    def wrong(w: Any) -> None:
        w.put("b", "t", "1", (), ())
        w.execute("SELECT nothing")

    def goes_on(w: Any) -> None:
        with suppress(backend.Fault):
            w.execute("SELECT 1/0::int FROM nowhere")
        with suppress(backend.Fault):
            w.put("c", "t", "1", (), ())

    outcomes = as_one_batch(backend, [putter("a"), wrong, goes_on, putter("d")])
    assert [outcomes[0], outcomes[3]] == ["a", "d"]
    assert all(isinstance(outcome, backend.Fault) for outcome in outcomes[1:3])
    assert [bool(get(backend, id)) for id in "abcd"] == [True, False, False, True]


def test_one_that_runs_out_of_time_is_interrupted_alone(backend: Any) -> None:
    def slow(w: Any) -> None:
        w.execute("SELECT pg_sleep(60)")

    outcomes: dict[str, Any] = {}

    def run(name: str, body: Any, limit: float | None) -> None:
        try:
            outcomes[name] = backend.write(body, limit)
        except backend.Fault as fault:
            outcomes[name] = fault.errno

    together([lambda: run("slow", slow, 0.2), lambda: run("a", putter("a"), None)])
    assert outcomes == {"slow": errno.ETIME, "a": "a"}


def test_a_snapshot_has_a_deadline(backend: Any) -> None:
    from time import monotonic

    with backend.read(monotonic() + 0.2) as reading, pytest.raises(backend.Fault) as caught:
        reading.execute("SELECT pg_sleep(60)")
    assert caught.value.errno == errno.ETIME
    with backend.read(monotonic() + 60) as reading:
        assert reading.execute("SHOW statement_timeout")[0][0] in ("59999ms", "1min", "59998ms", "59997ms")


def test_what_cannot_be_stored_fails_where_it_is_put(backend: Any) -> None:
    for text in ("nul \0", "half \ud800"):
        with pytest.raises(ValueError):
            put(backend, "a", text)
    assert as_one_batch(backend, [putter("a"), lambda w: w.put("b", "t", "\0", (), ())])[0] == "a"


def test_conflicts_with_another_process_are_run_again(backend: Any, location: str) -> None:
    other = open_backend(location)
    runs: list[int] = []

    def slow(w: Any) -> int:
        runs.append(1)
        count = int((w.get("n") or ("", "0"))[1])
        if len(runs) < 3:
            together([lambda: other.write(increment, None)])
        w.put("n", "t", str(count + 100), (), ())
        return count

    assert backend.write(slow, None) == 2
    assert (len(runs), get(other, "n")) == (3, ("t", "102"))
    other.close()


def test_a_mutation_that_always_conflicts_is_at_last_alone(backend: Any, location: str) -> None:
    other, ended, runs = open_backend(location), threading.Event(), []

    def interfere() -> None:
        while not ended.is_set():
            other.write(increment, None)

    def slow(w: Any) -> int:
        runs.append(1)
        w.get("n")
        ended.wait(0.1)
        return increment(w)

    def finish() -> None:
        for _ in range(3):
            backend.write(slow, None)
        ended.set()

    together([interfere, finish])
    assert len(runs) <= 9  # twice in vain, and then alone
    other.close()


@pytest.mark.parametrize("any_thread", [False, True])
def test_what_another_process_was_told_is_seen_by_what_is_asked_for_then(
    backend: Any, location: str, any_thread: bool
) -> None:
    """A transaction was open already, in which it could have run and would not have seen it."""
    other, is_told, seen = open_backend(location), threading.Event(), []

    def first(w: Any) -> None:
        w.get("n")
        if not is_told.is_set():
            together([lambda: other.write(increment, None)])
            is_told.set()
        while not backend.statistics()["waiting"]:
            pass

    def second() -> None:
        assert is_told.wait(60)
        seen.append(backend.write(lambda w: w.get("n"), None, any_thread=any_thread))

    together([lambda: backend.write(first, None, any_thread=any_thread), second])
    assert seen == [("t", "1")]
    other.close()


def test_an_error_that_came_of_what_is_undone_is_not_told(backend: Any, location: str) -> None:
    """The body raises for what it has read; that conflicts, and the second time it reads something else."""
    other, runs = open_backend(location), []
    put(backend, "n", "0")

    def only_once(w: Any) -> str:
        runs.append(w.get("n"))
        w.put("mark", "t", "1", (), ())
        if len(runs) == 1:
            together([lambda: put(other, "n", "1")])
            together([lambda: other.write(lambda o: (o.get("mark"), o.put("n", "t", "2", (), ())), None)])
        if runs[-1][1] == "0":
            w.put("n", "t", "3", (), ())
        return str(runs[-1][1])

    assert backend.write(only_once, None) == "2"
    other.close()


def test_rows_that_wait_are_read_and_undone_like_others(backend: Any) -> None:
    put(backend, "old", "0")
    backend.write(lambda w: w.put("x", "t", "0", [(1, b"m")], ()), None)
    seen: list[Any] = []

    def body(w: Any) -> None:
        w.put("a", "t", "1", [(1, b"k")], ())
        with suppress(Oops), w.nested():
            w.put("a", "t", "2", [(1, b"z")], [(1, b"k")])
            w.delete("x", [(1, b"m")])
            w.remove_entries([(2, b"m", "x")])
            with suppress(Oops), w.nested():
                w.put("b", "t", "1", [(1, b"l")], ())
                seen.append(w.get("b"))
                raise Oops
            seen.append((w.get("a"), w.get("b"), [row[:2] for row in index_of(w, False)]))
            raise Oops
        seen.append([w.get("a"), *index_of(w, True)])

    def index_of(w: Any, reverse: bool) -> Any:
        return w.scan_index(1, (b"", ""), (b"~", ""), reverse=reverse, limit=9)

    backend.write(body, None)
    assert seen == [
        ("t", "1"),
        (("t", "2"), None, [(b"z", "a")]),
        [("t", "1"), (b"m", "x", "0"), (b"k", "a", "1")],
    ]


def test_four_writers_of_one_process_side_by_side(server: Server, tmp_path: Path) -> None:
    backend = open_backend(server.location(schema_for(tmp_path), "writers=4"))
    together([lambda: [backend.write(increment, None) for _ in range(25)]] * 8)
    assert get(backend, "n") == ("t", "200")
    backend.close()


# ---------------------------------------------------------------- interrupts


def two_rows(w: Any) -> str:
    w.put("one", "t", "1", [(1, b"k")], ())
    with w.nested():
        w.get("one")
        w.put("two", "t", "1", [(1, b"l")], [(1, b"none")])
    w.get("other")
    return "one"


@pytest.mark.parametrize("any_thread", [False, True])
def test_an_interrupt_any_thread_holds_up_nobody_and_loses_nothing(
    server: Server, tmp_path: Path, any_thread: bool
) -> None:
    for calls in sorted({*range(1, 260, 7), *range(120, 160)}):
        backend = open_backend(server.location(schema_for((tmp_path, calls, any_thread))))
        acknowledged: list[str] = []

        def others(name: str) -> None:
            for n in range(3):
                with suppress(Oops):
                    backend.write(failing if n == 1 else putter(f"{name}{n}"), None, any_thread=any_thread)  # noqa: B023
                    acknowledged.append(f"{name}{n}")  # noqa: B023
                backend.write(increment, None, any_thread=any_thread)  # noqa: B023

        threads = [threading.Thread(target=others, args=(name,)) for name in "pq"]
        for thread in threads:
            thread.start()
        with suppress(Interrupt), interrupted_after(calls):
            acknowledged.append(backend.write(two_rows, None, any_thread=any_thread))
        for thread in threads:
            thread.join()
        acknowledged.append(backend.write(putter("after"), None))
        assert len(acknowledged) >= 5, "the others hear nothing of it"
        assert all(get(backend, id) for id in acknowledged), calls
        assert get(backend, "n") == ("t", "6"), calls
        assert bool(get(backend, "one")) is bool(get(backend, "two")) is bool(entries(backend, 1)), calls
        assert get(backend, "failed") is None
        backend.close()


# ---------------------------------------------------------------- processes


def run_children(location: str, kind: str, processes: int) -> list[str]:
    """Run `main` below in so many processes; their lines."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.storage_backends.test_postgresql_writers", location, kind, str(n)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(processes)
    ]
    lines = [line for child in children for line in child.communicate()[0].splitlines()]
    assert [child.returncode for child in children] == [0] * processes
    return lines


def hot(w: Any, chance: random.Random) -> str:
    return str(increment(w))


def transfer(w: Any, chance: random.Random) -> str:
    source, target = chance.sample("abcd", 2)
    amount = chance.randint(1, 9)
    for id, change in ((source, -amount), (target, amount)):
        w.put(id, "t", str(int(w.get(id)[1]) + change), (), ())
    return "1"


def deduplicate(w: Any, chance: random.Random) -> str:
    key = b"%d" % chance.randrange(60)
    if w.scan_index(1, (key, ""), (key, "~"), reverse=False, limit=1):
        return "duplicate"
    w.put(f"{chance.getrandbits(100):032x}", "t", key.decode(), [(1, key)], ())
    return "new"


KINDS = {"hot": hot, "transfer": transfer, "deduplicate": deduplicate}
_EACH = 30  # mutations a thread


def main(location: str, kind: str, number: int) -> None:
    backend = open_backend(location)

    def work(thread: int) -> None:
        chance = random.Random(f"{number} {thread}")
        for _ in range(_EACH):
            line = backend.write(lambda w: KINDS[kind](w, chance), None)
            os.write(1, f"{line}\n".encode())

    together([lambda thread=thread: work(thread) for thread in range(4)])
    backend.close()


def test_a_hot_row_of_four_processes(backend: Any, location: str) -> None:
    lines = run_children(location, "hot", 4)
    assert sorted(map(int, lines)) == list(range(1, 4 * 4 * _EACH + 1))
    assert get(backend, "n") == ("t", str(4 * 4 * _EACH))


def test_transfers_between_hot_rows_of_four_processes(backend: Any, location: str) -> None:
    for id in "abcd":
        put(backend, id, "1000")
    assert len(run_children(location, "transfer", 4)) == 4 * 4 * _EACH
    assert sum(int(get(backend, id)[1]) for id in "abcd") == 4000


def test_two_processes_that_check_and_then_insert_store_nothing_twice(backend: Any, location: str) -> None:
    lines = run_children(location, "deduplicate", 2)
    stored = [key for key, _, _ in entries(backend, 1)]
    assert len(stored) == len(set(stored)) == lines.count("new")


def test_eight_first_starts_at_once(server: Server, tmp_path: Path) -> None:
    opened: list[Any] = []
    location = server.location(schema_for(tmp_path))
    together([lambda: opened.append(open_backend(location))] * 8)
    opened[0].write(putter("a"), None)
    assert [get(backend, "a") for backend in opened] == [("t", "a")] * 8
    for backend in opened:
        backend.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
