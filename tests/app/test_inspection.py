# SPDX-License-Identifier: MIT
"""What the command line and the dashboard read of an app, on both engines that are always there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, Crons, HttpRouter, Schema, Table, internal_action, mutation, query, v
from minihttp.app import log_ring
from minihttp.errors import ArgumentValidationError, DocumentError
from minihttp.values import encode_wire

SCHEMA = Schema(
    items=Table({"kind": v.string(), "n": v.number()}).index("by_kind", ["kind", "n"]), empty=Table(v.any())
)


@mutation(args={"count": v.number()})
def fill(ctx: Any, count: float) -> None:
    """Fills the table."""
    for n in range(int(count)):
        ctx.db.insert("items", {"kind": "even" if n % 2 == 0 else "odd", "n": n})


@query(args={"kind": v.optional(v.string())}, returns=v.number())
def count(ctx: Any, kind: str | None = None) -> int:
    return len(ctx.db.query("items").collect())


@internal_action
def fail(ctx: Any) -> None:
    logging.getLogger("mine").warning("about to fail")
    raise ValueError("no luck")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    crons = Crons()
    crons.interval("tidy", seconds=60, function="tests/app/test_inspection:fail")
    http = HttpRouter()
    app = App(
        http,
        schema=SCHEMA,
        modules=[__name__],
        crons=crons,
        data=str(tmp_path),
        workers=0,
        environment={"A_SECRET": "x"},
    )
    with app:
        yield app


def test_tables_are_counted_up_to_a_cap(app: App) -> None:
    app.run_mutation(fill, count=3)
    rows = {row["name"]: row for row in app.run_query("_app:tables")}
    assert set(rows) == {"items", "empty"}
    assert (rows["items"]["documents"], rows["items"]["isCapped"]) == (3, False)
    assert rows["items"]["indexes"] == {"by_kind": ["kind", "n"]}
    assert rows["items"]["validator"]["value"]["n"] == {"fieldType": {"type": "number"}, "optional": False}
    assert rows["empty"]["documents"] == 0
    app.run_mutation(fill, count=1_000)
    [row] = [row for row in app.run_query("_app:tables") if row["name"] == "items"]
    assert (row["documents"], row["isCapped"]) == (1_000, True)


def test_the_framework_s_tables_without_its_secret(app: App) -> None:
    names = {row["name"] for row in app.run_query("_app:tables", system=True)}
    assert {"_storage", "_scheduled_functions"} <= names and "_settings" not in names
    with pytest.raises(DocumentError):
        app.run_query("_app:documents", table="_settings")


def test_a_table_that_no_schema_names(tmp_path: Path) -> None:
    with App(data=str(tmp_path), workers=0) as app:
        app.database.write(lambda t: t.db.insert("free", {"n": 1}))
        [row] = app.run_query("_app:tables")
        assert (row["name"], row["documents"], row["isDeclared"]) == ("free", 1, False)
        assert len(app.run_query("_app:documents", table="free")["page"]) == 1


def test_pages_of_documents(app: App) -> None:
    app.run_mutation(fill, count=7)
    seen: list[float] = []
    page = app.run_query("_app:documents", table="items", limit=3, order="desc")
    while True:
        seen += [document["n"] for document in page["page"]]
        if page["isDone"]:
            break
        cursor = page["continueCursor"]
        page = app.run_query("_app:documents", table="items", limit=3, order="desc", cursor=cursor)
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_by_an_index(app: App) -> None:
    app.run_mutation(fill, count=7)
    found = app.run_query("_app:documents", table="items", index="by_kind", eq=["odd"])["page"]
    assert [document["n"] for document in found] == [1, 3, 5]
    found = app.run_query("_app:documents", table="items", index="by_kind", eq=["odd", 3])["page"]
    assert [document["n"] for document in found] == [3]
    [id] = [document["_id"] for document in found]
    assert app.run_query("_app:documents", table="items", index="by_id", eq=[id])["page"] == found
    for wrong in ({"index": "nope"}, {"index": "by_kind", "eq": [1, 2, 3]}, {"order": "up"}, {"cursor": "x"}):
        with pytest.raises(DocumentError):
            app.run_query("_app:documents", table="items", **wrong)


def test_one_document_of_whatever_table(app: App) -> None:
    app.run_mutation(fill, count=1)
    file = app.files.outside().store(b"x")
    [item] = app.run_query("_app:documents", table="items")["page"]
    assert app.run_query("_app:document", id=item["_id"]) == {"table": "items", "document": item}
    assert app.run_query("_app:document", id=file)["table"] == "_storage"
    assert app.run_query("_app:document", id="nothing") is None
    assert app.run_query("_app:document", id="0" * 32) is None


def test_functions_with_their_validators(app: App) -> None:
    rows = {row["name"].partition(":")[2]: row for row in app.run_query("_app:functions")}
    assert set(rows) == {"fill", "count", "fail"}
    assert (rows["fill"]["kind"], rows["fill"]["visibility"], rows["fill"]["about"]) == (
        "mutation",
        "public",
        "Fills the table.",
    )
    assert rows["count"]["args"]["value"]["kind"] == {"fieldType": {"type": "string"}, "optional": True}
    assert rows["count"]["returns"] == {"type": "number"} and rows["fail"]["args"] == {"type": "any"}
    assert rows["fail"]["visibility"] == "internal" and "test_inspection.py:" in rows["fail"]["location"]


def test_crons_before_and_after_a_run(app: App) -> None:
    [row] = app.run_query("_app:crons")
    assert row["name"] == "tidy" and row["lastRun"] is None and row["nextRun"] > 0
    app.jobs.run_due()
    app.jobs.run_due()
    [row] = app.run_query("_app:crons")
    assert row["lastState"] == "failed" and "no luck" in row["lastError"]
    outcome = app.run_action("_app:run_cron", name="tidy")
    assert "no luck" in outcome["error"] and outcome["logs"] == ["WARNING mine: about to fail"]
    with pytest.raises(ArgumentValidationError, match="no cron 'nope'"):
        app.run_action("_app:run_cron", name="nope")


def test_calls_are_counted(app: App) -> None:
    app.run_mutation(fill, count=1)
    app.run_query(count)
    app.run_query(count)
    with pytest.raises(ValueError, match="no luck"):
        app.run_action(fail)
    rows = {row["name"].partition(":")[2]: row for row in app.run_query("_app:calls")}
    assert (rows["count"]["calls"], rows["count"]["errors"]) == (2, 0)
    assert (rows["fail"]["calls"], rows["fail"]["errors"]) == (1, 1)
    assert 0 < rows["count"]["p50Ms"] <= rows["count"]["p95Ms"]


def test_the_log_knows_who_logged(app: App) -> None:
    ring = log_ring.install()
    try:
        with pytest.raises(ValueError, match="no luck"):
            app.run_action(fail)
        found = app.run_query("_app:logs", function="tests/app/test_inspection:fail")["lines"]
        assert found[-1]["message"] == "about to fail" and found[-1]["level"] == "warning"
        assert app.run_query("_app:logs", function="other")["lines"] == []
    finally:
        logging.getLogger().removeHandler(ring)


def test_everything_can_go_over_the_wire(app: App) -> None:
    app.run_mutation(fill, count=1)
    for name in ("tables", "functions", "crons", "environment", "logs", "calls"):
        encode_wire(app.run_query(f"_app:{name}"))
    encode_wire(app.run_action("_app:check"))
