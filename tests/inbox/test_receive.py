# SPDX-License-Identifier: MIT
"""The durable inbox from outside: deliveries over WSGI, jobs by hand, a clock that the test moves."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from minihttp import App, Drop, HttpRouter, RetryLater, RetryPolicy, testing, v
from minihttp.errors import ConfigurationError, DocumentError
from minihttp.functions.decorators import internal_action, internal_mutation, internal_query
from minihttp.functions.registry import Function
from minihttp.webhooks import clerk, github, gitlab, linear, slack, stripe, typeform, zoom
from tests.jobs.world import PATIENCE_SECONDS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {
    "STRIPE": SECRET,
    "GITHUB": SECRET,
    "SLACK": SECRET,
    "ZOOM": SECRET,
    "CLERK": SECRET,
    "GITLAB": SECRET,
}
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


class Reply:
    """What the app answered."""

    def __init__(self, app: App, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "HTTP_HOST": "localhost",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": fields.pop("HTTP_CONTENT_TYPE", "application/json"),
            **fields,
        }
        self.body = b"".join(app(environ, self._start))

    def _start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self.status = int(status[:3])
        self.headers = dict(headers)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Shop:
    """An app with webhooks, and the sender of its deliveries. `on_event` is what its handlers do."""

    def __init__(
        self, data: str | None = None, environment: dict[str, str] | None = None, **settings: Any
    ) -> None:
        self.http = HttpRouter()
        self.data = data
        self.environment = ENVIRONMENT if environment is None else environment
        self.settings = settings
        self.on_event: Callable[[Any, Any], object] = lambda ctx, delivery: None
        self.seen: list[Any] = []
        self.clock = testing.Clock()

        @internal_mutation
        def mutate(ctx: Any, delivery: Any) -> None:
            ctx.db.insert("effects", {"id": delivery["id"]})
            self.on_event(ctx, delivery)

        @internal_mutation(args={"delivery": v.any()}, returns=v.null())
        def check(ctx: Any, delivery: Any) -> None:
            mutate(ctx, delivery)

        @internal_action
        def act(ctx: Any, delivery: Any) -> None:
            self.seen.append(delivery["id"])
            self.on_event(ctx, delivery)

        @internal_query
        def look(ctx: Any, delivery: Any) -> None: ...

        self.mutate, self.check, self.act, self.look = mutate, check, act, look
        self.opened: App | None = None

    def webhook(self, module: Any, handler: Function | None, path: str = "", **options: Any) -> None:
        provider = options.pop("provider", None) or module.provider(secret=module.SCHEME.name.upper())
        self.http.webhook(path or f"/webhooks/{module.SCHEME.name}", provider, handler=handler, **options)

    @property
    def app(self) -> App:
        if self.opened is None:
            module = type(sys)("shop")
            for function in (self.mutate, self.check, self.act, self.look):
                function.handler.__module__ = "shop"
                setattr(module, function.handler.__name__, function)
            app = App(self.http, modules=[module], data=self.data or ":memory:", workers=0, **self.settings)
            app.configure(clock=self.clock, environment=self.environment)
            self.opened = app.open()
        return self.opened

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
            self.opened = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return Reply(self.app, "POST", path, body, headers)

    def stripe(self, id: str = "evt_1", **event: Any) -> Reply:
        """Sends an event as Stripe does."""
        body, headers = testing.signed(
            "stripe", {"id": id, "type": "charge.succeeded", **event}, SECRET, now=self.clock()
        )
        return self.post("/webhooks/stripe", body, headers)

    def run(self) -> int:
        return testing.run_jobs(self.app)

    def run_for(self, seconds: float, step_seconds: float = 600.0) -> None:
        """Let time pass, running what is due."""
        end = self.clock() + seconds
        while self.clock() < end:
            self.clock.advance(step_seconds)
            self.run()

    def effects(self) -> list[str]:
        return [row["id"] for row in self.rows("effects")]

    def rows(self, table: str) -> list[Any]:
        return self.app.database.read(
            lambda transaction: list((transaction.system if table[0] == "_" else transaction.db).query(table))
        )

    def list(self, state: str | None = None) -> list[Any]:
        return list(reversed(self.app.run_query("_webhooks:list", state=state, limit=1_000)))

    def states(self) -> list[str]:
        return [row["state"] for row in self.list()]

    def show(self, id: str) -> Any:
        return self.app.run_query("_webhooks:show", id=id)


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


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


class TestConfiguration:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"retention_days": 0}, "retention_days must be a positive number, not 0"),
            ({"max_body_bytes": True}, "max_body_bytes must be a positive number, not True"),
            ({"retry": 3}, "retry must be a RetryPolicy, not 3"),
            ({"colour": "red"}, "'colour' is not an option"),
        ],
    )
    def test_a_wrong_option_names_the_route(self, shop: Shop, options: Any, message: str) -> None:
        shop.webhook(stripe, shop.mutate, **options)
        with pytest.raises(ConfigurationError) as caught:
            shop.app  # noqa: B018
        assert message in str(caught.value) and "webhook /webhooks/stripe (" in str(caught.value)

    def test_a_wrong_handler(self, shop: Shop) -> None:
        with pytest.raises(ConfigurationError, match=r"query look .*cannot handle deliveries"):
            shop.webhook(stripe, shop.look)

    def test_a_handler_that_no_module_has(self, shop: Shop) -> None:
        shop.webhook(stripe, internal_mutation(lambda ctx, delivery: None))
        with pytest.raises(ConfigurationError, match="is not registered"):
            shop.app  # noqa: B018

    def test_a_malformed_secret(self, shop: Shop) -> None:
        shop.environment = {"CLERK": "whsec_%"}
        shop.webhook(clerk, shop.mutate)
        with pytest.raises(
            ConfigurationError, match=r"webhook /webhooks/clerk .*CLERK: a webhook secret is not base64"
        ):
            shop.app  # noqa: B018

    def test_linear_has_its_own_tolerance(self, shop: Shop) -> None:
        shop.environment = {"LINEAR": "x"}
        shop.webhook(linear, None)
        body = b'{"webhookTimestamp": %d}' % (shop.clock() * 1000)
        headers = linear.sign(body, "x")
        shop.clock.advance(8 * 3600 + 61)
        assert shop.post("/webhooks/linear", body, headers).status == 400


def test_all_real_payloads_are_kept_and_handled(shop: Shop) -> None:
    """By a handler that checks its argument; pings are answered and not kept."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real payloads of ../shared/data are not here")
    shop.webhook(github, shop.check)
    shop.webhook(stripe, shop.check)
    payloads: dict[str, Any] = {}
    shop.on_event = lambda ctx, delivery: payloads.__setitem__(delivery["id"], delivery["payload"])
    sent: dict[str, Any] = {}
    for kind in json.loads((SHARED_DATA / "github_payloads.json").read_bytes()):
        for payload in kind["examples"]:
            body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
            id = f"guid-{len(sent)}"
            headers = github.sign(body, SECRET, id=id, event_type=kind["name"])
            assert shop.post("/webhooks/github", body, headers).status == 200
            if kind["name"] != "ping":
                sent[id] = payload
    resources = json.loads((SHARED_DATA / "stripe_fixtures.json").read_bytes())["resources"]
    for name, resource in resources.items():
        event = {"type": f"{name}.updated", "object": "event", "created": 1, "data": {"object": resource}}
        id = f"evt_{len(sent)}"
        assert shop.stripe(id, **event).status == 200
        sent[id] = {"id": id, **event}
    shop.run()
    assert len(sent) > 500 and payloads == sent
    assert sorted(shop.effects()) == sorted(sent)


def test_two_apps_that_share_a_router_have_an_inbox_each() -> None:
    http = HttpRouter()
    http.webhook("/hook", stripe.provider(secret="STRIPE"), handler=None)
    environment = {"STRIPE": "whsec_of_two_apps"}
    apps = [testing.in_memory(App(http), environment=environment).prepare() for _ in range(2)]
    body, headers = testing.signed("stripe", {"id": "evt_1"}, "whsec_of_two_apps", now=apps[0].clock())
    for app in (apps[0], apps[0]):
        assert Reply(app, "POST", "/hook", body, headers).status == 200
    assert [len(app.run_query("_webhooks:list")) for app in apps] == [1, 0]
    for app in apps:
        app.close()
