# SPDX-License-Identifier: MIT
"""Contexts: what each kind of function may do, and when its clock is."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import App, action, mutation, query, v
from minihttp.errors import CallError
from minihttp.functions.calls import CallInfo
from tests.functions.called import add, app, opens_another, texts

__all__ = ["app"]


@query(args={})
def nosy(ctx: Any) -> list[str]:
    wanted = ("scheduler", "run_mutation", "run_action", "secret")
    files = ("store", "delete", "generate_upload_url")
    found = [name for name in wanted if hasattr(ctx, name)]
    found += [name for name in files if hasattr(ctx.storage, name)]
    return found + [name for name in ("insert", "patch", "replace", "delete") if hasattr(ctx.db, name)]


@mutation(args={})
def query_that_writes(ctx: Any) -> Any:
    return ctx.run_query(nosy)


@action(args={})
def nosy_action(ctx: Any) -> list[str]:
    return [name for name in ("db",) if hasattr(ctx, name)]


@query(args={"depth": v.number()})
def deeper(ctx: Any, depth: int) -> int:
    return ctx.run_query(deeper, depth=depth + 1)


@mutation(args={})
def calls_an_action(ctx: Any) -> None:
    ctx.run_query(nosy_action)


@query(args={})
def times(ctx: Any) -> list[Any]:
    return [ctx.now(), ctx.now(), 0 < ctx.time_left() <= 1, ctx.deadline > 0]


def test_the_context_is_the_permission(app: App) -> None:
    assert app.run_query(nosy) == []
    assert app.run_mutation(query_that_writes) == [], "a query inside a mutation cannot write either"
    assert app.run_action(nosy_action) == []


def test_calls_that_the_kind_does_not_allow(app: App) -> None:
    with pytest.raises(CallError, match=r"add as Query, but it is defined as Mutation"):
        app.run_query(add, text="x")
    with pytest.raises(CallError, match=r"nosy_action as Query, but it is defined as Action"):
        app.run_mutation(calls_an_action)
    with pytest.raises(CallError, match="9 nested calls, the limit is 8"):
        app.run_query(deeper, depth=0)
    with pytest.raises(CallError, match="open in this thread"):
        app.run_mutation(opens_another)
    assert app.run_query(texts) == []


def test_an_action_cannot_run_in_a_transaction(app: App) -> None:
    with pytest.raises(CallError, match="action from a transaction"):
        app.database.write(lambda transaction: app.runner.run_in(transaction, nosy_action, {}))
    with pytest.raises(CallError, match="mutation from a query"):
        app.database.read(lambda transaction: app.runner.run_in(transaction, add, {"text": "x"}))


def test_the_clock_stands_still_in_a_transaction(app: App) -> None:
    assert app.run_query(times) == [app.options.clock(), app.options.clock(), True, True]


def test_an_outer_call_counts_towards_the_depth(app: App) -> None:
    with pytest.raises(CallError):
        app.runner.run(texts, {}, call=CallInfo(depth=9))


@query(args={})
def origin_below(ctx: Any) -> str:
    return ctx.run_query(origin_here) if ctx.origin else ""


@query(args={})
def origin_here(ctx: Any) -> str:
    return str(ctx.origin)


def test_an_origin_is_found_when_a_function_asks_for_it(app: App) -> None:
    asked: list[str] = []

    def find() -> str:
        asked.append("once")
        return "https://api.example.com"

    call = CallInfo(origin=find)
    app.runner.run(texts, {}, call=call)
    assert asked == []
    assert app.runner.run(origin_below, {}, call=call) == "https://api.example.com"
    assert app.runner.run(origin_below, {}, call=CallInfo(origin="https://other.example")) == (
        "https://other.example"
    )
