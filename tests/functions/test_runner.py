# SPDX-License-Identifier: MIT
"""What a call may do, in which transaction it runs, and what is left when it fails."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from minihttp import (
    App,
    ApplicationError,
    Limits,
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
    DeadlineError,
    DocumentError,
    FunctionNotFoundError,
    LimitError,
    ReturnsValidationError,
)
from tests.functions.called import add, app, name, opens_another, schema, texts

__all__ = ["app"]


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


@action(args={})
def two_transactions(ctx: Any) -> list[str]:
    ctx.run_mutation(add, text="first")
    try:
        ctx.run_mutation(add_and_raise, text="second")
    except ApplicationError:
        pass
    ctx.run_mutation(add, text="third")
    return ctx.run_query(texts)


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
