# SPDX-License-Identifier: MIT
"""The contexts that users name: classes when a program runs, Protocols for type checkers.

`tests/types` has what type checkers say of them.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import minihttp
from minihttp import ActionCtx, HandlerCtx, MutationCtx, QueryCtx, testing
from minihttp.functions import context, protocols
from tests.live import ROOT

SEEN: list[Any] = []


@minihttp.query
def read(ctx: QueryCtx) -> None:
    SEEN.append(ctx)


@minihttp.mutation
def write(ctx: MutationCtx) -> None:
    SEEN.append(ctx)
    ctx.run_query(read)


@minihttp.action
def act(ctx: ActionCtx) -> None:
    SEEN.append(ctx)
    ctx.run_mutation(write)


def test_they_are_the_classes_of_the_contexts() -> None:
    for name in protocols.__all__:
        named = getattr(minihttp, name)
        assert named is getattr(context, name) is getattr(protocols, name)
        assert not getattr(named, "_is_protocol", False), "a Protocol costs time and memory, and checks less"


def test_a_context_is_an_instance_of_what_it_is_named_by() -> None:
    app = minihttp.App(minihttp.HttpRouter(), modules=[sys.modules[__name__]])
    with testing.in_memory(app) as copy:
        copy.run_action(act)
    action, mutation, query = SEEN
    kinds = (ActionCtx, MutationCtx, QueryCtx, HandlerCtx)
    assert [isinstance(action, kind) for kind in kinds] == [True, False, False, False]
    assert [isinstance(mutation, kind) for kind in kinds] == [False, True, True, False]
    assert [isinstance(query, kind) for kind in kinds] == [False, False, True, False]
    assert not hasattr(query.db, "insert") and not hasattr(action, "db")


def test_a_function_called_with_a_fake_runs_with_it() -> None:
    class Fake:
        run_query = staticmethod(lambda function: function(fake))

    fake = Fake()
    SEEN.clear()
    write(fake)
    assert [fake, fake] == SEEN


def test_naming_them_loads_no_more_than_the_contexts_need() -> None:
    program = "import sys; from minihttp import QueryCtx; print({'sqlite3', 'waitress'} & {*sys.modules})"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout == "set()\n"
