# SPDX-License-Identifier: MIT
"""A verified delivery: its header fields in any shape, its payload, and what is found in it."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import HTTPError, WebhookError
from minihttp.webhooks.delivery import Delivery, read_headers
from minihttp.webhooks.scheme import Scheme

SCHEME = Scheme(name="acme", signature_header="X-Signature", form_field="payload", sends_forms=True)
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def delivery(body: bytes, headers: Any = (), **rules: Any) -> Delivery:
    return Delivery(SCHEME._replace(**rules), body, headers, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1", "b": ""},
        [("x-a", "1"), ("B", "")],
        [(b"X-A", b"1"), (b"b", b"")],
        {"x-a": "1", "b": None},
    ],
    ids=repr,
)
def test_header_fields_in_every_shape(headers: Any) -> None:
    assert read_headers(headers) == {"x-a": "1", "b": ""}


def test_a_field_that_counts_may_not_come_twice() -> None:
    pairs = [("X-A", "1"), ("x-a", "2"), ("x-b", "1"), ("x-b", "2")]
    assert read_headers(pairs[2:], {"x-a"}) == {"x-b": "2"}
    with pytest.raises(WebhookError, match="the header x-a occurs more than once"):
        read_headers(pairs, {"x-a"})


@pytest.mark.parametrize(
    ("body", "headers", "payload"),
    [
        (b'{"a": 1}', {}, {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {}, {"a": 1}),
        (b"payload=%7B%22a%22%3A1%7D&x=y", FORM, {"a": 1}),
        (b"\xef\xbb\xbfpayload=%7B%22a%22%3A1%7D", FORM, {"a": 1}),
        (b"%ef%bb%bfpayload=%7B%22a%22%3A1%7D", FORM, {"a": 1}),
        (b"payload=%EF%BB%BF%7B%22a%22%3A1%7D", FORM, {"a": 1}),
        (b"a=1&b=2&a=3&c=", FORM, {"a": ["1", "3"], "b": "2", "c": ""}),
        (b"a=1", {}, None),
        (b"\xff", {}, None),
        (b"NaN", {}, None),
        (b"[1e400]", {}, None),
        (b"[" * 100_000, {}, None),
        (b"payload=1&payload=2", FORM, None),
    ],
)
def test_a_payload_is_the_json_of_the_body_or_none(
    body: bytes, headers: dict[str, str], payload: Any
) -> None:
    found = delivery(body, headers)
    assert found.payload == payload
    if payload is None:
        with pytest.raises(HTTPError, match="Invalid JSON in the webhook body: ") as caught:
            found.json()
        assert caught.value.status == 400
    else:
        assert found.json() is found.json(), "it is parsed once"


def test_ids_and_types_come_from_headers_or_the_body() -> None:
    rules = {"id_header": "X-Id", "other_id_headers": ("x-other",), "id_paths": ("id", "data.id")}
    body = b'{"id": 5, "data": {"id": "d1", "type": "made"}, "list": [1]}'
    assert delivery(body, {"X-Id": "h1", "x-other": "o1"}, **rules).id == "h1"
    assert delivery(body, {"X-Other": "o1"}, **rules).id == "o1"
    assert delivery(body, {}, **rules).id == "d1", "a number is no id"
    assert delivery(b"{}", {}, id_in_body=lambda found: found.find(("x",)) or "made").id == "made"
    assert delivery(body, {}).id is None
    typed = {"event_header": "X-Type", "event_paths": ("type", "data.type")}
    assert delivery(body, {"X-Type": "t"}, **typed).event_type == "t"
    assert delivery(body, {}, **typed).event_type == "made"
    assert delivery(body).value_at("list.0") is None and delivery(b"").value_at("a.b") is None
    assert delivery(b'{"a": "\\ud800", "b": "\\n", "c": ""}').find(("a", "b", "c", "d")) is None
