# SPDX-License-Identifier: MIT
"""A POST that comes again under its Idempotency-Key is answered again, and takes effect once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import webtest

from minihttp import (
    App,
    ApplicationError,
    HTTPError,
    HttpRouter,
    Limits,
    Response,
    Schema,
    Table,
    ValidationError,
    internal_mutation,
    internal_query,
    mutation,
    query,
    testing,
    v,
)
from minihttp.app.idempotency import KEYS
from minihttp.webhooks import stripe
from tests.live import PATIENCE_SECONDS, live

schema = Schema(orders=Table({"item": v.string()}))
ran: list[str] = []


@mutation(args={"item": v.string()})
def order(ctx: Any, item: str) -> Any:
    return ctx.db.insert("orders", {"item": item})


@mutation(args={"item": v.string()})
def refuse(ctx: Any, item: str) -> None:
    ctx.db.insert("orders", {"item": item})
    ran.append("refuse")
    raise ApplicationError("sold out")


@internal_query(args={})
def count(ctx: Any) -> int:
    return len(ctx.db.query("orders").collect())


@query(args={})
def total(ctx: Any) -> int:
    return len(ctx.db.query("orders").collect())


@internal_mutation(args={"delivery": v.any()})
def on_event(ctx: Any, delivery: Any) -> None:
    ctx.db.insert("orders", {"item": delivery["event_type"]})


http = HttpRouter()
http.webhook("/hook", stripe.provider(secret="S"), on_event)


@http.post("/orders")
def post_order(ctx: Any, request: Any) -> Response:
    ran.append("order")
    id = ctx.run_mutation(order, item=request.json()["item"])
    return Response.json({"id": id, "ran": len(ran)}, status=201, headers={"Location": f"/orders/{id}"})


@http.post("/two")
def post_two(ctx: Any, request: Any) -> dict[str, Any]:
    first = ctx.run_mutation(order, item="pen")
    second = ctx.run_mutation(order, {"item": "pen"})
    if "fail" in ran:
        ran.clear()
        raise RuntimeError("cut off")
    return {"ids": [first, second]}


@http.post("/refused")
def post_refused(ctx: Any, request: Any) -> None:
    ran.append("refused")
    if request.query.get("late"):
        ctx.run_mutation(order, item="pen")
    if request.query.get("rule"):
        raise ValidationError("no such rule")
    raise HTTPError(404, "no such item")


@http.post("/stream")
def post_stream(ctx: Any, request: Any) -> Response:
    ctx.run_mutation(order, item=request.body.read().decode())
    return Response(iter([b"a", b"b"]))


@http.post("/long")
def post_long(ctx: Any, request: Any) -> Response:
    def pieces() -> Iterator[bytes]:
        for item in ("pen", "ink"):
            yield str(ctx.run_mutation(order, item=item)).encode()

    return Response(pieces())


@http.post("/bytes")
def post_bytes(ctx: Any, request: Any) -> Response:
    return Response(request.body.read(), headers={"Content-Type": "application/x-own"})


@http.put("/orders")
def put_order(ctx: Any, request: Any) -> dict[str, Any]:
    return {"id": ctx.run_mutation(order, item="put")}


app = App(http, schema=schema, modules={"m": __name__}, data=":memory:")  # type: ignore[dict-item]


@pytest.fixture
def clock() -> testing.Clock:
    return testing.Clock()


@pytest.fixture
def shop(clock: testing.Clock) -> Iterator[App]:
    ran.clear()
    with testing.in_memory(app, clock=clock, environment={"S": "whsec_test"}) as copy:
        yield copy


@pytest.fixture
def client(shop: App) -> webtest.TestApp:
    return webtest.TestApp(shop)


def post(client: Any, path: str, body: Any = None, key: str | None = "k-1", **headers: str) -> Any:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        fields["Idempotency-Key"] = key
    return client.post_json(path, {} if body is None else body, headers=fields, expect_errors=True)


def orders(shop: App) -> int:
    found: int = shop.run_query(count)
    return found


def test_the_second_request_is_answered_as_the_first_was(client: Any, shop: App) -> None:
    first = post(client, "/orders", {"item": "pen"})
    second = post(client, "/orders", {"item": "pen"})
    assert first.status_int == second.status_int == 201
    assert first.body == second.body
    for name in ("Content-Type", "Location", "Content-Length"):
        assert first.headers[name] == second.headers[name]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (orders(shop), ran) == (1, ["order"])


def test_without_a_key_and_under_other_keys_each_takes_effect(client: Any, shop: App) -> None:
    for key in (None, None, "a", "b"):
        assert post(client, "/orders", {"item": "pen"}, key).status_int == 201
    assert orders(shop) == 4


def test_a_key_is_of_one_path(client: Any, shop: App) -> None:
    post(client, "/orders", {"item": "pen"})
    assert "ids" in post(client, "/two").json
    assert orders(shop) == 3


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/orders", {"item": "ink"}, {}),
        ("/orders?x=1", {"item": "pen"}, {}),
        ("/orders", {"item": "pen"}, {"Authorization": "Bearer other"}),
        ("/orders", {"item": "pen"}, {"X_Api_Key": "other"}),
        ("/orders", {"item": "pen"}, {"Cookie": "session=other"}),
    ],
)
def test_another_request_under_the_key_is_422(
    client: Any, shop: App, path: str, body: Any, headers: dict[str, str]
) -> None:
    first = post(client, "/orders", {"item": "pen"})
    other = post(client, path, body, **headers)
    assert other.status_int == 422
    assert other.json == {"error": "This Idempotency-Key was used for another request"}
    assert post(client, "/orders", {"item": "pen"}).body == first.body
    assert orders(shop) == 1


@pytest.mark.parametrize("key", ["", " ", '""', '"open', "a b", "a\x7f", "ä", "k" * 256, 'a"b'])
def test_what_is_no_key_is_400(client: Any, shop: App, key: str) -> None:
    response = post(client, "/orders", {"item": "pen"}, key)
    assert response.status_int == 400
    assert "Idempotency-Key must be" in response.json["error"]
    assert orders(shop) == 0


def test_a_quoted_key_as_in_the_draft_is_the_same_key(client: Any, shop: App) -> None:
    first = post(client, "/orders", {"item": "pen"}, '"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    second = post(client, "/orders", {"item": "pen"}, "8e03978e-40d5-43dd-bc93-6894a57f9324")
    assert first.body == second.body
    assert orders(shop) == 1


def test_while_the_first_is_being_answered_the_second_is_409() -> None:
    began, may_end = threading.Event(), threading.Event()
    slow = HttpRouter()

    @slow.post("/slow")
    def handler(ctx: Any, request: Any) -> Any:
        began.set()
        assert may_end.wait(PATIENCE_SECONDS)
        return {"id": ctx.run_mutation(order, item="slow")}

    made = App(slow, schema=schema, modules={"m": __name__}, data=":memory:", workers=0)  # type: ignore[dict-item]
    replies: list[Any] = []
    with testing.in_memory(made) as copy, live(copy) as client:
        send = lambda: replies.append(client.post("/slow", b"{}", {"Idempotency-Key": "k"}))
        first = threading.Thread(target=send)
        first.start()
        assert began.wait(PATIENCE_SECONDS)
        second = client.post("/slow", b"{}", {"Idempotency-Key": "k"})
        assert (second.status, second.headers["retry-after"]) == (409, "1")
        assert "is being answered" in second.json()["error"]
        may_end.set()
        first.join()
        assert replies[0].status == 200
        assert client.post("/slow", b"{}", {"Idempotency-Key": "k"}).body == replies[0].body


def test_a_key_is_forgotten_when_its_time_is_over(client: Any, shop: App, clock: testing.Clock) -> None:
    post(client, "/orders", {"item": "pen"})
    clock.advance(seconds=86_399)
    post(client, "/orders", {"item": "pen"})
    assert orders(shop) == 1
    clock.advance(seconds=2)
    post(client, "/orders", {"item": "pen"})
    assert orders(shop) == 2


def test_rows_whose_time_is_over_are_removed(client: Any, shop: App, clock: testing.Clock) -> None:
    def rows() -> int:
        return len(shop.database.read(lambda transaction: transaction.system.query(KEYS).collect()))

    post(client, "/orders", {"item": "pen"})
    assert rows() == 1
    clock.advance(seconds=90_000)
    testing.run_jobs(shop)
    assert rows() == 0


def test_how_long_a_key_is_known_can_be_set(clock: testing.Clock) -> None:
    limits = Limits(idempotency_key_seconds=10)
    with testing.in_memory(app, clock=clock, limits=limits) as copy:
        client = webtest.TestApp(copy)
        post(client, "/orders", {"item": "pen"})
        clock.advance(seconds=11)
        post(client, "/orders", {"item": "pen"})
        assert orders(copy) == 2


def test_after_a_crash_of_the_handler_its_mutations_do_not_run_again(client: Any, shop: App) -> None:
    ran.append("fail")
    assert post(client, "/two").status_int == 500
    assert orders(shop) == 2
    again = post(client, "/two")
    assert again.status_int == 200
    assert len(set(again.json["ids"])) == 2
    assert orders(shop) == 2
    assert post(client, "/two").body == again.body


def test_an_error_before_any_effect_is_not_kept(client: Any) -> None:
    for _ in range(2):
        assert post(client, "/refused").status_int == 404
    assert ran == ["refused", "refused"]


def test_an_error_after_an_effect_is(client: Any, shop: App) -> None:
    first = post(client, "/refused?late=1")
    second = post(client, "/refused?late=1")
    assert first.status_int == second.status_int == 404
    assert first.json == second.json == {"error": "no such item"}
    assert first.headers["X-Request-Id"]
    assert (orders(shop), ran) == (1, ["refused"])


def test_a_stream_is_not_kept_and_not_done_twice(client: Any, shop: App) -> None:
    fields = {"Idempotency-Key": "k"}
    assert client.post("/stream", b"pen", fields).body == b"ab"
    again = client.post("/stream", b"pen", fields, expect_errors=True)
    assert again.status_int == 409
    assert "was answered already" in again.json["error"]
    assert orders(shop) == 1


def test_what_a_stream_does_takes_effect_once(client: Any, shop: App) -> None:
    assert len(client.post("/long", b"", {"Idempotency-Key": "k"}).body) == 64
    assert client.post("/long", b"", {"Idempotency-Key": "k"}, expect_errors=True).status_int == 409
    assert orders(shop) == 2


def test_a_rule_of_the_handlers_after_an_effect_is_kept_too(client: Any, shop: App) -> None:
    for _ in range(2):
        again = post(client, "/refused?late=1&rule=1")
        assert (again.status_int, again.json) == (400, {"error": "no such rule"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (orders(shop), ran) == (1, ["refused"])


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_the_handler_reads_the_body_as_ever_on_a_socket(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"end"
    with testing.in_memory(app) as copy, live(copy) as client:
        for chunked in (False, True):
            data: Any = iter([body[:5], body[5:]]) if chunked else body
            first = client.post("/bytes", data, {"Idempotency-Key": f"k{chunked}"})
            assert (first.status, first.body) == (200, body)
            again = client.post("/bytes", body, {"Idempotency-Key": f"k{chunked}"})
            assert (again.status, again.body) == ((200, body) if size < 1_000_000 else (409, again.body))


def test_other_methods_and_webhooks_know_no_key(client: Any, shop: App, clock: testing.Clock) -> None:
    fields = {"Idempotency-Key": "k"}
    first, second = client.put("/orders", headers=fields), client.put("/orders", headers=fields)
    assert first.json != second.json
    event = json.dumps({"id": "evt_1", "type": "x"}).encode()
    body, headers = testing.signed("stripe", event, "whsec_test", now=clock())
    assert client.post("/hook", body, {**headers, **fields}).json == {"ok": True}
    assert client.post("/hook", body, {**headers, **fields}).json == {"ok": True, "duplicate": True}


# ---------------------------------------------------------------- the function API


def call(client: Any, function: str, key: str | None = "k", kind: str = "mutation", **args: Any) -> Any:
    body = {"path": f"m:{function}", "args": args, "format": "json"}
    return post(client, f"/api/{kind}", body, key)


def test_a_mutation_of_the_function_api_takes_effect_once(client: Any, shop: App) -> None:
    first, second = call(client, "order", item="pen"), call(client, "order", item="pen")
    assert first.json["status"] == "success"
    assert first.body == second.body
    assert second.headers["Idempotency-Replayed"] == "true"
    assert orders(shop) == 1
    run = [post(client, "/api/run/m/order", {"args": {"item": "pen"}}, "r") for _ in range(2)]
    assert run[0].body == run[1].body
    assert orders(shop) == 2


def test_its_refusals_have_the_form_of_the_function_api(client: Any) -> None:
    call(client, "order", item="pen")
    other = call(client, "order", item="ink")
    assert other.status_int == 422
    assert other.json["code"] == "IdempotencyKeyReused"
    assert call(client, "order", "a b", item="pen").json["code"] == "BadIdempotencyKey"


def test_a_mutation_that_fails_is_not_kept(client: Any, shop: App) -> None:
    for _ in range(2):
        assert call(client, "refuse", item="pen").json["errorData"] == "sold out"
    assert ran == ["refuse", "refuse"]
    assert orders(shop) == 0
    assert call(client, "nowhere", item="pen").json["status"] == "error"


def test_queries_know_no_key(client: Any, shop: App) -> None:
    assert call(client, "total", kind="query").json["value"] == 0
    call(client, "order", "o", item="pen")
    assert call(client, "total", kind="query").json["value"] == 1


def test_an_app_without_storage_opens_none_for_a_key() -> None:
    plain = HttpRouter()
    plain.post("/x")(lambda ctx, request: {"ok": True})
    made = App(plain)
    assert post(webtest.TestApp(made), "/x").json == {"ok": True}
    assert not made.is_open
