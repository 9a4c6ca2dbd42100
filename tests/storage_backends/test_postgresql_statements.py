# SPDX-License-Identifier: MIT
"""The tables: a person can read them, and those of another program or version are refused."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql_server import postgresql, schema_for
from tests.storage_backends.on_a_server import backend, refused

__all__ = ["backend"]


def test_a_person_can_read_it(backend: Any, tmp_path: Path) -> None:
    backend.write(lambda w: w.put("id1", "items", '{"name":"é"}', [(1, b"k")], ()), None)
    table = f"{schema_for(tmp_path)}.documents"
    assert postgresql().execute(f"""SELECT id, json FROM {table} WHERE "table" = 'items'""") == [
        ("id1", '{"name":"é"}')
    ]


def test_a_document_that_is_replaced_stays_on_its_page(backend: Any) -> None:
    """Else its new place is written into the index, and all conflict that have read near it there."""

    def page() -> str:
        with backend.read(None) as reading:
            [(place,)] = reading.execute("SELECT ctid FROM documents WHERE id = '007'")
            return str(place).partition(",")[0]

    def put(w: Any, text: str, *numbers: int) -> None:
        for n in numbers:
            w.put(f"{n:03}", "t", text * 100, (), ())

    backend.write(lambda w: put(w, "a", *range(200)), None)
    before = page()
    backend.write(lambda w: put(w, "b", 7), None)
    assert page() == before


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE {}.documents (x int)", "of another program"),
        (
            "CREATE TABLE {0}.format (version int); INSERT INTO {0}.format VALUES (99)",
            "of a newer version (format 99, not 1)",
        ),
    ],
)
def test_a_schema_of_another_program_or_a_newer_version(tmp_path: Path, statement: str, message: str) -> None:
    schema = schema_for((tmp_path, statement))
    postgresql().execute(f"CREATE SCHEMA {schema}")
    for part in statement.format(schema).split("; "):
        postgresql().execute(part)
    assert message in refused(errno.EILSEQ, postgresql().location(schema))
