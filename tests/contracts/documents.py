# SPDX-License-Identifier: MIT
"""What every document engine must do: its test file inherits `DocumentBackendContract` and names its class.

Order, isolation, undoing, durability, and a crash: a child process writes until it is killed, and what it
said to be done must be there.
"""

from __future__ import annotations

import errno
import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS, START_BALANCE = 6, 1_000
SCHEMA = Schema(
    accounts=Table({"number": v.number(), "balance": v.number()}).index("by_number", ["number"]),
    transfers=Table({"source": v.number(), "target": v.number(), "amount": v.number()}),
    singles=Table({"key": v.string()}).index("by_key", ["key"]),
    pairs=Table({"key": v.string(), "half": v.number()}).index("by_key", ["key", "half"]),
)


class Oops(Exception):
    pass


def document_id(n: int) -> str:
    return f"{n:032d}"


class DocumentBackendContract:
    """Subclasses set `backend_class`, and `location` where it is not a path."""

    backend_class = "module:DocumentBackend"
    kills = 30

    def location(self, tmp_path: Path) -> str:
        return str(tmp_path / "data" / "app.db")

    def open(self, location: str) -> Any:
        module, _, name = self.backend_class.partition(":")
        return getattr(importlib.import_module(module), name)(location)

    def check_integrity(self, location: str) -> None:
        """Whatever the engine has to find out whether its files are whole."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Any]:
        backend = self.open(self.location(tmp_path))
        yield backend
        backend.close()

    # ------------------------------------------------------------ documents

    def test_put_get_replace_delete(self, backend: Any) -> None:
        assert put(backend, "a", "{}") is None
        assert get(backend, "a") == ("table", "{}")
        put(backend, "a", '{"x":1}')
        assert get(backend, "a") == ("table", '{"x":1}')
        backend.write(lambda w: w.delete("a", ()), None)
        assert get(backend, "a") is None
        assert get(backend, "never") is None

    @pytest.mark.parametrize(
        "text", ["", "é😀", '"\\u0000"', "x" * 2_000_000], ids=["none", "wide", "nul", "big"]
    )
    def test_text_comes_back_as_it_was(self, backend: Any, text: str) -> None:
        put(backend, "a", text)
        assert get(backend, "a") == ("table", text)

    def test_an_insert_leaves_what_is_there(self, backend: Any) -> None:
        def insert(writing: Any, n: int) -> bool:
            inserted: bool = writing.insert(document_id(1), "t", f'{{"n":{n}}}', [(7, b"%d" % n)])
            return inserted

        assert backend.write(lambda w: [insert(w, 1), insert(w, 2)], None) == [True, False]
        assert backend.write(lambda w: insert(w, 3), None) is False

        def undone(writing: Any) -> Any:
            writing.delete(document_id(1), [(7, b"1")])
            with suppress(Oops), writing.nested():
                assert insert(writing, 4)
                raise Oops
            return insert(writing, 5)

        assert backend.write(undone, None) is True
        with backend.read(None) as reading:
            assert reading.get(document_id(1)) == ("t", '{"n":5}')
            assert [key for _, key, _ in reading.entries((7, b"", ""), 9)] == [b"5"]

    def test_of_inserts_at_the_same_time_one_does_it(self, backend: Any) -> None:
        outcomes: list[bool] = []
        barrier = threading.Barrier(8)

        def insert() -> None:
            for n in range(20):
                barrier.wait(60)
                run = lambda writing, n=n: writing.insert(document_id(n), "t", "{}", [])
                outcomes.append(backend.write(run, None))

        threads = [threading.Thread(target=insert) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (outcomes.count(True), len(outcomes)) == (20, 160)

    def test_write_returns_the_result_and_passes_errors_on(self, backend: Any) -> None:
        assert backend.write(lambda w: "result", None) == "result"
        with pytest.raises(Oops):
            backend.write(raise_after(lambda w: w.put("a", "table", "{}", [(1, b"k")], ())), None)
        assert get(backend, "a") is None
        assert entries(backend, 1) == []

    # ------------------------------------------------------------ order

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_documents_in_the_order_of_ids(self, backend: Any, reverse: bool, limit: int) -> None:
        names = ["b", "a0", "A", "c", "aa", "a", "0"]
        backend.write(lambda w: [w.put(id, "t", id, (), ()) for id in names], None)
        for start, stop in (("", "~"), ("a", "b"), ("a", "a"), ("c", "a"), ("aa", "~")):
            wanted = sorted((id for id in names if start <= id < stop), reverse=reverse)[:limit]
            with backend.read(None) as reading:
                assert [id for id, _ in reading.scan(start, stop, reverse=reverse, limit=limit)] == wanted

    def test_entries_in_the_order_of_keys_and_ids(self, backend: Any) -> None:
        keys = [b"", b"\0", b"\0\xff", b"a", b"a\0", b"ab", b"\xff", b"\xff\xff"]
        rows = [(key, document_id(n)) for key in keys for n in range(3)]

        def fill(w: Any) -> None:
            for n in range(3):
                w.put(document_id(n), "t", str(n), [(7, key) for key in keys], ())
                w.add_entries([(8, b"other", document_id(n))])

        backend.write(fill, None)
        positions = st.sampled_from([*rows, (b"", ""), (b"a", "~"), (b"\xff\xff\xff", "")])

        @given(positions, positions, st.booleans(), st.integers(1, 30))
        @settings(max_examples=100, suppress_health_check=[HealthCheck.differing_executors])
        def scans_agree(start: Any, stop: Any, reverse: bool, limit: int) -> None:
            wanted = sorted((row for row in rows if start <= row < stop), reverse=reverse)[:limit]
            with backend.read(None) as reading:
                found = reading.scan_index(7, start, stop, reverse=reverse, limit=limit)
            assert [(bytes(key), id, text) for key, id, text in found] == [
                (key, id, str(int(id))) for key, id in wanted
            ]

        scans_agree()

    def test_long_keys_are_whole_keys(self, backend: Any) -> None:
        """An engine may keep only the beginning of a key in its index: that is nobody's concern."""
        a, b = b"a", b"b"
        keys = [a * n for n in (10, 1_999, 2_000, 2_001, 2_002, 3_000, 6_000)]
        keys += [a * 2_000 + b, a * 2_000 + b + a * 500, a * 1_999 + b, a * 1_999 + b + a * 4_000]
        keys += [b * n for n in (1_999, 2_000, 2_001, 5_000)] + [b"\xff" * 2_500, b"c", b""]
        rows = sorted((key, document_id(n)) for n, key in enumerate(keys))
        texts = {id: str(n) for n, (_, id) in enumerate(rows)}
        some = [rows[n] for n in range(0, len(rows), 3)]

        def scans(reading: Any) -> None:
            for start in (b"", a * 1_999, a * 2_000, a * 2_001, a * 4_000, b * 2_000, b * 3_000):
                for stop in (b"\xff" * 9_000, a * 2_001, a * 2_000 + b, b * 2_001):
                    for limit, reverse in [
                        (1, False),
                        (1, True),
                        (4, False),
                        (4, True),
                        (99, False),
                        (99, True),
                    ]:
                        wanted = [row for row in rows if start <= row[0] < stop]
                        wanted.sort(reverse=reverse)
                        found = reading.scan_index(5, (start, ""), (stop, ""), reverse=reverse, limit=limit)
                        assert [(bytes(key), id) for key, id, _ in found] == wanted[:limit]
                        assert [text for _, id, text in found] == [texts[id] for _, id in wanted[:limit]]
            for key, id in rows:
                found = reading.scan_index(5, (key, ""), (key, "~"), reverse=False, limit=9)
                assert [(bytes(key), id) for key, id, _ in found] == [(key, id)]

        def half(w: Any) -> None:
            for key, id in some:
                w.put(id, "t", texts[id], [(5, key)], ())

        def rest(w: Any) -> None:
            for key, id in rows:
                if (key, id) not in some:
                    w.put(id, "t", texts[id], [(5, key)], ())
            scans(w)

        backend.write(half, None)
        backend.write(rest, None)
        with backend.read(None) as reading:
            scans(reading)
        id = rows[-1][1]  # from one long key to another that begins alike, and away
        backend.write(lambda w: w.put(id, "t", "", [(5, b"\xff" * 2_600)], [(5, b"\xff" * 2_500)]), None)
        assert [bytes(row[0]) for row in last_entries(backend, 5)] == [b"\xff" * 2_600]
        backend.write(lambda w: w.delete(id, [(5, b"\xff" * 2_600)]), None)
        assert last_entries(backend, 5) == []

    def test_entries_come_and_go_with_their_document(self, backend: Any) -> None:
        backend.write(lambda w: w.put("a", "t", "1", [(1, b"x"), (2, b"y")], ()), None)
        backend.write(lambda w: w.put("a", "t", "2", [(1, b"z")], [(1, b"x")]), None)
        assert (entries(backend, 1), entries(backend, 2)) == ([(b"z", "a", "2")], [(b"y", "a", "2")])
        backend.write(lambda w: w.delete("a", [(1, b"z"), (2, b"y")]), None)
        assert (entries(backend, 1), entries(backend, 2)) == ([], [])

    def test_counting_ends_at_the_limit(self, backend: Any) -> None:
        backend.write(lambda w: [w.put(f"{n:02}", "t", "{}", (), ()) for n in range(30)], None)
        with backend.read(None) as reading:
            assert reading.count("", "~", 1_000) == 30
            assert reading.count("05", "07", 1_000) == 2
            assert reading.count("", "~", 7) == 7
        assert backend.write(lambda w: (w.delete("00", ()), w.count("", "~", 1_000))[1], None) == 29

    def test_entries_of_every_index_also_without_their_document(self, backend: Any) -> None:
        def write(w: Any) -> None:
            w.put("a", "t", "{}", [(1, b"\x00k"), (2, b"x")], ())
            w.put("b", "t", "{}", [(1, b"\x00k")], ())
            w.delete("b", ())
            w.add_entries([(7, b"\xff", "gone")])

        backend.write(write, None)
        stored = [(1, b"\x00k", "a"), (1, b"\x00k", "b"), (2, b"x", "a"), (7, b"\xff", "gone")]
        with backend.read(None) as reading:
            assert [tuple(row) for row in reading.entries((0, b"", ""), 100)] == stored
            assert [tuple(row) for row in reading.entries((1, b"\x00k", "b"), 2)] == stored[1:3]
            assert list(reading.entries((8, b"", ""), 100)) == []

    def test_nothing_is_wrong_with_it(self, backend: Any) -> None:
        put(backend, "a", "1")
        assert backend.problems(10.0) == ([], True)

    def test_entries_alone_come_and_go(self, backend: Any) -> None:
        backend.write(lambda w: [w.put(document_id(n), "t", "", [(1, b"k")], ()) for n in range(3)], None)
        backend.write(lambda w: w.add_entries((2, b"%d" % n, document_id(n)) for n in range(3)), None)
        assert [key for key, _, _ in entries(backend, 2)] == [b"0", b"1", b"2"]
        backend.write(lambda w: w.remove_entries((1, b"k", document_id(n)) for n in range(3)), None)
        assert (len(entries(backend, 1)), len(entries(backend, 2))) == (0, 3)

    # ------------------------------------------------------------ isolation

    def test_a_transaction_reads_its_own_writes(self, backend: Any) -> None:
        def run(w: Any) -> Any:
            w.put("a", "t", "1", [(1, b"k")], ())
            return w.get("a"), w.scan("", "~", reverse=False, limit=9), entries_of(w, 1)

        assert backend.write(run, None) == (("t", "1"), [("a", "1")], [(b"k", "a", "1")])

    def test_a_snapshot_does_not_move(self, backend: Any) -> None:
        put(backend, "a", "old")
        with backend.read(None) as reading:
            assert reading.get("a") == ("table", "old")
            in_a_thread(lambda: put(backend, "a", "new"))
            in_a_thread(lambda: put(backend, "b", "new"))
            assert reading.get("a") == ("table", "old")
            assert reading.get("b") is None
        assert get(backend, "a") == ("table", "new")

    def test_nobody_sees_what_is_not_committed(self, backend: Any) -> None:
        def run(w: Any) -> None:
            w.put("a", "t", "1", (), ())
            in_a_thread(lambda: seen.append(get(backend, "a")))

        seen: list[Any] = []
        backend.write(run, None)
        assert seen == [None]

    def test_a_sub_transaction_is_undone_alone(self, backend: Any) -> None:
        def run(w: Any) -> None:
            w.put("kept", "t", "", (), ())
            with pytest.raises(Oops), w.nested():
                w.put("kept", "t", "changed", [(1, b"k")], ())
                with w.nested():
                    w.put("inner", "t", "", (), ())
                raise Oops
            with w.nested():
                w.put("after", "t", "", (), ())

        backend.write(run, None)
        assert [get(backend, id) for id in ("kept", "inner", "after")] == [("t", ""), None, ("t", "")]
        assert entries(backend, 1) == []

    def test_any_transactions_leave_what_a_dict_would_hold(self, backend: Any) -> None:
        @given(st.lists(st.tuples(STEPS, st.booleans()), max_size=4))
        @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
        def agree(transactions: Any) -> None:
            model: dict[str, str] = {}
            backend.write(lambda w: [w.delete(id, entries_for(text)) for id, text in stored(w)], None)
            for steps, fails in transactions:
                with suppress(Oops):
                    model = backend.write(lambda w, s=steps, f=fails, m=model: take(w, m, s, f), None)
                with backend.read(None) as reading:
                    check(reading, model)

        agree()

    def test_concurrent_writers_lose_nothing(self, backend: Any) -> None:
        def increment(w: Any) -> None:
            w.put("n", "table", str(int(w.get("n")[1]) + 1), (), ())

        def fail(w: Any) -> None:
            increment(w)
            raise Oops

        def work() -> None:
            for _ in range(20):
                backend.write(increment, None)
                with pytest.raises(Oops):
                    backend.write(fail, None)

        put(backend, "n", "0")
        together([work] * 6)
        assert get(backend, "n") == ("table", "120")

    # ------------------------------------------------------------ other processes

    def test_two_backends_on_one_store(self, backend: Any, tmp_path: Path) -> None:
        if not backend.shared:
            with pytest.raises(backend.Fault) as caught:
                self.open(self.location(tmp_path))
            assert caught.value.errno == errno.EAGAIN
            return
        other = self.open(self.location(tmp_path))

        def increment(w: Any) -> None:
            w.put("n", "table", str(int((w.get("n") or ("", "0"))[1]) + 1), (), ())

        together([lambda b=b: [b.write(increment, None) for _ in range(25)] for b in (backend, other) * 2])
        assert get(backend, "n") == get(other, "n") == ("table", "100")
        other.close()

    @pytest.mark.parametrize("way", ["write", "submit"])
    def test_a_guard_that_does_not_hold(self, backend: Any, way: str) -> None:
        put(backend, "guard", '{"generation":"it\'s 1"}')

        def write(run: Any, guard: Any) -> None:
            if way == "write":
                backend.write(run, None, guard=guard)
                return
            ended, errors = threading.Event(), []
            backend.submit(run, None, lambda _, error: (errors.append(error), ended.set()), guard=guard)
            assert ended.wait(60)
            if errors[0] is not None:
                raise errors[0]

        write(lambda w: w.put("a", "t", "1", (), ()), ("guard", '{"generation":"it\'s 1"}'))
        for guard in (("guard", "{}"), ("none", "{}")):
            if backend.shared:
                with pytest.raises(backend.Fault) as caught:
                    write(lambda w: w.put("a", "t", "2", (), ()), guard)
                assert caught.value.errno == errno.ESTALE
            else:
                write(lambda w: w.put("a", "t", "1", (), ()), guard)
        with suppress(backend.Fault, Oops):  # what it raises may come of what the guard would have told
            write(raise_after(lambda w: w.get("a")), ("guard", "{}"))
        assert get(backend, "a") == ("t", "1")
        write(lambda w: w.put("guard", "t", "{}", (), ()), ("guard", '{"generation":"it\'s 1"}'))
        assert get(backend, "guard") == ("t", "{}")

    def test_a_locked_document(self, backend: Any, tmp_path: Path) -> None:
        backend.write(lambda w: [w.put(id, "t", "1", (), ()) for id in "ab"], None)
        assert backend.write(lambda w: [*w.lock(["a"]), *w.lock(["b", "a"])], None)[0] == "a"
        assert set(backend.write(lambda w: (w.put("a", "t", "2", (), ()), w.lock(["b", "a"]))[1], None)) == {
            "a",
            "b",
        }
        if not backend.shared:
            return
        other = self.open(self.location(tmp_path))

        def lock(w: Any) -> bool:
            held = w.lock(["a"])
            together([lambda: seen.append(other.write(lambda o: o.lock(["a", "b"]), None))])
            return list(held) == ["a"]

        seen: list[Any] = []
        assert backend.write(lock, None)
        assert list(map(list, seen)) == [["b"]]
        assert list(other.write(lambda w: w.lock(["a"]), None)) == ["a"]
        other.close()

    @pytest.mark.parametrize("stored", ["1", "2", None])
    @pytest.mark.parametrize("writes", ["put", "delete", "nothing"])
    def test_what_is_trusted_and_not_so_is_read(self, backend: Any, stored: str | None, writes: str) -> None:
        seen: list[Any] = []

        def run(w: Any) -> Any:
            w.trust("a", "t", "1")
            seen.append(w.get("a"))
            if writes == "put":
                w.put("a", "t", f"after {seen[-1]}", [(1, b"k")], ())
            elif writes == "delete":
                w.delete("a", ())
            return seen[-1]

        if stored:
            backend.write(lambda w: w.put("a", "t", stored, (), ()), None)
        found = stored and ("t", stored)
        assert backend.write(run, None) == found
        assert len(seen) == (2 if backend.shared and stored != "1" else 1)
        after = {"put": ("t", f"after {found}"), "delete": None, "nothing": found}[writes]
        assert get(backend, "a") == after

    def test_what_this_transaction_has_written_is_not_trusted_to_be_otherwise(self, backend: Any) -> None:
        def run(w: Any) -> Any:
            w.put("a", "t", "2", (), ())
            w.trust("a", "t", "1")
            return w.get("a")

        assert backend.write(run, None) == ("t", "2")

    def test_a_published_snapshot_is_read_by_other_processes_while_it_is_open(
        self, backend: Any, tmp_path: Path
    ) -> None:
        put(backend, "n", "0")
        other = self.open(self.location(tmp_path)) if backend.shared else backend
        with backend.read(None) as reading:
            assert reading.get("n") == ("table", "0")
            assert backend.publish(reading, 7, 60.0)
            assert backend.publish(reading, 2**64 - 1, 0.0)
            put(other, "n", "1")
            if backend.shared:
                with other.read(None) as theirs:
                    assert theirs.get("n") == ("table", "1")
                    assert not other.publish(theirs, 7, 60.0)
                for _ in range(2):
                    with other.published(7) as published:
                        assert published.get("n") == reading.get("n") == ("table", "0")
            gone(other, 2**64 - 1)  # its time is over
        gone(other, 7)
        gone(other, 8)
        if backend.shared:
            other.close()

    def test_the_store_has_a_clock(self, backend: Any) -> None:
        assert abs(backend.clock_offset()) < (5 if backend.shared else 1e-9)

    def test_news_is_heard_by_other_processes(self, backend: Any, tmp_path: Path) -> None:
        heard = threading.Event()
        backend.listen(heard.set)
        if not backend.shared:
            backend.notify()
            assert not heard.is_set()
            return
        other = self.open(self.location(tmp_path))
        assert heard.wait(30)  # once it listens: something may have been missed
        heard.clear()
        other.notify()
        assert heard.wait(30)
        other.close()

    # ------------------------------------------------------------ durability

    # ------------------------------------------------------------ submitted mutations

    def test_a_submitted_mutation_is_durable_when_it_is_told(self, backend: Any) -> None:
        told = Told(backend)
        for n in range(200):
            told.submit(lambda w, n=n: [w.put(document_id(n), "t", str(n), [], []), n][1])
        assert sorted(told.wait(200)) == [(n, None) for n in range(200)]
        with backend.read(None) as reading:
            assert [json for _, json in stored(reading)] == [str(n) for n in range(200)]

    def test_an_error_undoes_one_submitted_mutation_alone(self, backend: Any) -> None:
        told = Told(backend)

        def fail(w: Any) -> None:
            w.put(document_id(1), "t", "never", [], [])
            raise Oops("one")

        told.submit(lambda w: w.put(document_id(0), "t", "zero", [], []))
        told.submit(fail)
        told.submit(lambda w: w.put(document_id(2), "t", w.get(document_id(0))[1], [], []))
        outcomes = told.wait(3)
        assert sorted(repr(error) for _, error in outcomes) == ["None", "None", "Oops('one')"]
        with backend.read(None) as reading:
            assert [json for _, json in stored(reading)] == ["zero", "zero"]

    def test_submitted_and_waiting_writers_lose_nothing(self, backend: Any) -> None:
        """Each adds one to the same document; some run in their own thread, some in anybody's, some wait for
        nothing."""
        put(backend, document_id(0), "0")
        told = Told(backend)

        def add(w: Any) -> None:
            w.put(document_id(0), "t", str(int(w.get(document_id(0))[1]) + 1), [], [])

        def wait_for_each(any_thread: bool) -> None:
            for _ in range(40):
                backend.write(add, None, any_thread=any_thread)

        def submit() -> None:
            for _ in range(40):
                told.submit(add)

        together([lambda: wait_for_each(False), lambda: wait_for_each(True), submit, submit])
        assert {error for _, error in told.wait(80)} == {None}
        assert get(backend, document_id(0))[1] == "160"

    def test_who_is_told_may_submit_again(self, backend: Any) -> None:
        ended = threading.Event()

        def then(left: int) -> None:
            def told(result: Any, error: BaseException | None) -> None:
                assert error is None
                then(left - 1)

            if left:
                backend.submit(lambda w: w.put(document_id(left), "t", "x", [], []), None, told)
            else:
                ended.set()

        then(20)
        assert ended.wait(30)
        with backend.read(None) as reading:
            assert len(stored(reading)) == 20

    def test_what_is_submitted_after_the_end_is_told_so(self, backend: Any) -> None:
        told = Told(backend)
        told.submit(lambda w: w.put(document_id(0), "t", "x", [], []))
        told.wait(1)
        backend.close()
        told.submit(lambda w: w.put(document_id(1), "t", "x", [], []))
        [(_, error)] = told.wait(2)[1:]
        assert isinstance(error, backend.Fault)

    def test_documents_outlive_the_process(self, tmp_path: Path) -> None:
        location = self.location(tmp_path)
        first = self.open(location)
        put(first, "a", "1")
        first.close()
        first.close()  # a second time is nothing
        second = self.open(location)
        assert get(second, "a") == ("table", "1")
        second.close()

    def test_statistics_are_numbers(self, backend: Any) -> None:
        assert all(isinstance(value, (int, float)) for value in backend.statistics().values())

    def test_many_kills(self, tmp_path: Path) -> None:
        """Acknowledged: there. Never half. Balances add up. After each kill at a random moment."""
        location, chance = self.location(tmp_path), random.Random(30)
        acknowledged: set[str] = set()
        at_least = [chance.randint(1, 80) for _ in range(self.kills)]
        for round_number, count in enumerate(at_least):
            acknowledged |= self._run_until_killed(location, round_number, count)
            self.check_integrity(location)
            self._check_state(location, acknowledged)
        assert len(acknowledged) >= sum(at_least)

    def _run_until_killed(self, location: str, round_number: int, at_least: int) -> set[str]:
        """Kills the child once so many writes are acknowledged; returns these and what came meanwhile."""
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.contracts.documents",
                self.backend_class,
                location,
                str(round_number),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        with child.stdout:
            lines = [child.stdout.readline() for _ in range(at_least)]
            child.kill()
            lines += child.stdout.readlines()
        assert child.wait() == -signal.SIGKILL, "the child failed on its own"
        return {line.decode().strip() for line in lines if line.endswith(b"\n")}

    def _check_state(self, location: str, acknowledged: set[str]) -> None:
        database = Database(self.open(location), SCHEMA)
        rows = database.read(
            lambda t: {
                name: t.db.query(name).collect() for name in ("accounts", "transfers", "singles", "pairs")
            }
        )
        halves: dict[str, set[float]] = {}
        for row in rows["pairs"]:
            halves.setdefault(row["key"], set()).add(row["half"])
        assert all(found == {1, 2} for found in halves.values())

        balances = {row["number"]: row["balance"] for row in rows["accounts"]}
        replayed = dict.fromkeys(range(ACCOUNTS), START_BALANCE)
        for row in rows["transfers"]:
            replayed[row["source"]] -= row["amount"]
            replayed[row["target"]] += row["amount"]
        assert balances == replayed

        there = (
            {row["key"] for row in rows["singles"]} | set(halves) | {row["_id"] for row in rows["transfers"]}
        )
        assert acknowledged <= there
        indexed = database.read(lambda t: len(t.db.query("singles").with_index("by_key").collect()))
        assert indexed == len(rows["singles"])
        database.close()


# ---------------------------------------------------------------- helpers


class Told:
    """Submits mutations and collects what is told of them."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._more = threading.Semaphore(0)
        self._outcomes: list[tuple[Any, BaseException | None]] = []

    def submit(self, run: Any) -> None:
        self._backend.submit(run, None, self._take)

    def _take(self, result: Any, error: BaseException | None) -> None:
        self._outcomes.append((result, error))
        self._more.release()

    def wait(self, count: int) -> list[tuple[Any, BaseException | None]]:
        """The outcomes so far, once there are as many as this."""
        while len(self._outcomes) < count:
            assert self._more.acquire(timeout=30)
        return list(self._outcomes)


def put(backend: Any, id: str, text: str) -> None:
    backend.write(lambda w: w.put(id, "table", text, (), ()), None)


def gone(backend: Any, number: int) -> None:
    """Nobody waits for the server's answer to the end of a snapshot, so it may be there for a moment more."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with backend.published(number):
                continue
        except backend.Fault as fault:
            assert fault.errno == errno.ENOENT
            return
    pytest.fail(f"snapshot {number} is still there")


def putter(id: str) -> Any:
    """A mutation that writes one row and returns its id."""
    return lambda w: w.put(id, "t", id, (), ()) or id


def get(backend: Any, id: str) -> Any:
    with backend.read(None) as reading:
        return reading.get(id)


def entries_of(reading: Any, index: int) -> list[Any]:
    found = reading.scan_index(index, (b"", ""), (b"\xff" * 9, ""), reverse=False, limit=1000)
    return [(bytes(key), id, text) for key, id, text in found]


def entries(backend: Any, index: int) -> list[Any]:
    with backend.read(None) as reading:
        return entries_of(reading, index)


def last_entries(backend: Any, index: int) -> Any:
    with backend.read(None) as reading:
        return reading.scan_index(index, (b"d", ""), (b"\xff" * 9_000, ""), reverse=False, limit=9)


# A step: put (an id, a text), delete (an id), look (at all), or a sub-transaction (steps, whether it fails).
_IDS = st.sampled_from("abc")
_STEP: Any = st.deferred(
    lambda: st.one_of(
        st.tuples(st.just("put"), _IDS, st.sampled_from(["1", "2", "12", "13"])),
        st.tuples(st.just("delete"), _IDS),
        st.tuples(st.just("get"), _IDS),
        st.tuples(st.just("check")),
        st.tuples(st.just("nested"), STEPS, st.booleans()),
    )
)
STEPS = st.lists(_STEP, max_size=6)


def take(w: Any, before: dict[str, str], steps: Any, fails: bool) -> dict[str, str]:
    """Take the steps in a transaction, and return what a dict would hold after them."""
    model = dict(before)
    for name, *arguments in steps:
        if name == "put":
            id, text = arguments
            new, old = entries_for(text), entries_for(model.get(id, ""))
            w.put(id, "t", text, [e for e in new if e not in old], [e for e in old if e not in new])
            model[id] = text
        elif name == "delete":
            w.delete(arguments[0], entries_for(model.pop(arguments[0], "")))
        elif name == "get":
            assert w.get(arguments[0]) == (("t", model[arguments[0]]) if arguments[0] in model else None)
        elif name == "check":
            check(w, model)
        else:
            with suppress(Oops), w.nested():
                model = take(w, model, *arguments)
    if fails:
        raise Oops
    return model


def entries_for(text: str) -> list[tuple[int, bytes]]:
    """In index 1 the first letter of a document, in index 2 each letter."""
    return [(1, text[:1].encode()), *((2, letter.encode()) for letter in text)] if text else []


def stored(reading: Any) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = reading.scan("", "~", reverse=False, limit=1000)
    return rows


def check(reading: Any, model: dict[str, str]) -> None:
    assert dict(stored(reading)) == model
    for index in (1, 2):
        wanted = [
            (key, id, text)
            for id, text in model.items()
            for number, key in entries_for(text)
            if number == index
        ]
        assert entries_of(reading, index) == sorted(wanted)


def raise_after(run: Any) -> Any:
    def both(w: Any) -> None:
        run(w)
        raise Oops

    return both


def together(calls: list[Any]) -> None:
    """Run the calls side by side; the first error of any is raised."""
    errors: list[BaseException] = []

    def guarded(call: Any) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_a_thread(call: Any) -> None:
    together([call])


# ---------------------------------------------------------------- the child that is killed


def write_for_ever(backend_class: str, location: str, round_number: int) -> None:
    """Mutations of three kinds from four threads; each is written to stdout once it is acknowledged."""
    contract = DocumentBackendContract()
    contract.backend_class = backend_class
    database = Database(contract.open(location), SCHEMA)

    def open_accounts(t: Any) -> None:
        if t.db.query("accounts").first() is None:
            for number in range(ACCOUNTS):
                t.db.insert("accounts", {"number": number, "balance": START_BALANCE})

    database.write(open_accounts)

    def single(t: Any, key: str, chance: random.Random) -> str:
        t.db.insert("singles", {"key": key})
        return key

    def pair(t: Any, key: str, chance: random.Random) -> str:
        t.db.insert("pairs", {"key": key, "half": 1})
        t.db.insert("pairs", {"key": key, "half": 2})
        return key

    def transfer(t: Any, key: str, chance: random.Random) -> str:
        source, target = chance.sample(range(ACCOUNTS), 2)
        amount = chance.randint(1, 50)
        for number, change in ((source, -amount), (target, amount)):
            row = (
                t.db.query("accounts").with_index("by_number", lambda q, n=number: q.eq("number", n)).unique()
            )
            t.db.patch(row["_id"], {"balance": row["balance"] + change})
        return str(t.db.insert("transfers", {"source": source, "target": target, "amount": amount}))

    def work(worker: int) -> None:
        chance, count = random.Random(worker), 0
        while True:
            count += 1
            kind = (single, pair, transfer)[count % 3]
            key = f"{kind.__name__}-{round_number}-{worker}-{count}"
            done = database.write(lambda t: kind(t, key, chance))  # noqa: B023
            os.write(1, f"{done}\n".encode())

    together([lambda worker=worker: work(worker) for worker in range(4)])


if __name__ == "__main__":
    write_for_ever(sys.argv[1], sys.argv[2], int(sys.argv[3]))
