# SPDX-License-Identifier: MIT
"""The tables as a person and a transaction see them."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import Any

from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import Oops, get
from tests.storage_backends.sqlite_world import backend, path

__all__ = ["backend", "path"]


def test_a_person_can_read_it(backend: DocumentBackend, path: str) -> None:
    backend.write(lambda w: w.put("id1", "items", '{"name":"é"}', [(1, b"k")], ()), None)
    connection = sqlite3.connect(path)
    assert connection.execute("""SELECT id, json FROM documents WHERE "table" = 'items'""").fetchall() == [
        ("id1", '{"name":"é"}')
    ]
    assert connection.execute("SELECT json ->> 'name' FROM documents").fetchall() == [("é",)]
    connection.close()


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
