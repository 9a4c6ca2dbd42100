# SPDX-License-Identifier: MIT
"""`_jobs:…`: what the command line and the dashboard ask of jobs, and do to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp import App, internal_mutation, testing
from minihttp.errors import MinihttpError


@internal_mutation
def note(ctx: Any, text: str) -> str:
    return text


@internal_mutation
def fail(ctx: Any) -> None:
    raise ValueError("no luck")


@pytest.fixture
def app() -> Iterator[App]:
    with testing.in_memory(App(modules={"m": sys.modules[__name__]})) as app:
        yield app


def test_jobs_are_listed_without_what_may_be_large(app: App) -> None:
    later = app.jobs.scheduler().run_after(3_600, note, text="later")
    app.jobs.scheduler().run_after(0, fail)
    testing.run_jobs(app)
    failed, pending = sorted(app.run_query("_jobs:list"), key=lambda row: row["state"]["kind"])
    assert (failed["name"], failed["state"]["kind"], pending["_id"]) == ("m:fail", "failed", later)
    assert not {"args", "result", "failures"} & {*failed, *pending}
    assert app.run_query("_jobs:show", id=later)["args"] == [{"text": "later"}]
    assert app.run_query("_jobs:list", state="success") == []
    [row] = app.run_query("_jobs:page", name="m:note")["page"]
    assert row["_id"] == later
    assert app.run_query("_jobs:page", request_id="none")["page"] == []


def test_a_job_is_canceled_or_run_again(app: App) -> None:
    id = app.jobs.scheduler().run_after(3_600, note, text="x")
    with pytest.raises(MinihttpError, match="is not a job that has ended"):
        app.run_mutation("_jobs:retry", id=id)
    assert app.run_mutation("_jobs:cancel", id=id)["state"] == {"kind": "canceled"}
    again = app.run_mutation("_jobs:retry", id=id)
    testing.run_jobs(app)
    assert app.run_query("_jobs:show", id=again)["result"] == "x"
