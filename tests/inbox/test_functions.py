# SPDX-License-Identifier: MIT
"""`_webhooks:…`: what the command line and the dashboard ask of the inbox."""

from __future__ import annotations

import pytest

from minihttp import RetryPolicy
from minihttp.errors import DocumentError
from minihttp.webhooks import github, stripe
from tests.inbox.shop import SECRET, Shop, shop

__all__ = ["shop"]


def fail(*_: object) -> None:
    raise ValueError("no luck")


def test_pages_join_to_the_whole_list(shop: Shop) -> None:
    shop.webhook(stripe, shop.mutate)
    for n in range(5):
        shop.stripe(f"evt_{n}", type="even" if n % 2 == 0 else "odd")
    newest, cursor, pages = [row["_id"] for row in reversed(shop.list())], None, []
    while True:
        found = shop.app.run_query("_webhooks:page", limit=2, cursor=cursor)
        pages.append([row["_id"] for row in found["page"]])
        cursor = found["continueCursor"]
        if found["isDone"]:
            break
    assert [id for page in pages for id in page] == newest and all(len(page) <= 2 for page in pages)
    odd = shop.app.run_query("_webhooks:page", event_type="odd", endpoint="/webhooks/stripe")["page"]
    assert [row["deliveryId"] for row in odd] == ["evt_3", "evt_1"]
    assert shop.app.run_query("_webhooks:page", state="done")["page"] == []


def test_a_delivery_is_found_by_its_providers_id(shop: Shop) -> None:
    shop.webhook(stripe, shop.mutate)
    shop.stripe("evt_1")
    find = lambda id: shop.app.run_query("_webhooks:find", endpoint="/webhooks/stripe", delivery_id=id)
    assert find("evt_1")["state"] == "pending" and find("evt_2") is None
    with pytest.raises(DocumentError, match="there is no webhook delivery 'x'"):
        shop.show("x")


def test_an_endpoint_says_how_it_is(shop: Shop) -> None:
    shop.webhook(stripe, shop.mutate)
    shop.webhook(github, None, provider=github.provider("NOT_SET"))
    shop.stripe("evt_1")
    shop.run()
    shop.post("/webhooks/stripe", b"{}", stripe.sign(b"[]", SECRET, timestamp=int(shop.clock())))
    one, two = shop.app.run_query("_webhooks:endpoints")
    assert (one["path"], one["provider"], one["isReady"]) == ("/webhooks/stripe", "stripe", True)
    assert (one["lastSuccess"], one["refused"]) == (shop.rows("_webhook_deliveries")[0]["completedTime"], 1)
    assert (two["isReady"], two["lastSuccess"], two["refused"]) == (False, None, 0)


def test_what_fails_again_is_not_retried_twice(shop: Shop) -> None:
    shop.webhook(stripe, shop.mutate, retry=RetryPolicy(max_attempts=1))
    shop.on_event = fail
    shop.stripe("evt_1")
    shop.run()
    done = shop.app.run_mutation("_webhooks:retry_dead", before=None)
    assert done["retried"] == 1
    shop.clock.advance(1)
    shop.run()
    assert shop.states() == ["dead"]
    assert shop.app.run_mutation("_webhooks:retry_dead", before=done["before"])["retried"] == 0
