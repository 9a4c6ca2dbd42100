# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from minihttp.errors import ConfigurationError, HTTPError, WebhookError
from minihttp.webhooks import github, github_sha1
from tests.contracts.webhooks import WebhookContract


class TestGitHub(WebhookContract):
    module = github
    secret = "It's a Secret to Everybody"

    def test_published_vector(self) -> None:
        """docs.github.com, "Validating webhook deliveries": testing the webhook payload validation."""
        signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        assert self.sign(b"Hello, World!")["X-Hub-Signature-256"] == signature

    def test_the_grammar_is_64_lower_case_hex_digits_after_the_prefix(self) -> None:
        signature = self.sign()["X-Hub-Signature-256"]
        digits = signature.removeprefix("sha256=")
        for value in (
            digits,
            "sha1=" + digits,
            "SHA256=" + digits,
            f"sha256={digits.upper()}",
            f" {signature}",
        ):
            assert self.refuse({"X-Hub-Signature-256": value}) == "malformed_header"
        assert self.refuse({"X-Hub-Signature-256": f"{signature}, {signature}"}) == "malformed_header"

    def test_sha1_is_never_a_fallback(self) -> None:
        legacy = github_sha1.sign(self.body, self.secret)
        assert self.refuse(legacy) == "missing_header"
        assert self.refuse({**legacy, "X-Hub-Signature-256": legacy["X-Hub-Signature"]}) == "malformed_header"

    def test_id_and_event_come_from_headers(self) -> None:
        delivery = self.verify(self.sign(id="72d3162e-cc78-11e3-81ab-4c9367dc0958", event_type="push"))
        assert (delivery.id, delivery.event_type) == ("72d3162e-cc78-11e3-81ab-4c9367dc0958", "push")
        assert delivery.json() == {"hello": "world"}

    def test_a_form_body_holds_the_json_in_its_field_payload(self) -> None:
        body = urlencode({"payload": json.dumps({"zen": "é & ="})}).encode()
        headers = {**self.sign(body), "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        assert self.verify(headers, body).json() == {"zen": "é & ="}

    @pytest.mark.parametrize(
        "body", [b"", b"payload=", b"payload={}&payload={}", b"other={}", b"payload=%ff", b"&" * 5000]
    )
    def test_a_form_body_without_one_json_is_a_clear_400(self, body: bytes) -> None:
        delivery = self.verify({**self.sign(body), "Content-Type": "application/x-www-form-urlencoded"}, body)
        with pytest.raises(HTTPError, match="Invalid JSON in the webhook body"):
            delivery.json()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff",
            b"NaN",
            b"[1e400]",
            b"[" * 100_000,
            b"1" * 5_000,
            "{}".encode("utf-16"),
            b"\xef\xbb\xbf",
        ],
    )
    def test_a_body_that_is_no_json_is_a_clear_400(self, body: bytes) -> None:
        delivery = self.verify(self.sign(body), body)
        with pytest.raises(HTTPError, match="Invalid JSON in the webhook body"):
            delivery.json()
        assert delivery.value_at("a.b") is None

    def test_a_byte_order_mark_is_signed_and_no_part_of_the_payload(self) -> None:
        body = b'\xef\xbb\xbf{"action": "opened"}'
        delivery = self.verify(self.sign(body, event_type="issues"), body)
        assert (delivery.payload, delivery.body) == ({"action": "opened"}, body)

    def test_a_delivery_without_an_id_is_known_by_its_hash(self) -> None:
        provider = github.provider(secret="GITHUB_WEBHOOK_SECRET")
        assert provider.verify(self.body, self.sign(), [self.secret]).id == "msg_1"

        def id_of(body: bytes, event_type: str) -> str | None:
            headers = {**self.sign(body, event_type=event_type), "X-GitHub-Delivery": ""}
            return provider.delivery_id(provider.verify(body, headers, [self.secret]))

        first = id_of(b"{}", "push")
        assert first is not None and first.startswith("sha256:") and first == id_of(b"{}", "push")
        assert len({first, id_of(b"{}", "ping"), id_of(b"[]", "push")}) == 3

    def test_an_id_that_cannot_be_one_is_malformed(self) -> None:
        provider = github.provider(secret="GITHUB_WEBHOOK_SECRET")
        for id in ("a b", "é", "x" * 257):
            with pytest.raises(WebhookError) as caught:
                provider.verify(self.body, {**self.sign(), "X-GitHub-Delivery": id}, [self.secret])
            assert caught.value.reason == "malformed_header"

    def test_a_repeated_id_is_malformed(self) -> None:
        assert self.refuse([*self.sign().items(), ("x-github-delivery", "other")]) == "malformed_header"

    def test_a_ping_is_answered(self) -> None:
        provider = github.provider(secret="GITHUB_WEBHOOK_SECRET")
        assert provider.handshake(self.verify(self.sign(event_type="ping")), self.secret) == {"ok": True}
        assert provider.handshake(self.verify(self.sign(event_type="push")), self.secret) is None


class TestGitHubSHA1(WebhookContract):
    module = github_sha1

    def test_published_vector(self) -> None:
        """adnanh/webhook, internal/hook/hook_test.go."""
        assert (
            self.sign(b'{"a": "z"}', "secret")["X-Hub-Signature"]
            == "sha1=b17e04cbb22afa8ffbff8796fc1894ed27badd9e"
        )


def test_secrets_are_resolved_by_name() -> None:
    provider = github.provider(secret=["OLD", "NEW"])
    assert provider.secret_names == ("OLD", "NEW")
    assert provider.resolve({"NEW": "b", "OTHER": "c"}) == {"NEW": "b"}
    assert list(provider.resolve({"NEW": "b", "OLD": "a"})) == ["OLD", "NEW"]
    assert provider.resolve({"NEW": ""}) == {}  # set to nothing is not set
    with pytest.raises(ConfigurationError, match="NEW: a webhook secret is empty or blank"):
        provider.resolve({"NEW": " "})
    for secret in ([], [""], ""):
        with pytest.raises(ConfigurationError, match="takes the name of an environment variable"):
            github.provider(secret=secret)


def test_what_is_kept_holds_no_credential() -> None:
    kept = github.provider(secret="S").kept_headers
    assert {
        "x-github-event",
        "x-github-delivery",
        "x-hub-signature-256",
        "content-type",
        "user-agent",
    } <= kept
    assert not {"authorization", "cookie", ""} & kept
