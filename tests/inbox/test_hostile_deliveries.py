# SPDX-License-Identifier: MIT
"""What was acknowledged reaches its handler, however little its payload is a Convex value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import webtest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp import App, ConfigurationError, HttpRouter, internal_action, internal_mutation, testing, v
from minihttp.webhooks import github, standard_webhooks, stripe

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {"S": SECRET}
seen: list[Any] = []


@internal_mutation(args={"delivery": v.any()})
def keep(ctx: Any, delivery: Any) -> None:
    seen.append(delivery)


@internal_action(args={"delivery": v.any()})
def act(ctx: Any, delivery: Any) -> None:
    seen.append(delivery)


@internal_mutation
def undeclared(ctx: Any, delivery: Any) -> None:
    seen.append(delivery)


@internal_mutation(args={"delivery": v.any()})
def store(ctx: Any, delivery: Any) -> None:
    ctx.db.insert("events", {"payload": delivery["payload"]})


@internal_mutation(args={"delivery": v.any()})
def pass_on(ctx: Any, delivery: Any) -> None:
    ctx.run_mutation(record, payload=delivery["payload"])


@internal_mutation(args={"payload": v.any()})
def record(ctx: Any, payload: Any) -> None: ...


def deep(levels: int) -> bytes:
    return b'{"type": "x", "a": ' + b"[" * levels + b"]" * levels + b"}"


PAYLOADS: dict[str, bytes] = {
    "a key that is not ASCII": '{"type": "x", "größe": 1}'.encode(),
    "a key that begins with $": b'{"type": "x", "$set": {"a": 1}}',
    "a key like a tag": b'{"$integer": "AAA"}',
    "a key that begins with _": b'{"type": "x", "_id": 1}',
    "an empty key": b'{"": 1}',
    "a key with a control character": b'{"a\\u0000b": 1}',
    "a long key": b'{"%s": 1}' % (b"k" * 5_000),
    "a large integer": b'{"n": 9007199254740993, "m": -170141183460469231731687303715884105728}',
    "deep arrays": deep(200),
    "a lone surrogate": b'{"type": "x", "text": "\\ud800", "\\udc00": 1}',
    "a surrogate in the event type": b'{"type": "x\\ud83d", "id": "y\\ud83d"}',
    "many fields": json.dumps({f"f{n}": n for n in range(2_000)}).encode(),
    "a long array": json.dumps(list(range(20_000))).encode(),
    "no object": b'"text"',
    "no JSON": b"\xff\xfe not JSON",
    "nothing": b"",
    "far too deep": deep(100_000),
}


def run_all(handler: Any, body: bytes, module: Any = stripe) -> tuple[Any, dict[str, Any]]:
    """Send one delivery, run its job for half a day, and return the response and the delivery's row."""
    seen.clear()
    http = HttpRouter()
    http.webhook("/hook", module.provider(secret="S"), handler=handler)
    app = App(http, modules={"m": __name__}, data=":memory:", environment=ENVIRONMENT)  # type: ignore[dict-item]
    clock = testing.Clock()
    with testing.in_memory(app, clock=clock) as copy:
        body, headers = testing.signed(module.__name__.rpartition(".")[2], body, SECRET, now=clock())
        response = webtest.TestApp(copy).post("/hook", body, headers, expect_errors=True)
        for _ in range(12):
            testing.run_jobs(copy)
            clock.advance(seconds=7_300)
        [row] = copy.run_query("_webhooks:list")
        return response, row


@pytest.mark.parametrize("handler", [keep, act, undeclared], ids=lambda handler: handler.name)
@pytest.mark.parametrize("body", PAYLOADS.values(), ids=PAYLOADS)
def test_every_acknowledged_payload_reaches_the_handler(handler: Any, body: bytes) -> None:
    response, row = run_all(handler, body)
    assert (response.status_int, row["state"], len(seen)) == (200, "done", 1), row
    assert seen[0]["body"] == body
    try:
        expected = json.loads(body)
    except (ValueError, RecursionError):
        expected = None
    assert seen[0]["payload"] == expected


@pytest.mark.parametrize("module", [github, standard_webhooks])
def test_with_every_provider(module: Any) -> None:
    response, row = run_all(keep, PAYLOADS["a key that is not ASCII"], module)
    assert (response.status_int, row["state"], len(seen)) == (200, "done", 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_json_a_sender_signs(value: Any) -> None:
    body = json.dumps(value).encode()
    response, row = run_all(keep, body)
    assert (response.status_int, row["state"]) == (200, "done"), row
    assert seen[0]["payload"] == json.loads(body)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (store, "Field name größe has invalid character"),
        (pass_on, "ArgumentValidationError: Field name größe"),
    ],
)
def test_to_store_such_a_payload_is_the_handlers_own_matter(handler: Any, said: str) -> None:
    response, row = run_all(handler, PAYLOADS["a key that is not ASCII"])
    assert (response.status_int, row["state"]) == (200, "dead")
    assert said in row["error"]
    assert __file__ in row["error"]


def app_with(handler: Any, **options: Any) -> Callable[[], Any]:
    http = HttpRouter()
    http.webhook("/hook", stripe.provider(secret="S"), handler, **options)
    app = App(http, modules={"m": __name__}, data=":memory:", environment=ENVIRONMENT)  # type: ignore[dict-item]
    return testing.in_memory(app).open


@internal_mutation(args={"delivery": v.object({"id": v.string()})})
def too_strict(ctx: Any, delivery: Any) -> None: ...


@internal_mutation(args={"event": v.any()})
def other_name(ctx: Any, event: Any) -> None: ...


@internal_mutation(args={"delivery": v.any(), "more": v.string()})
def needs_more(ctx: Any, delivery: Any, more: str) -> None: ...


@internal_action
def takes_nothing(ctx: Any) -> None: ...


@pytest.mark.parametrize("handler", [too_strict, other_name, needs_more, takes_nothing])
def test_a_handler_that_could_refuse_a_delivery_is_refused_at_start(handler: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        app_with(handler)()
    assert 'must be {"delivery": v.any()}' in str(caught.value)
    assert handler.location in str(caught.value)
    assert "webhook /hook" in str(caught.value)


def test_an_unknown_option_is_refused_at_start_with_the_place() -> None:
    with pytest.raises(ConfigurationError) as caught:
        app_with(keep, retention_day=3)()
    assert "'retention_day' is not an option; did you mean 'retention_days'?" in str(caught.value)
    assert f"webhook /hook ({__file__}:" in str(caught.value)
