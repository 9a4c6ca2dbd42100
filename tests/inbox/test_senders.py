# SPDX-License-Identifier: MIT
"""What senders do and want beside a signature, from outside: statuses, answers, forms, ids, retries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import webtest

from minihttp import App, ConfigurationError, HttpRouter, Response, internal_mutation, testing
from minihttp.webhooks import github, gitlab, linear, meta, shopify, slack, square, stripe, trello, twilio, x

FORM = "application/x-www-form-urlencoded"
SECRET = "secret"
ENVIRONMENT = {"S": SECRET, "T": "token"}
seen: list[Any] = []


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    seen.append({name: delivery[name] for name in ("id", "event_type", "payload")})


class Receiver:
    """An app with one webhook at /h, and a client of it."""

    def __init__(self, provider: Any, environment: dict[str, str] | None = None, **options: Any) -> None:
        http = HttpRouter()
        http.webhook("/h", provider, on_event, **options)
        self.clock = testing.Clock()
        app = App(
            http,
            modules={"m": __name__},
            environment=environment or ENVIRONMENT,
            origin="http://shop.example",
        )
        self.app = testing.in_memory(app, clock=self.clock)
        self.app.open()
        self.client = webtest.TestApp(self.app, extra_environ={"HTTP_HOST": "shop.example"})

    def post(self, body: bytes, headers: dict[str, str], target: str = "/h", media_type: str = FORM) -> Any:
        environ = {"REQUEST_URI": target}
        return self.client.post(
            "/h", body, {"Content-Type": media_type, **headers}, expect_errors=True, extra_environ=environ
        )

    def signed(self, module: Any, body: bytes, **options: Any) -> dict[str, str]:
        headers: dict[str, str] = module.sign(body, SECRET, timestamp=int(self.clock()), **options)
        return headers

    def handled(self) -> list[Any]:
        seen.clear()
        testing.run_jobs(self.app)
        return seen


@pytest.fixture
def receiver() -> Iterator[Any]:
    made: list[Receiver] = []

    def make(provider: Any, **options: Any) -> Receiver:
        made.append(Receiver(provider, **options))
        return made[-1]

    yield make
    for one in made:
        one.app.close()


class TestRefusals:
    @pytest.mark.parametrize(
        ("module", "options", "status"),
        [(shopify, {}, 401), (github, {}, 400), (github, {"refusal_status": 403}, 403),
         (shopify, {"refusal_status": 400}, 400)],
    )  # fmt: skip
    def test_the_status_is_the_providers_or_the_routes(
        self, receiver: Any, module: Any, options: dict[str, Any], status: int
    ) -> None:
        response = receiver(module.provider(secret="S"), **options).post(b"{}", {})
        assert (response.status_int, response.json) == (status, {"error": "Webhook verification failed"})

    def test_a_check_by_hand_has_the_providers_status_too(self) -> None:
        http = HttpRouter()
        http.route(
            path="/h", method="POST", handler=lambda c, r: shopify.verify(r.bytes(), r.headers, "s") and {}
        )
        assert webtest.TestApp(App(http)).post("/h", b"{}", status=401).json == {
            "error": "Webhook verification failed"
        }

    @pytest.mark.parametrize("status", [200, 399, 500, "401", 401.5])
    def test_a_status_that_is_none_of_refusal_stops_the_start(self, receiver: Any, status: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"webhook /h .* refusal_status must be from 400 to 499"):
            receiver(github.provider(secret="S"), refusal_status=status)


class TestAcknowledgements:
    def send(self, receiver: Receiver, body: bytes = b"{}", **headers: str) -> Any:
        return receiver.post(body, receiver.signed(github, body, id="d1", event_type="push"), media_type="")

    def test_slacks_forms_are_answered_by_nothing_and_its_events_by_json(self, receiver: Any) -> None:
        one = receiver(slack.provider(secret="S"))
        command = urlencode({"command": "/weather", "text": "94070", "trigger_id": "1.2"}).encode()
        view = urlencode({"payload": json.dumps({"type": "view_submission"})}).encode()
        for body in (command, view, command):
            response = one.post(body, one.signed(slack, body))
            assert (response.status_int, response.body) == (200, b"")
        event = b'{"type": "event_callback", "event_id": "Ev1", "event": {"type": "message"}}'
        response = one.post(event, one.signed(slack, event), media_type="application/json")
        assert (response.content_type, response.json) == ("application/json", {"ok": True})
        handled = {item["event_type"]: item["payload"] for item in one.handled()}
        assert handled["/weather"] == {"command": "/weather", "text": "94070", "trigger_id": "1.2"}
        assert handled["view_submission"] == {"type": "view_submission"}
        assert len(handled) == 3, "the command that came twice is one"

    def test_twilio_gets_twiml(self, receiver: Any) -> None:
        one = receiver(twilio.provider(secret="S", public_url="https://shop.example/h"))
        body = b"Body=hi&MessageSid=SM1"
        headers = one.signed(twilio, body, url="https://shop.example/h")
        for _ in range(2):
            response = one.post(body, headers)
            assert (response.status_int, response.content_type) == (200, "text/xml")
            assert response.body == b"<Response/>"
        assert [item["payload"] for item in one.handled()] == [{"Body": "hi", "MessageSid": "SM1"}]

    @pytest.mark.parametrize(
        ("chosen", "status", "content_type", "body"),
        [
            ("thanks", 200, "text/plain", b"thanks"),
            ("", 200, "text/plain", b""),
            ({"received": True}, 200, "application/json", b'{"received":true}'),
            (Response("<ok/>", 202, {"Content-Type": "text/xml"}), 202, "text/xml", b"<ok/>"),
            (lambda delivery: {"event": delivery.event_type}, 200, "application/json", b'{"event":"push"}'),
            (lambda delivery: Response(status=204), 204, None, b""),
            (lambda delivery: None, 200, "application/json", b'{"ok":true}'),
        ],
    )
    def test_it_can_be_chosen(
        self, receiver: Any, chosen: Any, status: int, content_type: Any, body: bytes
    ) -> None:
        one = receiver(github.provider(secret="S"), acknowledgement=chosen)
        response = self.send(one)
        assert (response.status_int, response.content_type, response.body) == (status, content_type, body)
        assert self.send(one).status_int == status
        assert len(one.handled()) == 1

    def test_a_choice_that_fails_stores_nothing(self, receiver: Any) -> None:
        one = receiver(github.provider(secret="S"), acknowledgement=lambda delivery: 1 / 0)
        assert self.send(one).status_int == 500
        assert one.handled() == [] and one.app.run_query("_webhooks:list") == []

    @pytest.mark.parametrize("chosen", [Response(status=302), Response(iter([b"x"])), {"x": object()}])
    def test_a_choice_that_cannot_be_stops_the_start(self, receiver: Any, chosen: Any) -> None:
        with pytest.raises(ConfigurationError, match="webhook /h"):
            receiver(github.provider(secret="S"), acknowledgement=chosen)


class TestBodies:
    def test_a_byte_order_mark_is_signed_and_dropped(self, receiver: Any) -> None:
        one = receiver(github.provider(secret="S"))
        body = b'\xef\xbb\xbf{"action":"opened"}'
        headers = one.signed(github, body, id="d1", event_type="issues")
        assert one.post(body, headers, media_type="application/json").status_int == 200
        assert one.handled() == [{"id": "d1", "event_type": "issues", "payload": {"action": "opened"}}]


class TestIds:
    @pytest.mark.parametrize(
        ("module", "body", "headers", "id"),
        [
            (twilio, b"MessageSid=SM1&Body=x", {}, "SM1"),
            (twilio, b"CallSid=CA1&CallStatus=ringing", {}, "sha256:"),
            (gitlab, b"{}", {"X-Gitlab-Event-UUID": "u-1"}, "u-1"),
            (gitlab, b"{}", {}, "sha256:"),
            (github, b"{}", {}, "sha256:"),
            (shopify, b"{}", {}, "sha256:"),
            (square, b'{"event_id":"e1"}', {}, "e1"),
        ],
    )
    def test_without_its_header_a_delivery_is_known_by_its_body(
        self, receiver: Any, module: Any, body: bytes, headers: dict[str, str], id: str
    ) -> None:
        one = receiver(module.provider(secret="S"))
        signed = one.signed(module, body, url="http://shop.example/h")
        signed.pop(module.SCHEME.id_header, None)
        for _ in range(2):
            assert one.post(body, {**signed, **headers}).status_int == 200
        [found] = one.handled()
        assert found["id"].startswith(id)
        assert one.app.run_query("_webhooks:list")[0]["duplicates"] == 1

    def test_one_message_in_two_states_is_two_deliveries(self, receiver: Any) -> None:
        one = receiver(twilio.provider(secret="S"))
        for status in ("sent", "delivered", "delivered"):
            body = urlencode({"MessageSid": "SM1", "MessageStatus": status}).encode()
            one.post(
                body,
                {
                    "X-Twilio-Signature": one.signed(twilio, body, url="http://shop.example/h")[
                        "X-Twilio-Signature"
                    ]
                },
            )
        assert sorted(item["event_type"] for item in one.handled()) == ["delivered", "sent"]


class TestRetriesWithTheFirstTime:
    def test_a_linear_delivery_that_met_a_503_is_taken_later_and_once(self, receiver: Any) -> None:
        one = receiver(linear.provider(secret="S"))
        body = json.dumps({"type": "Issue", "webhookTimestamp": int(one.clock() * 1000)}).encode()
        headers = one.signed(linear, body, id="d1", event_type="Issue")
        for seconds, duplicates in ((61, 0), (3600, 1), (6 * 3600, 2)):
            one.clock.advance(seconds)
            assert one.post(body, headers, media_type="application/json").status_int == 200
            assert one.app.run_query("_webhooks:list")[0]["duplicates"] == duplicates
        one.clock.advance(3600)
        assert one.post(body, headers, media_type="application/json").status_int == 400
        assert len(one.handled()) == 1

    def test_the_future_stays_strict(self, receiver: Any) -> None:
        one = receiver(linear.provider(secret="S"))
        body = json.dumps({"webhookTimestamp": int((one.clock() + 61) * 1000)}).encode()
        assert one.post(body, one.signed(linear, body, id="d1")).status_int == 400


class TestSignedUrls:
    @pytest.mark.parametrize(
        "target", ["/h?tags[]=a", "/h?ids=1|2", "/h?", '/h?q="x"&y=a^b', "/h?a={b}", "/h?tags%5B%5D=a", "/h"]
    )
    @pytest.mark.parametrize("public_url", ["", "https://shop.example/h"])
    def test_the_query_counts_as_it_was_sent(self, receiver: Any, target: str, public_url: str) -> None:
        base = public_url or "http://shop.example/h"
        one = receiver(square.provider(secret="S", public_url=public_url))
        body = b'{"event_id":"e1"}'
        mac = hmac.new(b"secret", base.encode() + target[2:].encode() + body, hashlib.sha256).digest()
        headers = {"x-square-hmacsha256-signature": base64.b64encode(mac).decode()}
        assert one.post(body, headers, target, "application/json").status_int == 200


class TestProbes:
    def test_meta_gets_its_challenge(self, receiver: Any) -> None:
        one = receiver(meta.provider(secret="S", verify_token="T"))
        query = {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "<b>1158201444"}
        response = one.client.get("/h", query)
        assert (response.text, response.content_type) == ("<b>1158201444", "text/plain")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        one.client.get("/h", {**query, "hub.verify_token": "other"}, status=403)
        one.client.get("/h", status=403)
        body = b'{"object": "whatsapp_business_account"}'
        assert one.post(body, one.signed(meta, body), media_type="application/json").status_int == 200

    def test_a_token_that_is_not_set_is_missing(self, receiver: Any) -> None:
        one = receiver(meta.provider(secret="S", verify_token="T"), environment={"S": "x"})
        one.client.get("/h", {"hub.mode": "subscribe", "hub.verify_token": ""}, status=503)
        assert one.app.missing_secrets() == [("/h", "T")]

    def test_trello_asks_by_head_and_x_for_a_signature(self, receiver: Any) -> None:
        assert receiver(trello.provider(secret="S")).client.head("/h").status_int == 200
        one = receiver(x.provider(secret="S"))
        mac = base64.b64encode(hmac.new(b"secret", b"abc", "sha256").digest()).decode()
        assert one.client.get("/h?crc_token=abc").json == {"response_token": f"sha256={mac}"}
        one.client.get("/h", {"crc_token": '{"a":1}'}, status=403)

    def test_others_have_no_get(self, receiver: Any) -> None:
        receiver(stripe.provider(secret="S")).client.get("/h", status=405)


class TestSeveralSecrets:
    def test_one_that_is_set_is_enough(self, receiver: Any, caplog: pytest.LogCaptureFixture) -> None:
        one = receiver(stripe.provider(secret=["S", "OLD"]))
        assert one.app.missing_secrets() == [] and one.app.spare_secrets() == [("/h", "OLD", 1, 2)]
        assert [record for record in caplog.records if record.levelname == "WARNING"] == []

    def test_none_that_is_set_is_too_few(self, receiver: Any) -> None:
        one = receiver(stripe.provider(secret=["NEW", "OLD"]))
        assert one.app.missing_secrets() == [("/h", "NEW"), ("/h", "OLD")]
        assert one.post(b"{}", {}).status_int == 503
