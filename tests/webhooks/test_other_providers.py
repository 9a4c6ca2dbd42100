# SPDX-License-Identifier: MIT
"""The presets that are a few lines of data each; all that they share is in the contract."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from minihttp import webhooks
from minihttp.errors import ConfigurationError
from minihttp.webhooks import gitlab, linear, paddle, shopify, slack, square, twilio, typeform, zoom
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


class TestGitLab(WebhookContract):
    module = gitlab
    secret = "token 123"
    other_secret = "another token"

    def test_a_changed_body_is_a_mismatch(self) -> None:
        """A token signs nothing: whoever has it may send any body."""
        assert self.verify(self.sign(), b"another").body == b"another"

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
