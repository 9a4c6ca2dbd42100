# SPDX-License-Identifier: MIT
"""What tests of apps are written with."""

from __future__ import annotations

from base64 import b64encode
from types import ModuleType
from typing import Any

import pytest
import webtest

from minihttp import (
    App,
    Crons,
    HttpRouter,
    Response,
    Schema,
    Table,
    internal_mutation,
    query,
    testing,
    v,
    webhooks,
)

http = HttpRouter()
crons = Crons()
schema = Schema(notes=Table({"text": v.string(), "at": v.number()}))


@internal_mutation(args={"text": v.string(), "again": v.optional(v.boolean())})
def note(ctx: Any, text: str, again: bool = False) -> None:
    ctx.db.insert("notes", {"text": text, "at": ctx.now()})
    if again:
        ctx.scheduler.run_after(0, note, text=text + ", again")


@query(args={})
def notes(ctx: Any) -> list[str]:
    return [row["text"] for row in ctx.db.query("notes")]


@http.route(path="/later", method="POST")
def later(ctx: Any, request: Any) -> Response:
    ctx.scheduler.run_after(60, note, text=request.text())
    return Response(status=204)


crons.hourly("on the hour", function=note, args={"text": "cron"})
app = App(http, schema=schema, modules=[__name__], crons=crons)


def test_the_clock_decides_when_jobs_run() -> None:
    clock = testing.Clock(1_700_000_000)
    with testing.in_memory(app, clock=clock) as copy:
        client = webtest.TestApp(copy)
        client.post("/later", "soon", status=204)
        assert testing.run_jobs(copy) == 0
        assert clock.advance(59.9) == 1_700_000_059.9
        assert testing.run_jobs(copy) == 0
        clock.advance(0.1)
        assert testing.run_jobs(copy) == 1
        assert copy.run_query(notes) == ["soon"]


def test_crons_follow_the_clock_too() -> None:
    clock = testing.Clock(1_700_000_000)  # 22:13:20
    with testing.in_memory(app, clock=clock) as copy:
        testing.run_jobs(copy)
        clock.advance(46 * 60 + 40)
        testing.run_jobs(copy)
        assert copy.run_query(notes) == ["cron"]


def test_jobs_run_until_none_is_due() -> None:
    with testing.in_memory(app) as copy:
        copy.run_mutation(note, text="once", again=True)
        assert testing.run_jobs(copy) == 1
        assert copy.run_query(notes) == ["once", "once, again"]


def test_copies_share_nothing_that_is_stored() -> None:
    with testing.in_memory(app) as one, testing.in_memory(app) as other:
        one.run_mutation(note, text="mine")
        assert other.run_query(notes) == []
        storage = one.files.outside("")
        file_id = storage.store(b"bytes")
        assert storage.get_url(file_id) is not None
        assert other.files.outside("").get_url(file_id) is None


SECRETS = dict.fromkeys(("svix", "clerk", "standard-webhooks"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
SEED = bytes(32)
SECRETS["standard-webhooks-v1a"] = "whsk_" + b64encode(SEED + webhooks.ed25519.public_key(SEED)).decode()


@pytest.mark.parametrize("provider", webhooks.names())
def test_a_signed_delivery_is_verified(provider: str) -> None:
    module = provider.replace("-", "_")
    secret = SECRETS.get(provider, "a secret")
    url = "https://example.com/hook"
    extra = {"url": url} if "{url}" in webhooks.scheme_of(provider).signed else {}
    payload = {"webhookTimestamp": 1_700_000_000_000}  # Linear's time is in the body
    body, headers = testing.signed(module, payload, secret, now=1_700_000_000, **extra)
    assert headers["Content-Type"] == "application/json"
    delivery = getattr(webhooks, module).verify(body, headers, secret, now=1_700_000_000, **extra)
    assert delivery.json() == payload


def module_of(**functions: Any) -> dict[str, ModuleType]:
    module = ModuleType("m")
    for name, function in functions.items():
        function.handler.__module__ = "m"
        setattr(module, name, function)
    return {"m": module}


def test_crons_run_once_the_clock_was_moved_without_a_first_run() -> None:
    crons, ran = Crons(), []

    @internal_mutation
    def tick(ctx: Any) -> None:
        ran.append(ctx)

    crons.cron("nightly", "@daily", function=tick)
    clock = testing.Clock()
    with testing.in_memory(App(crons=crons, modules=module_of(tick=tick)), clock=clock) as app:
        clock.advance(86_400)
        assert testing.run_jobs(app) == 1 and len(ran) == 1


def test_very_many_due_jobs_are_read_in_pages() -> None:
    ran: list[int] = []

    @internal_mutation
    def note(ctx: Any, n: int) -> None:
        ran.append(n)

    @internal_mutation
    def fill(ctx: Any, count: int) -> None:
        for n in range(count):
            ctx.scheduler.run_after(0, note, n=n)

    with testing.in_memory(App(modules=module_of(note=note, fill=fill))) as app:
        for _ in range(2):
            app.run_mutation(fill, count=600)
        pages: list[int] = []
        store = app.jobs.store
        page = store.due_page
        store.due_page = lambda *args: pages.append(1) or page(*args)  # type: ignore[method-assign, func-returns-value]
        assert app.jobs.run_due() == 1_200 and sorted(ran) == sorted([*range(600)] * 2)
        assert len(pages) == 3
