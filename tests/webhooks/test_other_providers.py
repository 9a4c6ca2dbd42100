# SPDX-License-Identifier: MIT
"""The presets that are a few lines of data each; all that they share is in the contract."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from minihttp import webhooks
from minihttp.errors import ConfigurationError, WebhookError
from minihttp.webhooks import (
    gitlab,
    linear,
    meta,
    paddle,
    shopify,
    slack,
    square,
    stripe,
    trello,
    twilio,
    typeform,
    x,
    zoom,
)
from tests.contracts.webhooks import NOW, TimedWebhookContract, WebhookContract


class TestSlack(TimedWebhookContract):
    """The published vector is the row slack/docs-vector."""

    module = slack

    def test_the_challenge_is_echoed(self) -> None:
        provider = slack.provider(secret="SLACK_SIGNING_SECRET")
        body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "x"}).encode()
        assert provider.handshake(self.verify(self.sign(body), body), self.secret) == {
            "challenge": "3eZbrw1aB"
        }
        assert provider.handshake(self.verify(self.sign()), self.secret) is None

    def test_the_inner_event_names_the_type(self) -> None:
        body = b'{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}'
        delivery = self.verify(self.sign(body), body)
        assert (delivery.id, delivery.event_type) == ("Ev1", "app_mention")
        assert slack.provider(secret="S").acknowledgement(delivery) is None

    def test_commands_and_interactions_are_forms_and_want_an_empty_answer(self) -> None:
        interaction = {"type": "view_submission", "view": {"id": "V1"}}
        for fields, payload, event_type in (
            ({"payload": json.dumps(interaction)}, interaction, "view_submission"),
            ({"command": "/weather", "text": "94070 & é", "team_id": "T1"}, None, "/weather"),
        ):
            body = urlencode(fields).encode()
            headers = {**self.sign(body), "Content-Type": "application/x-www-form-urlencoded"}
            delivery = self.verify(headers, body)
            assert (delivery.payload, delivery.event_type) == (payload or fields, event_type)
            assert slack.provider(secret="S").acknowledgement(delivery) == (b"", "")


class TestZoom(TimedWebhookContract):
    module = zoom

    def test_the_challenge_is_answered_with_its_hmac(self) -> None:
        provider = zoom.provider(secret="ZOOM_WEBHOOK_SECRET_TOKEN")
        body = json.dumps(
            {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
        ).encode()
        answer = provider.handshake(self.verify(self.sign(body), body), self.secret)
        token = hmac.new(self.secret.encode(), b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
        assert answer == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": token}
        for body in (b'{"event": "endpoint.url_validation"}', b'{"event": "meeting.started"}', b"no json"):
            assert provider.handshake(self.verify(self.sign(body), body), self.secret) is None


class TestShopify(WebhookContract):
    """The published vector is the row shopify/convoy-vector."""

    module = shopify
    refusal_status = 401  # its automated review of apps


class TestTypeform(WebhookContract):
    module = typeform

    def test_signed_as_the_documentation_computes_it(self) -> None:
        digest = hmac.digest(self.secret.encode(), self.body, "sha256")
        import base64

        assert self.sign()["Typeform-Signature"] == "sha256=" + base64.b64encode(digest).decode()


class TestPaddle(TimedWebhookContract):
    module = paddle

    def test_the_header_is_a_list_with_semicolons(self) -> None:
        header = self.sign()["Paddle-Signature"]
        mac = hmac.new(self.secret.encode(), b"%d:" % NOW + self.body, hashlib.sha256).hexdigest()
        assert header == f"ts={NOW};h1={mac}"


class TestLinear(WebhookContract):
    module = linear
    body = b'{"webhookTimestamp": %d000, "type": "Issue"}' % NOW
    odd_bodies = (b'{"webhookTimestamp": %d999}' % NOW, b'\n{"webhookTimestamp":%d000}' % NOW)

    def test_the_time_is_in_the_body(self) -> None:
        headers = self.sign()
        assert self.verify(headers, now=NOW + 60.9).timestamp == NOW
        assert self.refuse(headers, now=NOW + 61) == "too_old"
        assert self.refuse(headers, now=NOW - 61) == "too_new"

    def test_a_retry_has_the_first_time_and_is_taken_where_ids_are_remembered(self) -> None:
        headers, hour = self.sign(), 3_600
        strict = linear.provider(secret="S", tolerance_seconds=60)
        own = linear.provider(secret="S")
        for age in (61, hour, 7 * hour + 60, 8 * hour + 60):
            assert own.verify(self.body, headers, [self.secret], now=NOW + age).timestamp == NOW
            with pytest.raises(WebhookError, match="signed"):
                strict.verify(self.body, headers, [self.secret], now=NOW + age)
        for age in (8 * hour + 61, -61):
            with pytest.raises(WebhookError, match="signed"):
                own.verify(self.body, headers, [self.secret], now=NOW + age)

    @pytest.mark.parametrize(
        "body",
        [
            b"{}",
            b"x",
            b'{"webhookTimestamp": "1"}',
            b'{"webhookTimestamp": true}',
            b'{"webhookTimestamp": 1e12}',
            b'{"webhookTimestamp": -5}',
        ],
    )
    def test_a_body_without_a_time_is_refused(self, body: bytes) -> None:
        assert self.refuse(self.sign(body), body) == "invalid_timestamp"


class TestSquare(WebhookContract):
    module = square

    def test_the_url_is_signed(self) -> None:
        assert self.refuse(self.sign(), url="https://example.com/other") == "mismatch"
        provider = square.provider(secret="S", public_url="https://example.com/hooks")
        headers = self.sign(url="https://example.com/hooks?a=1")
        assert (
            provider.verify(self.body, headers, [self.secret], url="http://10.0.0.1:8000/x?a=1").secret_index
            == 0
        )


class TestTwilio(WebhookContract):
    """The published vectors are the rows twilio/…"""

    module = twilio
    odd_bodies = (b"", b"a=1&a=1&b=", b"a=%C3%A9", b"x" * 1_000_000)

    def test_the_url_counts_with_and_without_its_port(self) -> None:
        bare, port = "https://example.com/hooks?a=:443", "https://example.com:443/hooks?a=:443"
        assert self.verify(self.sign(url=bare), url=port).secret_index == 0
        assert self.verify(self.sign(url=port), url=bare).secret_index == 0
        assert self.refuse(self.sign(url=bare), url=bare.replace("com/", "com:8443/x/")) == "mismatch"

    def test_a_body_that_is_no_form_is_a_mismatch(self) -> None:
        for body in (b"\xff", b"&a=1" * 1_001):
            assert self.refuse({"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}, body) == "mismatch"

    def test_any_other_body_is_signed_through_its_hash_in_the_url(self) -> None:
        url = "https://example.com/hooks?bodySHA256=" + hashlib.sha256(b"\xff{}").hexdigest()
        headers = self.sign(b"\xff{}", url=url)
        assert self.verify(headers, b"\xff{}", url=url).secret_index == 0
        assert self.refuse(headers, b"\xff{} ", url=url) == "mismatch"

    @pytest.mark.parametrize(
        "url", ["", "http://[", "https://h:x/", "//", "https://h/?bodySHA256=é", "\ud800"]
    )
    def test_no_url_is_too_odd(self, url: str) -> None:
        assert self.refuse({"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}, url=url) == "mismatch"

    def test_the_query_is_the_requests_own(self) -> None:
        for public, target, signed in (
            ("https://shop.example/h", "/h?tags[]=a|{b}", "https://shop.example/h?tags[]=a|{b}"),
            ("https://shop.example/h", "/h?", "https://shop.example/h?"),
            ("https://shop.example/h?tenant=7", "/h?tenant=7", "https://shop.example/h?tenant=7"),
            ("https://shop.example/h?tenant=7", "/h", "https://shop.example/h?tenant=7"),
            ("https://shop.example/h?tenant=7", "/h?tenant=7&x=1", "https://shop.example/h?tenant=7&x=1"),
            ("https://shop.example/h#rc=3&rp=all", "/h", "https://shop.example/h"),
        ):
            provider = twilio.provider(secret="S", public_url=public)
            headers = self.sign(b"a=1", url=signed)
            found = provider.verify(b"a=1", headers, [self.secret], url=f"http://10.0.0.1:8000{target}")
            assert found.secret_index == 0, public

    def test_the_fields_of_a_form_are_the_payload(self) -> None:
        body = b"MessageSid=SM1&Body=a+%26+b&SmsStatus=received&x=1&x=2&empty="
        delivery = self.form(body)
        assert delivery.payload == {
            "MessageSid": "SM1", "Body": "a & b", "SmsStatus": "received", "x": ["1", "2"], "empty": "",
        }  # fmt: skip
        assert (delivery.id, delivery.event_type) == ("SM1", "received")

    def test_the_status_of_a_message_belongs_to_the_id_of_its_callback(self) -> None:
        ids = [self.form(b"MessageSid=SM1&MessageStatus=%b" % s).id for s in (b"sent", b"delivered", b"sent")]
        assert ids == ["SM1:sent", "SM1:delivered", "SM1:sent"]
        assert self.form(b"CallSid=CA1&CallStatus=ringing").id is None, "it tells of each step of a call"

    def form(self, body: bytes) -> Any:
        headers = {**self.sign(body), "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
        return self.verify({k: v for k, v in headers.items() if "Token" not in k}, body)


class TestMeta(WebhookContract):
    module = meta
    provider_options = {"verify_token": "META_VERIFY_TOKEN"}

    def test_the_challenge_is_echoed_to_whoever_knows_the_token(self) -> None:
        provider = meta.provider(secret="S", verify_token="TOKEN")
        asked = {"hub.mode": "subscribe", "hub.verify_token": "tököken", "hub.challenge": "1158201444"}
        assert provider.answers_get
        assert provider.probe(asked, self.secret, "tököken") == "1158201444"
        for name, value in (("hub.verify_token", "other"), ("hub.verify_token", "\ud800"), ("hub.mode", "x")):
            assert provider.probe({**asked, name: value}, self.secret, "tököken") is None
        assert provider.probe({}, self.secret, "t") is None

    def test_the_token_must_be_named(self) -> None:
        with pytest.raises(ConfigurationError, match="meta needs verify_token"):
            meta.provider(secret="S")
        with pytest.raises(ConfigurationError, match="stripe has no verify_token"):
            stripe.provider(secret="S", verify_token="T")


class TestTrello(WebhookContract):
    module = trello

    def test_the_url_is_signed(self) -> None:
        assert self.refuse(self.sign(), url="https://example.com/other") == "mismatch"
        assert trello.provider(secret="S").signs_url

    def test_the_documented_formula(self) -> None:
        mac = hmac.new(self.secret.encode(), self.body + self.url.encode(), "sha1").digest()
        assert self.verify({"x-trello-webhook": base64.b64encode(mac).decode()}).secret_index == 0

    def test_a_url_is_tested_by_head(self) -> None:
        assert trello.provider(secret="S").probe({}, self.secret, "") == ""


class TestX(WebhookContract):
    module = x

    def test_the_token_of_a_crc_is_signed_and_nothing_else(self) -> None:
        provider = x.provider(secret="S")
        mac = base64.b64encode(hmac.new(self.secret.encode(), b"MTI-_3", "sha256").digest()).decode()
        assert provider.probe({"crc_token": "MTI-_3"}, self.secret, "") == {"response_token": f"sha256={mac}"}
        for token in ("", '{"for_user_id":"1"}', "a=1", "x" * 201, "é"):
            assert provider.probe({"crc_token": token}, self.secret, "") is None


class TestGitLab(WebhookContract):
    module = gitlab
    secret = "token 123"
    other_secret = "another token"

    def test_a_changed_body_is_a_mismatch(self) -> None:
        """A token signs nothing: whoever has it may send any body."""
        assert self.verify(self.sign(), b"another").body == b"another"

    def test_before_17_4_the_uuid_of_the_event_is_the_id(self) -> None:
        headers = {k: v for k, v in self.sign().items() if k != "Idempotency-Key"}
        delivery = self.verify({**headers, "X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e"})
        assert delivery.id == "13792a34-cac6-4fda-95a8-c58e00a3954e"
        assert self.verify({**self.sign(), "X-Gitlab-Event-UUID": "u"}).id == "msg_1"
        assert "x-gitlab-event-uuid" in gitlab.provider(secret="S").wanted_headers

    def test_the_token_is_not_kept(self) -> None:
        kept = gitlab.provider(secret="GITLAB_TOKEN").kept_headers
        assert "x-gitlab-token" not in kept
        assert "x-gitlab-event" in kept


def test_every_provider_is_found_by_its_name() -> None:
    names = webhooks.names()
    assert {
        "github",
        "github-sha1",
        "stripe",
        "svix",
        "clerk",
        "standard-webhooks",
        "slack",
        "twilio",
    } <= set(names)
    assert [webhooks.scheme_of(name).name for name in names] == names
    with pytest.raises(
        ConfigurationError, match=r"'nobody' is not a webhook provider; known are clerk, github"
    ):
        webhooks.scheme_of("nobody")
    with pytest.raises(AttributeError, match="nobody"):
        webhooks.nobody  # noqa: B018
