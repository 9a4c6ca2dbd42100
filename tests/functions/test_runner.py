# SPDX-License-Identifier: MIT
"""What a call may do, in which transaction it runs, and what is left when it fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp import (
    App,
    ApplicationError,
    Limits,
    Schema,
    Table,
    action,
    internal_mutation,
    internal_query,
    mutation,
    query,
    testing,
    v,
)
from minihttp.errors import (
    ArgumentValidationError,
    CallError,
    DeadlineError,
    DocumentError,
    FunctionNotFoundError,
    LimitError,
    ReturnsValidationError,
)
from minihttp.functions.context import CallInfo

schema = Schema(notes=Table({"text": v.string()}).index("by_text", ["text"]))


@mutation(args={"text": v.string()}, returns=v.id("notes"))
def add(ctx: Any, text: str) -> Any:
    return ctx.db.insert("notes", {"text": text})


@query(args={})
def texts(ctx: Any) -> list[str]:
    return [note["text"] for note in ctx.db.query("notes")]


@mutation(args={"text": v.string()})
def add_and_raise(ctx: Any, text: str) -> None:
    ctx.scheduler.run_after(0, add, text="scheduled by the one that failed")
    ctx.db.insert("notes", {"text": text})
    raise ApplicationError({"code": "SOLD_OUT"})


@mutation(args={})
def outer_survives_inner(ctx: Any) -> list[str]:
    ctx.run_mutation(add, text="outer")
    try:
        ctx.run_mutation(add_and_raise, text="inner")
    except ApplicationError as error:
        assert error.data == {"code": "SOLD_OUT"}
    ctx.scheduler.run_after(0, add, text="scheduled by the outer")
    return ctx.run_query(texts)


@query(args={"cursor": v.union(v.string(), v.null())})
def page(ctx: Any, cursor: str | None) -> Any:
    return ctx.db.query("notes").paginate(num_items=1, cursor=cursor)


@mutation(args={"again": v.boolean()})
def three_pages(ctx: Any, again: bool) -> list[str]:
    first = ctx.db.query("notes").paginate(num_items=1)
    second = ctx.run_query(page, cursor=first["continueCursor"])
    third = ctx.run_query(page, cursor=second["continueCursor"])
    ctx.run_query(texts)
    if again:
        ctx.db.query("notes").paginate(num_items=1)
    return [note["text"] for found in (first, second, third) for note in found["page"]]


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


@query(args={}, returns=v.string())
def lies(ctx: Any) -> int:
    return 1


@query(args={})
def returns_nothing(ctx: Any) -> None:
    return None


@query(args={"text": v.string()})
def echo(ctx: Any, text: str) -> str:
    return text * 2


@mutation(args={})
def never_ends(ctx: Any) -> None:
    ctx.db.insert("notes", {"text": "never"})
    while True:
        ctx.db.query("notes").collect()


@query(args={})
def times(ctx: Any) -> list[Any]:
    return [ctx.now(), ctx.now(), 0 < ctx.time_left() <= 1, ctx.deadline > 0]


@action(args={})
def two_transactions(ctx: Any) -> list[str]:
    ctx.run_mutation(add, text="first")
    try:
        ctx.run_mutation(add_and_raise, text="second")
    except ApplicationError:
        pass
    ctx.run_mutation(add, text="third")
    return ctx.run_query(texts)


@internal_mutation(args={})
def opens_another(ctx: Any) -> None:
    the_app.run_mutation(add, text="from inside")


@internal_query(args={})
def frames(ctx: Any) -> list[str]:
    """The names of the functions that run now, the innermost first, up to whoever called `run_*`."""
    names, frame = [], sys._getframe(1)
    while not names or not names[-1].startswith("run_"):
        names.append(frame.f_code.co_name)
        assert frame.f_back is not None
        frame = frame.f_back
    return names


@internal_mutation(args={})
def frames_of_a_mutation(ctx: Any) -> list[str]:
    return frames.handler(ctx)[1:]


@internal_mutation(args={})
def frames_within(ctx: Any) -> list[str]:
    return ctx.run_mutation(frames_of_a_mutation)


the_app: App  # of the running test


@pytest.fixture
def app() -> Iterator[App]:
    global the_app
    base = App(schema=schema, modules=[__name__])
    with testing.in_memory(base) as the_app:
        yield the_app


def name(function: Any) -> str:
    return str(function.name)


@pytest.mark.sqlite  # PostgreSQL has one more
@pytest.mark.parametrize("run", ["run_query", "run_mutation"])
def test_few_frames_lie_between_a_caller_and_the_function(app: App, run: str) -> None:
    found = getattr(app, run)(frames if run == "run_query" else frames_of_a_mutation)
    assert found[-1] == run
    assert len(found) <= 6, found
    assert len(app.run_mutation(frames_within)) <= 6


@pytest.mark.sqlite  # PostgreSQL has one more
def test_the_frames_are_as_few_where_writers_share_a_commit(app: App) -> None:
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(app.run_mutation(frames_of_a_mutation)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert max(map(len, found)) <= 6, found


def test_a_mutation_is_seen_once_it_returned(app: App) -> None:
    note = app.run_mutation(name(add), text="a")
    assert app.run_query(texts) == ["a"]
    assert len(note) == 32


def test_a_raise_undoes_everything_scheduled_work_included(app: App) -> None:
    with pytest.raises(ApplicationError):
        app.run_mutation(add_and_raise, text="a")
    assert testing.run_jobs(app) == 0
    assert app.run_query(texts) == []


def test_a_sub_transaction_is_undone_alone(app: App) -> None:
    assert app.run_mutation(outer_survives_inner) == ["outer"], "reads see own writes"
    assert testing.run_jobs(app) == 1
    assert app.run_query(texts) == ["outer", "scheduled by the outer"]


def test_each_call_of_an_action_is_a_transaction(app: App) -> None:
    assert app.run_action(two_transactions) == ["first", "third"]


def test_each_call_reads_one_page(app: App) -> None:
    for text in "abc":
        app.run_mutation(add, text=text)
    assert app.run_mutation(three_pages, again=False) == ["a", "b", "c"]
    with pytest.raises(DocumentError, match="only one page"):
        app.run_mutation(three_pages, again=True)


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


def test_arguments_and_results(app: App) -> None:
    with pytest.raises(ArgumentValidationError):
        app.run_mutation(add, text=1)
    with pytest.raises(ArgumentValidationError):
        app.run_mutation(add)
    with pytest.raises(ReturnsValidationError):
        app.run_query(lies)
    assert app.run_query(returns_nothing) is None
    with pytest.raises(FunctionNotFoundError):
        app.run_query("nope:nope")


def test_internal_functions_look_like_missing_ones_to_the_public(app: App) -> None:
    with pytest.raises(FunctionNotFoundError) as hidden:
        app.runner.run(name(opens_another), {}, public=True)
    with pytest.raises(FunctionNotFoundError) as missing:
        app.runner.run(name(opens_another) + "x", {}, public=True)
    assert str(missing.value) == str(hidden.value).replace("opens_another", "opens_anotherx")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_args_bytes=100), "arguments of .* the limit is 100"),
        (Limits(max_result_bytes=300), "result of .* the limit is 300"),
    ],
)
def test_sizes_are_limited(limits: Limits, message: str) -> None:
    with testing.in_memory(App(schema=schema, modules=[__name__], limits=limits)) as app:
        assert app.run_query(echo, text="x" * 50) == "x" * 100
        with pytest.raises(LimitError, match=message):
            app.run_query(echo, text="x" * 200)


def test_a_runaway_mutation_is_undone_at_its_limit() -> None:
    limits = Limits(mutation_seconds=0.05, max_read_ranges=10**9)
    with testing.in_memory(App(schema=schema, modules=[__name__], limits=limits)) as app:
        with pytest.raises(DeadlineError, match=r"0\.05 s"):
            app.run_mutation(never_ends)
        assert app.run_query(texts) == []


def test_the_clock_stands_still_in_a_transaction(app: App) -> None:
    assert app.run_query(times) == [app.options.clock(), app.options.clock(), True, True]


def test_an_outer_call_counts_towards_the_depth(app: App) -> None:
    with pytest.raises(CallError):
        app.runner.run(texts, {}, call=CallInfo(depth=9))


def test_concurrent_mutations_are_all_there(app: App) -> None:
    def work(number: int) -> None:
        for step in range(20):
            app.run_mutation(add, text=f"{number}-{step}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(app.run_query(texts)) == sorted(f"{n}-{s}" for n in range(8) for s in range(20))
