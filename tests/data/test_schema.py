# SPDX-License-Identifier: MIT
"""Declarations that cannot be are refused where they are written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import v
from minihttp.errors import SchemaError
from storage_backends.sqlite import DocumentBackend

FIELDS = {"name": v.string(), "author": v.object({"city": v.string()})}


def test_a_table_takes_fields_or_a_validator_and_chains_its_indexes() -> None:
    table = Table(FIELDS).index("by_name", ["name"]).index("by_city", ["author.city", "name"])
    assert table.indexes == {"by_name": ("name",), "by_city": ("author.city", "name")}
    assert Table(v.any()).index("by_x", ["x.y"]).indexes == {"by_x": ("x.y",)}
    assert Schema(items=table).tables == {"items": table}
    assert Schema().schema_validation and not Schema(schema_validation=False).schema_validation


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("by_name", ["name"], 'Index "by_name" is already defined'),
        ("by_id", ["name"], 'Index "by_id" is a reserved name'),
        ("by_creation_time", ["name"], "is a reserved name"),
        ("_x", ["name"], "must be named with"),
        ("x" * 65, ["name"], "must be named with"),
        (5, ["name"], "must be named with"),
        ("x", [], "must have a list of 1 to 16 fields"),
        ("x", "name", "must have a list of 1 to 16 fields"),
        ("x", [f"f{i}" for i in range(17)], "must have a list of 1 to 16 fields"),
        ("x", ["name", "name"], "names a field twice"),
        ("x", ["name", "_creationTime"], "must not end with _creationTime"),
        ("x", ["_id", "name"], 'the field "_id", which is not a field path'),
        ("x", ["author..city"], "is not a field path"),
        ("x", [5], "is not a field path"),
        ("x", ["nmae"], 'the field "nmae", which the table does not have; did you mean "name"?'),
    ],
    ids=str,
)
def test_indexes_that_cannot_be(name: str, fields: list[str], message: str) -> None:
    table = Table(FIELDS).index("by_name", ["name"])
    with pytest.raises(SchemaError) as caught:
        table.index(name, fields)
    assert message in str(caught.value)
    assert list(table.indexes) == ["by_name"]


def test_a_table_has_at_most_32_indexes() -> None:
    table = Table(v.any())
    for i in range(32):
        table.index(f"i{i}", [f"f{i}"])
    with pytest.raises(SchemaError, match="one more than the 32 indexes"):
        table.index("more", ["x"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Table({"_x": v.string()}), "begins with '_', which is reserved for system fields"),
        (lambda: Schema(_items=Table({})), "begins with '_', which is reserved for system tables"),
        (lambda: Schema(**{"a-b": Table({})}), "must be 1 to 64 letters, digits"),
        (lambda: Schema(é=Table({})), "must be 1 to 64 letters"),
        (lambda: Schema(items={"name": v.string()}), 'Schema table "items" must be a Table'),
    ],
    ids=range(5),
)
def test_tables_that_cannot_be(make: object, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        make()  # type: ignore[operator]
    assert message in str(caught.value)


def test_a_table_that_leaves_the_schema_is_said_in_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def opened(schema: Schema) -> Database:
        return Database(DocumentBackend(str(tmp_path / "a.db")), schema)

    full = Schema(kept=Table({"n": v.number()}), gone=Table({"n": v.number()}), empty=Table(v.any()))
    with closing(opened(full)) as db:
        db.write(lambda t: (t.db.insert("kept", {"n": 1}), t.db.insert("gone", {"n": 1})))
    for _ in range(2):
        opened(Schema(kept=Table({"n": v.number()}))).close()
    [said] = [r.getMessage() for r in caplog.records if "not in the schema any more" in r.getMessage()]
    assert said.startswith('table "gone" is not in the schema any more')
    with closing(opened(full)) as db:
        assert len(db.read(lambda t: t.db.query("gone").collect())) == 1
