# SPDX-License-Identifier: MIT
"""What becomes of a delivery: tries, order, replay, and how long it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minihttp import Drop, RetryLater, RetryPolicy
from minihttp.errors import DocumentError
from minihttp.webhooks import github, stripe
from tests.inbox.shop import SECRET, Shop, shop

__all__ = ["shop"]


def fail(*_: Any) -> None:
    raise ValueError("no network")


class TestHandling:
    @pytest.mark.parametrize("kind", ["mutate", "act"])
    def test_a_handler_that_fails_is_tried_again_with_backoff_until_it_is_dead(
        self, shop: Shop, kind: str
    ) -> None:
        shop.webhook(
            stripe, getattr(shop, kind), retry=RetryPolicy(max_attempts=3, initial_seconds=10, jitter=0)
        )
        shop.on_event = fail
        shop.stripe()
        for attempts, seconds in ((1, 9), (1, 1), (2, 19), (2, 1)):
            shop.run()
            [row] = shop.list()
            assert (row["state"], row["attempts"]) == ("pending", attempts)
            assert row["error"].startswith("ValueError: no network")
            shop.clock.advance(seconds)
        shop.run()
        [row] = shop.list()
        assert (row["state"], row["attempts"]) == ("dead", 3) and "ValueError: no network" in row["error"]
        assert shop.effects() == []
        shop.run_for(10_000)
        assert shop.states() == ["dead"]

    @pytest.mark.parametrize("kind", ["mutate", "act"])
    def test_a_dead_delivery_is_replayed(self, shop: Shop, kind: str) -> None:
        shop.webhook(stripe, getattr(shop, kind), retry=RetryPolicy(max_attempts=1))
        shop.on_event = fail
        shop.stripe()
        shop.run()
        [row] = shop.list()
        assert row["state"] == "dead"
        shop.on_event = lambda ctx, delivery: None
        assert shop.app.run_mutation("_webhooks:replay", id=row["_id"]) is True
        shop.run()
        [row] = shop.list()
        assert (row["state"], row["error"]) == ("done", None)
        assert (shop.effects() or shop.seen[-1:]) == ["evt_1"]

    def test_a_done_delivery_is_replayed_too(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        shop.stripe()
        # It is pending: once
        assert shop.app.run_mutation("_webhooks:replay", id=shop.list()[0]["_id"]) is True
        shop.run()
        assert len(shop.effects()) == 1
        shop.app.run_mutation("_webhooks:replay", id=shop.list()[0]["_id"])
        shop.run()
        assert len(shop.effects()) == 2

    def test_all_dead_deliveries_are_retried(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, retry=RetryPolicy(max_attempts=1))
        shop.on_event = fail
        for number in range(3):
            shop.stripe(f"evt_{number}")
        shop.run()
        assert shop.states() == ["dead"] * 3
        shop.on_event = lambda ctx, delivery: None
        assert shop.app.run_mutation("_webhooks:retry_dead")["retried"] == 3
        assert shop.app.run_mutation("_webhooks:retry_dead")["retried"] == 0
        shop.run()
        assert sorted(shop.effects()) == ["evt_0", "evt_1", "evt_2"]

    def test_what_fails_again_while_the_dead_are_retried_is_left(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, retry=RetryPolicy(max_attempts=1))
        shop.on_event = fail
        shop.stripe()
        shop.run()
        first = shop.app.run_mutation("_webhooks:retry_dead")
        shop.clock.advance(seconds=1)
        shop.run()
        assert (first["retried"], shop.states()) == (1, ["dead"])
        assert shop.app.run_mutation("_webhooks:retry_dead", before=first["before"])["retried"] == 0

    def test_a_duplicate_revives_a_dead_delivery(self, shop: Shop) -> None:
        """GitHub, Svix and Stripe resend by hand under the old id."""
        shop.webhook(stripe, shop.mutate, retry=RetryPolicy(max_attempts=1))
        shop.on_event = fail
        shop.stripe()
        shop.run()
        shop.on_event = lambda ctx, delivery: None
        assert shop.stripe().json == {"ok": True, "duplicate": True}
        shop.run()
        assert shop.states() == ["done"] and shop.effects() == ["evt_1"]

    def test_retry_after_and_drop(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        raised: list[Exception] = [RetryLater(500), Drop("not for us")]

        def ask(ctx: Any, delivery: Any) -> None:
            raise raised.pop(0)

        shop.on_event = ask
        shop.stripe()
        shop.run()
        shop.clock.advance(499)
        assert shop.run() == 0
        shop.clock.advance(1)
        shop.run()
        [row] = shop.list()
        assert (row["state"], row["attempts"]) == ("dead", 2) and row["error"].startswith("Drop: not for us")

    def test_a_cancelled_job_leaves_its_delivery_dead(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        shop.stripe()
        shop.app.jobs.scheduler().cancel(shop.list()[0]["jobId"])
        shop.run()
        [row] = shop.list()
        assert (row["state"], row["error"]) == ("dead", "cancelled")
        with pytest.raises(DocumentError, match="`webhooks replay` does that"):
            shop.app.jobs.scheduler().retry(row["jobId"])

    @pytest.mark.sqlite  # among several processes its lease has to end first
    def test_an_action_whose_process_died_is_run_again(self, tmp_path: Path) -> None:
        shop = Shop(str(tmp_path))
        shop.webhook(stripe, shop.act)
        shop.stripe()
        [row] = shop.list()
        store = shop.app.jobs.store

        def claim(transaction: Any) -> None:  # as the store is when the process dies while the action runs
            store.claim(transaction, transaction.system.get(row["_id"]), "a process that died")

        shop.app.database.write(claim)
        assert shop.states() == ["pending"]
        shop.close()
        shop.clock.advance(seconds=120)  # beyond its lease, for an engine that others share
        assert shop.run() == 0 and shop.states() == ["pending"]
        assert "the process ended" in shop.list()[0]["error"]
        shop.clock.advance(seconds=60)
        shop.run()
        assert shop.seen == ["evt_1"] and shop.states() == ["done"]
        shop.close()


class TestOrder:
    def test_equal_keys_are_handled_one_after_the_other(self, shop: Shop) -> None:
        shop.webhook(
            stripe,
            shop.mutate,
            ordered_by="data.object.customer",
            retry=RetryPolicy(max_attempts=2, initial_seconds=60, jitter=0),
        )
        for number, customer in enumerate(("a", "b", "a", "a", None, "b")):
            shop.stripe(f"evt_{number}", data={"object": {"customer": customer} if customer else {}})
        assert shop.states() == ["pending", "pending", "waiting", "waiting", "pending", "waiting"]

        def fail_first(ctx: Any, delivery: Any) -> None:
            if delivery["id"] == "evt_0":
                raise ValueError("not yet")

        shop.on_event = fail_first
        shop.run()
        assert shop.effects() == ["evt_1", "evt_4", "evt_5"]  # a waits for its first, b and the rest go on
        assert shop.states() == ["pending", "done", "waiting", "waiting", "done", "done"]
        shop.clock.advance(60)
        shop.run()
        assert shop.states() == ["dead", "done", "done", "done", "done", "done"]
        assert shop.effects()[3:] == ["evt_2", "evt_3"]

    def test_a_key_may_be_anything_that_json_can_say(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.act, ordered_by="key")
        for number, key in enumerate(("\\ud800", {"a": [1]}, 5, "x" * 100_000, "\0é")):
            body = json.dumps({"id": f"evt_{number}", "key": key}).replace("\\\\", "\\").encode()
            headers = stripe.sign(body, SECRET, timestamp=int(shop.clock()))
            assert shop.post("/webhooks/stripe", body, headers).status == 200
        shop.run()
        assert len(shop.seen) == 5

    def test_a_function_may_make_the_key(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, ordered_by=lambda delivery: delivery.event_type)
        shop.stripe("evt_1")
        shop.stripe("evt_2")
        shop.stripe("evt_3", type="other")
        assert shop.states() == ["pending", "waiting", "pending"]
        shop.run()
        assert sorted(shop.effects()) == ["evt_1", "evt_2", "evt_3"]


class TestKeeping:
    def test_settled_deliveries_go_after_their_retention_and_their_bodies_with_them(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, retention_days=2, retry=RetryPolicy(max_attempts=1))
        shop.stripe("evt_1")
        shop.run()
        shop.on_event = fail
        shop.stripe("evt_2")
        shop.run()
        shop.clock.advance(2 * 86_400 - 1)
        shop.stripe("evt_1")
        assert [row["deliveryId"] for row in shop.list()] == ["evt_1", "evt_2"]
        shop.clock.advance(2)
        shop.stripe("evt_3")
        shop.run()
        assert [row["deliveryId"] for row in shop.list()] == ["evt_3"]
        assert len(shop.rows("_webhook_bodies")) == 1

    def test_prune(self, shop: Shop) -> None:
        shop.webhook(stripe, None, retention_days=1)
        for number in range(5):
            shop.stripe(f"evt_{number}")
        assert shop.app.run_mutation("_webhooks:prune") == 0
        shop.clock.advance(86_401)
        assert shop.app.run_mutation("_webhooks:prune") == 5
        assert shop.list() == [] and shop.rows("_webhook_bodies") == []

    def test_what_is_pending_is_never_pruned(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, retention_days=1)
        shop.stripe()
        shop.clock.advance(10 * 86_400)
        assert shop.app.run_mutation("_webhooks:prune") == 0
        shop.run()
        assert shop.effects() == ["evt_1"]

    def test_a_route_that_is_gone_leaves_what_came_for_it_dead(self, tmp_path: Path) -> None:
        shop = Shop(str(tmp_path))
        shop.webhook(stripe, shop.mutate, retry=RetryPolicy(max_attempts=1))
        shop.stripe()
        shop.close()
        later = Shop(str(tmp_path))
        later.webhook(github, later.mutate)
        later.run()
        [row] = later.list()
        assert row["state"] == "dead" and "no webhook handler at /webhooks/stripe any more" in row["error"]
        assert later.app.run_mutation("_webhooks:replay", id=row["_id"]) is False
        assert later.app.run_mutation("_webhooks:retry_dead")["retried"] == 0
        later.close()
