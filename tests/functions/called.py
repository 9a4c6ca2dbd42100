# SPDX-License-Identifier: MIT
"""What the tests of functions share: an app with notes, and the functions of the test module that asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minihttp import App, Schema, Table, internal_mutation, mutation, query, testing, v

schema = Schema(notes=Table({"text": v.string()}).index("by_text", ["text"]))


@mutation(args={"text": v.string()}, returns=v.id("notes"))
def add(ctx: Any, text: str) -> Any:
    return ctx.db.insert("notes", {"text": text})


@query(args={})
def texts(ctx: Any) -> list[str]:
    return [note["text"] for note in ctx.db.query("notes")]


@internal_mutation(args={})
def opens_another(ctx: Any) -> None:
    the_app.run_mutation(add, text="from inside")


the_app: App  # of the running test


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    global the_app
    base = App(schema=schema, modules=[__name__, request.module.__name__])
    with testing.in_memory(base) as the_app:
        yield the_app


def name(function: Any) -> str:
    return str(function.name)
