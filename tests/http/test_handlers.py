# SPDX-License-Identifier: MIT
"""What cannot be a handler is refused where it is registered, with its place and what to write instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from minihttp import HttpRouter, RouteError
from minihttp.webhooks import stripe
from tests.http.handlers import fits, look, on_event


async def waits(ctx: Any, request: Any) -> None: ...


def yields(ctx: Any, request: Any) -> Iterator[bytes]:
    yield b""


async def yields_later(ctx: Any, request: Any) -> AsyncIterator[bytes]:
    yield b""


def none() -> None: ...


def one(request: Any) -> None: ...


def three(ctx: Any, request: Any, id: str) -> None: ...


def named_only(ctx: Any, request: Any, *, id: str) -> None: ...


def with_defaults(ctx: Any, request: Any, page: int = 1, *, size: int = 10) -> dict[str, Any]:
    return {}


@wraps(one)
def wrapped(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {}


class Callables:
    def method(self, ctx: Any, request: Any) -> dict[str, Any]:
        return {}

    def short(self, request: Any) -> None: ...

    def __call__(self, ctx: Any, request: Any) -> dict[str, Any]:
        return {}

    @staticmethod
    def static(ctx: Any, request: Any) -> dict[str, Any]:
        return {}


class Waiting:
    async def __call__(self, ctx: Any, request: Any) -> None: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (waits, "waits (FILE:LINE) is an async def; handlers run in threads: write def"),
        (yields_later, "is an async def"),
        (Waiting(), "Waiting (FILE:LINE) is an async def"),
        (yields, "yields (FILE:LINE) yields, so it returns no response: return Response(generator())"),
        (one, "one (FILE:LINE) takes (request); it must take (ctx, request)"),
        (three, "takes (ctx, request, id); it must take (ctx, request)"),
        (named_only, "takes (ctx, request, id); it must take (ctx, request)"),
        (none, "takes (); it must take (ctx, request)"),
        (Callables().short, "short (FILE:LINE) takes (self, request)"),
        (on_event, "mutation on_event (FILE:LINE) cannot be a handler: write def handler(ctx, request)"),
        (look, "ctx.run_query(look, …)"),
        (None, "route requires handler"),
        ("on_event", "route requires handler"),
    ],
)
def test_what_cannot_be_a_handler_is_refused(handler: Any, message: str) -> None:
    code = getattr(handler, "__code__", None) or getattr(getattr(handler, "handler", None), "__code__", None)
    code = code or getattr(type(handler).__call__, "__code__", None)
    if code is not None:
        message = message.replace("FILE:LINE", f"{code.co_filename}:{code.co_firstlineno}")
    http = HttpRouter()
    with pytest.raises(RouteError) as caught:
        http.route(path="/x", method="POST", handler=handler)
    assert message in str(caught.value)
    assert http.routes() == []


@pytest.mark.parametrize(
    "handler",
    [
        fits,
        with_defaults,
        wrapped,
        Callables().method,
        Callables.static,
        Callables(),
        lambda ctx, request: {},
        lambda *both: {},
        partial(three, id="a"),
    ],
)
def test_whatever_takes_ctx_and_request_is_a_handler(handler: Any) -> None:
    http = HttpRouter()
    http.route(path="/x", method="GET", handler=handler)
    assert http.routes() == [("/x", "GET", handler)]


@pytest.mark.parametrize("method", ["delete", "get", "options", "patch", "post", "put"])
def test_each_method_has_a_decorator(method: str) -> None:
    http = HttpRouter()
    decorate = getattr(http, method)("/x/{id}", max_body=9)
    assert decorate(fits) is fits
    getattr(http, method)(path_prefix="/below/", handler=fits)
    route, below = http.find("/x/1", method.upper()), http.find("/below/1", method.upper())
    assert route is not None and below is not None
    assert (route.method, route.max_body_bytes, route.handler) == (method.upper(), 9, fits)
    for found in (route, below):
        assert found.location.startswith(f"{__file__}:")


def test_path_and_method_may_stand_without_their_names() -> None:
    http = HttpRouter()
    http.route("/x", "GET")(fits)
    http.route("/y", "POST", fits)
    assert http.routes() == [("/x", "GET", fits), ("/y", "POST", fits)]


def test_a_secret_where_a_name_belongs_is_refused_and_never_printed() -> None:
    for secret in ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "8f742231b10e8888abcd99", "p@ss word", "", 5):
        for register in (
            lambda secret=secret: stripe.provider(secret=secret),
            lambda secret=secret: stripe.provider(secret=["STRIPE_WEBHOOK_SECRET", secret]),
            lambda secret=secret: HttpRouter(secrets=[secret]),
        ):
            with pytest.raises(Exception, match="takes the name of an environment variable") as caught:
                register()
            assert not secret or str(secret) not in str(caught.value)
    for name in ("STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET_2024", "stripe_secret", "S", "_X1"):
        stripe.provider(secret=name)
