# SPDX-License-Identifier: MIT
"""From header fields to what a check needs: the usual form and the rarer ones, read alike."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import WebhookError
from minihttp.http.headers import RequestHeaders
from minihttp.webhooks.headers import HeaderParser
from minihttp.webhooks.standard_webhooks import SCHEME as STANDARD
from minihttp.webhooks.stripe import SCHEME as STRIPE
from minihttp.webhooks.svix import SCHEME as SVIX

MAC = "0" * 64
LISTED = {"webhook-id": "m1", "webhook-timestamp": "1700000000", "webhook-signature": "v1,aa v2,bb v1,cc"}


def shapes(fields: dict[str, str]) -> list[Any]:
    """The same fields as a dict, pairs, a dict in other case, pairs of bytes, and those of a request."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
    pairs = [(name.title(), value) for name, value in fields.items()]
    return [
        fields,
        pairs,
        dict(pairs),
        [(name.encode(), value.encode()) for name, value in pairs],
        RequestHeaders(environ),
    ]


@pytest.mark.parametrize("shape", range(5))
def test_every_shape_is_read_alike(shape: int) -> None:
    parser = HeaderParser(STRIPE)
    for value, given in ((f"t=17,v1={MAC}", [MAC]), (f"t=17,v1={MAC},v0=x,v1=ab", [MAC, "ab"])):
        _, signatures, before, timestamp = parser.read(shapes({"stripe-signature": value})[shape], "")
        assert (list(signatures), before, timestamp) == ([text.encode() for text in given], b"17.", 17)
    listed = HeaderParser(STANDARD).read(shapes(LISTED)[shape], "")
    assert (list(listed[1]), listed[2:]) == ([b"v1,aa", b"v1,cc"], (b"m1.1700000000.", 1_700_000_000))


def test_families_are_never_mixed() -> None:
    parser, svix = HeaderParser(SVIX), {f"svix{name[7:]}": value for name, value in LISTED.items()}
    assert parser.read(LISTED, "")[2] == parser.read(svix, "")[2] == b"m1.1700000000."
    assert parser.read({**svix, "webhook-id": "other"}, "")[2] == b"m1.1700000000."
    mixed = {**LISTED, "svix-id": "m1"}
    del mixed["webhook-id"]
    with pytest.raises(WebhookError, match="the header svix-signature is missing or empty"):
        parser.read(mixed, "")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "missing_header"),
        (f"v1={MAC}", "malformed_header"),
        (f"t=17,t=18,v1={MAC}", "malformed_header"),
        (f"t=17,v1={MAC},junk", "malformed_header"),
        (f"t=17,v1={MAC}" + ",v0=x" * 100, "malformed_header"),
        (f"t=017,v1={MAC}", "invalid_timestamp"),
        (f"t=1.7,v1={MAC}", "invalid_timestamp"),
        ("t=17,v0=aa", "no_signature"),
    ],
)
def test_what_is_wrong_with_a_header_is_said_by_its_reason(value: str, reason: str) -> None:
    for headers in shapes({"stripe-signature": value}):
        with pytest.raises(WebhookError) as caught:
            HeaderParser(STRIPE).read(headers, "")
        assert caught.value.reason == reason


def test_an_id_has_no_dot() -> None:
    with pytest.raises(WebhookError, match="is not ASCII text without a dot"):
        HeaderParser(STANDARD).read({**LISTED, "webhook-id": "m1.1"}, "")


@pytest.mark.parametrize("id", ["a b", "a.b", "é", "a\x7f", "a" * 257])
def test_ids_that_are_none(id: str) -> None:
    for headers in ({**LISTED, "webhook-id": id}, [*{**LISTED, "webhook-id": id}.items()]):
        with pytest.raises(WebhookError, match="is not ASCII text without a dot"):
            HeaderParser(STANDARD).read(headers, "")
    assert HeaderParser(STANDARD).read({**LISTED, "webhook-id": "a" * 256}, "")[3] == 1_700_000_000
