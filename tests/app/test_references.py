# SPDX-License-Identifier: MIT
"""Who refers to a document: along an index, in nested fields, and never by reading a whole table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, Schema, Table, v

SCHEMA = Schema(
    users=Table({"name": v.string()}),
    posts=Table({"author": v.optional(v.id("users")), "n": v.number()}).index("by_author", ["author", "n"]),
    teams=Table({"members": v.array(v.object({"user": v.id("users")})), "name": v.string()}),
    notes=Table(v.any()),
    others=Table({"user": v.string(), "post": v.id("posts")}),
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(schema=SCHEMA, data=":memory:", files=str(tmp_path)) as app:
        yield app


def insert(app: App, table: str, **document: Any) -> str:
    id: str = app.run_mutation("_app:insert_document", table=table, document=document)
    return id


def found(app: App, *ids: str) -> tuple[list[tuple[str, str]], list[str]]:
    answer = app.run_query("_app:references", ids=list(ids))
    return [(row["table"], row["field"]) for row in answer["rows"]], answer["partial"]


def test_by_index_in_nested_fields_and_in_free_ones(app: App) -> None:
    ada, bob = insert(app, "users", name="Ada"), insert(app, "users", name="Bob")
    insert(app, "posts", author=ada, n=1)
    insert(app, "posts", n=2)
    insert(app, "teams", name=ada, members=[{"user": bob}, {"user": ada}, {"user": ada}])
    insert(app, "notes", about={"who": [ada]})
    insert(app, "others", user=ada, post=insert(app, "posts", n=3))  # a text, no id
    assert found(app, ada) == ([("posts", "author"), ("teams", "members"), ("notes", "about")], [])
    assert found(app, bob) == ([("teams", "members")], [])
    assert len(found(app, ada, bob)[0]) == 4


def test_what_is_no_document(app: App) -> None:
    for id in ("", "x", "0" * 32):
        assert found(app, id) == ([], [])
    assert found(app) == ([], [])


def test_a_large_table_is_not_read_whole(app: App) -> None:
    """1,000 posts and 1,000 notes: 20 of the index and 200 of the others are read."""
    ada = insert(app, "users", name="Ada")

    def fill(transaction: Any) -> None:
        for n in range(1_000):
            transaction.db.insert("posts", {"author": ada, "n": n})
            transaction.db.insert("notes", {"about": ada})

    app.database.write(fill)
    rows, partial = found(app, ada)
    assert (rows.count(("posts", "author")), rows.count(("notes", "about"))) == (20, 200)
    assert partial == ["posts", "notes"]
