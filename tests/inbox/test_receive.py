# SPDX-License-Identifier: MIT
"""Deliveries from outside: what is taken, kept once, refused or answered."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from minihttp import testing
from minihttp.webhooks import github, gitlab, slack, stripe, typeform, zoom
from tests.inbox.shop import ENVIRONMENT, SECRET, Reply, Shop, shop
from tests.jobs.world import PATIENCE_SECONDS

__all__ = ["shop"]


class TestReceiving:
    def test_a_delivery_is_kept_and_handled_once(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        reply = shop.stripe(data={"object": {"amount": 5}})
        assert (reply.status, reply.json) == (200, {"ok": True})
        assert shop.states() == ["pending"] and shop.effects() == []
        assert shop.run() == 1
        assert shop.effects() == ["evt_1"]
        [row] = shop.list()
        assert (row["state"], row["attempts"], row["duplicates"]) == ("done", 1, 0)
        assert (row["provider"], row["eventType"], row["secret"]) == ("stripe", "charge.succeeded", "STRIPE")

    def test_a_duplicate_is_200_and_counted(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        shop.stripe()
        assert shop.stripe().json == {"ok": True, "duplicate": True}
        shop.run()
        shop.clock.advance(60)  # a later attempt has another timestamp and signature
        assert shop.stripe().status == 200
        assert shop.run() == 0
        assert shop.effects() == ["evt_1"]
        [row] = shop.list()
        assert row["duplicates"] == 2 and row["lastSeen"] == shop.clock() * 1000 and "conflicts" not in row

    def test_the_same_id_with_another_body_keeps_the_first_and_says_so(self, shop: Shop) -> None:
        shop.webhook(stripe, None)
        shop.stripe(data=1)
        shop.stripe(data=2)
        [row] = shop.list()
        assert row["conflicts"] == 1
        assert json.loads(shop.show(row["_id"])["body"])["data"] == 1

    def test_endpoints_are_apart(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        shop.webhook(stripe, shop.mutate, path="/other")
        body, headers = testing.signed("stripe", {"id": "evt_1"}, SECRET, now=shop.clock())
        for path in ("/webhooks/stripe", "/other", "/other"):
            assert shop.post(path, body, headers).status == 200
        shop.run()
        assert shop.effects() == ["evt_1", "evt_1"]

    def test_the_handler_gets_what_was_sent(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        got: list[Any] = []
        shop.on_event = lambda ctx, delivery: got.append(delivery)
        shop.stripe(amount=2**60, _links={"é": "\0"})
        shop.run()
        [delivery] = got
        assert delivery["payload"] == {
            "id": "evt_1",
            "type": "charge.succeeded",
            "amount": 2**60,
            "_links": {"é": "\0"},
        }
        assert json.loads(delivery["body"]) == delivery["payload"]
        names = ("id", "provider", "endpoint", "event_type", "timestamp")
        expected = ["evt_1", "stripe", "/webhooks/stripe", "charge.succeeded", shop.clock()]
        assert [delivery[name] for name in names] == expected
        assert delivery["headers"]["stripe-signature"].startswith("t=")

    def test_any_bytes_are_kept_as_they_came(self, shop: Shop) -> None:
        shop.webhook(github, shop.mutate)
        got: list[Any] = []
        shop.on_event = lambda ctx, delivery: got.append((delivery["body"], delivery["payload"]))
        bodies = [
            b"",
            b"\xff\xfe\x00",
            "\ufeff{}".encode(),
            b"{}\r\n",
            b'{"$bytes": "\\u0000"}',
            bytes(range(256)) * 9,
        ]
        for number, body in enumerate(bodies):
            headers = github.sign(body, SECRET, id=f"guid-{number}", event_type="push")
            assert shop.post("/webhooks/github", body, headers).status == 200
        shop.run()
        assert [body for body, _ in got] == bodies
        assert [payload for _, payload in got] == [None, None, {}, {}, {"$bytes": "\0"}, None]

    def test_without_a_handler_deliveries_are_only_kept(self, shop: Shop) -> None:
        shop.webhook(stripe, None)
        shop.stripe()
        assert shop.run() == 0
        [row] = shop.list()
        assert row["state"] == "done" and shop.show(row["_id"])["body"].startswith(b'{"id":"evt_1"')

    def test_a_delivery_without_an_id_of_its_own(self, shop: Shop) -> None:
        """Zoom signs a time: the same time and body are one delivery. Typeform signs none: each counts."""
        shop.environment = {**ENVIRONMENT, "TYPEFORM": SECRET}
        shop.webhook(zoom, shop.mutate)
        shop.webhook(typeform, shop.mutate)
        for module, expected in ((zoom, 1), (typeform, 3)):
            headers = module.sign(b"{}", SECRET, timestamp=int(shop.clock()))
            before = len(shop.list())
            for _ in range(2):
                assert shop.post(f"/webhooks/{module.SCHEME.name}", b"{}", headers).status == 200
            assert len(shop.list()) - before == (1 if module is zoom else 2)
            shop.run()
            assert len(shop.effects()) == expected

    def test_a_missing_id_header_is_no_way_around_deduplication(self, shop: Shop) -> None:
        shop.webhook(github, shop.mutate)
        headers = github.sign(b"{}", SECRET)
        del headers["X-GitHub-Delivery"]
        for _ in range(3):
            assert shop.post("/webhooks/github", b"{}", headers).status == 200
        assert [row["duplicates"] for row in shop.list()] == [2]

    def test_secrets_rotate(self, shop: Shop) -> None:
        shop.environment = {"NEW": "new secret", "OLD": SECRET}
        shop.webhook(stripe, None, provider=stripe.provider(secret=["GONE", "NEW", "OLD"]))
        assert shop.stripe().status == 200
        assert shop.list()[0]["secret"] == "OLD"


class TestConcurrency:
    def test_of_identical_deliveries_exactly_one_takes_effect(self, tmp_path: Path) -> None:
        """20 threads, 50 rounds, on disk."""
        shop = Shop(str(tmp_path))
        shop.webhook(stripe, shop.mutate)
        app = shop.app
        barrier = threading.Barrier(20)
        replies: list[Reply] = []

        def send() -> None:
            for number in range(50):
                body, headers = testing.signed("stripe", {"id": f"evt_{number}"}, SECRET, now=shop.clock())
                barrier.wait(PATIENCE_SECONDS)
                replies.append(Reply(app, "POST", "/webhooks/stripe", body, headers))

        threads = [threading.Thread(target=send) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shop.run()
        assert sorted(shop.effects()) == sorted(f"evt_{number}" for number in range(50))
        assert len(replies) == 1_000 and {reply.status for reply in replies} == {200}
        assert sum("duplicate" in reply.json for reply in replies) == 950
        assert [row["duplicates"] for row in shop.list()] == [19] * 50
        shop.close()


class TestRefusing:
    def test_a_wrong_signature_is_a_400_that_says_nothing(
        self, shop: Shop, caplog: pytest.LogCaptureFixture
    ) -> None:
        shop.webhook(stripe, shop.mutate)
        body, headers = testing.signed("stripe", {"id": "evt_1"}, "another", now=shop.clock())
        for changed in ({}, {"Stripe-Signature": "é"}, {"Stripe-Signature": "t=1"}, headers):
            reply = shop.post("/webhooks/stripe", body, changed)
            assert (reply.status, reply.json) == (400, {"error": "Webhook verification failed"})
        reasons = ["missing_header", "malformed_header", "no_signature", "mismatch"]
        assert [row["reason"] for row in shop.list("refused")] == reasons
        assert all(reason in caplog.text for reason in reasons)
        assert shop.list() == [] and shop.run() == 0 and shop.effects() == []

    def test_what_is_kept_of_a_refusal(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate)
        headers = {
            "Stripe-Signature": "x" * 9_000,
            "Authorization": "Bearer a",
            "Cookie": "b=c",
            "User-Agent": "Stripe/1.0",
        }
        shop.post("/webhooks/stripe", b"secret body", headers)
        [row] = shop.list("refused")
        assert set(row["headers"]) <= {"stripe-signature", "user-agent", "content-type"}
        assert (
            row["headers"]["user-agent"] == "Stripe/1.0" and len(row["headers"]["stripe-signature"]) == 2_048
        )
        assert row["bodyBytes"] == 11 and "body" not in row and shop.show(row["_id"])["body"] is None

    def test_all_headers_are_kept_when_asked_but_those_of_the_way_and_credentials(self, shop: Shop) -> None:
        shop.webhook(gitlab, None, path="/all", keep_all_headers=True)
        shop.webhook(gitlab, None, path="/known")
        sent = {"X-Gitlab-Event": "Push Hook", "Accept": "*/*", "X-Trace": "é", "Idempotency-Key": "1"}
        way = ("Host", "Connection", "Te", "Via", "X-Forwarded-For", "Proxy-Connection")
        credentials = (
            "Authorization",
            "Cookie",
            "X-Api-Key",
            "X-Auth-Token",
            "X-Hub-Secret",
            "X-Gitlab-Token",
        )
        other = {**dict.fromkeys((*way, *credentials), SECRET), "$x": "no name of a field", "X" * 300: "long"}
        other |= {"Connection": "close, X-Hop", "X-Hop": "1"}
        for path in ("/all", "/known"):
            assert shop.post(path, b"{}", {**sent, **other}).status == 200
        kept = {row["endpoint"]: row["headers"] for row in shop.list()}
        wanted = {name.lower(): value for name, value in sent.items()} | {"content-type": "application/json"}
        assert kept["/all"] == wanted
        assert kept["/known"] == {
            name: wanted[name] for name in ("content-type", "idempotency-key", "x-gitlab-event")
        }

    def test_bodies_of_refusals_are_kept_when_asked(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, keep_refused_bodies=True)
        shop.post("/webhooks/stripe", b"\xff", {})
        [row] = shop.list("refused")
        assert shop.show(row["_id"])["body"] == b"\xff"

    def test_refusals_are_a_ring_that_a_flood_does_not_turn(self, shop: Shop) -> None:
        shop.webhook(stripe, None, refused_kept=3, keep_refused_bodies=True)
        for minute in range(3):
            for number in range(9):
                shop.post("/webhooks/stripe", b"%d %d" % (minute, number), {})
            kept = [shop.show(row["_id"])["body"] for row in shop.list("refused")]
            assert kept == [b"%d %d" % (minute, number) for number in range(3)]
            shop.clock.advance(60)
        assert len(shop.rows("_webhook_bodies")) == 3

    def test_a_ring_of_an_earlier_process_goes_on(self, tmp_path: Path) -> None:
        for _ in range(2):
            shop = Shop(str(tmp_path))
            shop.webhook(stripe, None, refused_kept=2)
            for _ in range(2):
                shop.post("/webhooks/stripe", b"", {})
            assert len(shop.list("refused")) == 2
            shop.close()

    def test_a_missing_secret_is_a_503_and_a_warning(
        self, shop: Shop, caplog: pytest.LogCaptureFixture
    ) -> None:
        shop.environment = {"STRIPE": ""}
        shop.webhook(stripe, shop.mutate)
        with caplog.at_level(logging.WARNING):
            shop.app  # noqa: B018
        assert "webhook /webhooks/stripe: the environment variable STRIPE is not set" in caplog.text
        reply = shop.stripe()
        assert reply.status == 503 and reply.headers["Retry-After"] == "60"
        assert shop.list() == [] and shop.list("refused") == []

    def test_too_large_is_a_413_before_the_signature_counts(self, shop: Shop) -> None:
        shop.webhook(stripe, shop.mutate, max_body_bytes=100)
        assert shop.stripe(text="x" * 100).status == 413
        assert shop.post("/webhooks/stripe", b"x" * 101, {}).status == 413
        assert shop.list("refused") == []
        assert shop.stripe().status == 200

    def test_time_counts_by_the_apps_clock(self, shop: Shop) -> None:
        shop.webhook(stripe, None)
        body, headers = testing.signed("stripe", {"id": "evt_1"}, SECRET, now=shop.clock())
        shop.clock.advance(301)
        assert shop.post("/webhooks/stripe", body, headers).status == 400
        assert [row["reason"] for row in shop.list("refused")] == ["too_old"]

    def test_other_methods_are_a_405(self, shop: Shop) -> None:
        shop.webhook(stripe, None)
        assert Reply(shop.app, "GET", "/webhooks/stripe", b"", {}).status == 405


class TestHandshakes:
    def test_a_github_ping_is_answered_and_not_kept(self, shop: Shop) -> None:
        shop.webhook(github, shop.mutate)
        reply = shop.post("/webhooks/github", b"{}", github.sign(b"{}", SECRET, event_type="ping"))
        assert (reply.status, reply.json) == (200, {"ok": True})
        assert shop.list() == []

    def test_challenges_of_slack_and_zoom(self, shop: Shop) -> None:
        shop.webhook(slack, shop.mutate)
        shop.webhook(zoom, shop.mutate)
        body = b'{"type": "url_verification", "challenge": "abc"}'
        headers = slack.sign(body, SECRET, timestamp=int(shop.clock()))
        assert shop.post("/webhooks/slack", body, headers).json == {"challenge": "abc"}
        body = b'{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}'
        headers = zoom.sign(body, SECRET, timestamp=int(shop.clock()))
        assert shop.post("/webhooks/zoom", body, headers).json["plainToken"] == "abc"
        assert shop.list() == []

    def test_an_unsigned_challenge_is_refused(self, shop: Shop) -> None:
        shop.webhook(slack, shop.mutate)
        assert (
            shop.post("/webhooks/slack", b'{"type": "url_verification", "challenge": "abc"}', {}).status
            == 400
        )

    def test_a_github_form_body(self, shop: Shop) -> None:
        shop.webhook(github, shop.mutate)
        got: list[Any] = []
        shop.on_event = lambda ctx, delivery: got.append(delivery["payload"])
        body = urlencode({"payload": '{"zen": "é"}'}).encode()
        headers = github.sign(body, SECRET, event_type="star")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        assert shop.post("/webhooks/github", body, headers).status == 200
        shop.run()
        assert got == [{"zen": "é"}]
