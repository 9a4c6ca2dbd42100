# SPDX-License-Identifier: MIT
"""A provider as an endpoint has it: names of secrets, which delivery this is, and what of it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import ConfigurationError, WebhookError
from minihttp.webhooks import github, gitlab, linear, meta, stripe, svix, twilio, typeform

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_secrets_are_named_and_resolved_in_their_order() -> None:
    provider = stripe.provider(["NEW", "OLD", "GONE"])
    assert provider.resolve({"OLD": "b", "NEW": "a", "GONE": ""}) == {"NEW": "a", "OLD": "b"}
    for wrong in (SECRET, "", 5, []):
        with pytest.raises(ConfigurationError, match=r"stripe.provider\(secret=…\) takes the name"):
            stripe.provider(wrong)
    with pytest.raises(ConfigurationError, match=r"^NEW: a webhook secret is empty or blank$"):
        provider.resolve({"NEW": " "})


def test_a_secret_that_could_be_guessed_is_named_and_not_shown() -> None:
    [sentence] = stripe.provider(["LONG", "SHORT"]).guessable_secrets({"LONG": SECRET, "SHORT": "topmost"})
    assert sentence == "SHORT: a webhook secret has a key of 7 bytes, and 16 are the least"
    [sentence] = svix.provider("SHORT").guessable_secrets({"SHORT": "x" * 16})
    assert "a key of 12 bytes" in sentence, "the key is counted, not its text in base64"
    assert not [*svix.provider("LONG").guessable_secrets({"LONG": "whsec_" + "x" * 24})]


def test_the_headers_of_one_family_are_a_signature() -> None:
    names = ("svix-id", "svix-timestamp", "svix-signature")
    own = dict.fromkeys(names, "x")
    other = {name.replace("svix", "webhook"): "x" for name in names}
    provider = svix.provider("S")
    assert provider.has_signature(own) and provider.has_signature(other)
    assert not provider.has_signature({"webhook-id": "x", **own, "svix-id": ""})


def test_only_meta_has_a_verify_token() -> None:
    assert meta.provider("META", verify_token="TOKEN").verify_token_name == "TOKEN"
    with pytest.raises(ConfigurationError, match="meta needs verify_token"):
        meta.provider("META")
    with pytest.raises(ConfigurationError, match="github has no verify_token"):
        github.provider("GITHUB", verify_token="TOKEN")


def test_a_credential_is_read_and_not_kept() -> None:
    provider = gitlab.provider("GITLAB")
    assert "x-gitlab-token" in provider.wanted_headers - provider.kept_headers


@pytest.mark.parametrize(
    ("public_url", "url", "signed"),
    [
        ("", "https://a/x?b=1", "https://a/x?b=1"),
        ("https://shop.example/hook", "http://inside/x?b=1", "https://shop.example/hook?b=1"),
        ("https://shop.example/hook?k=v", "http://inside/x?b=1", "https://shop.example/hook?b=1"),
        ("https://shop.example/hook?k=v#rc=2", "http://inside/x", "https://shop.example/hook?k=v"),
    ],
)
def test_the_url_that_was_signed_is_the_public_one(public_url: str, url: str, signed: str) -> None:
    body, provider = b"A=1", twilio.provider("TWILIO", public_url=public_url)
    headers = twilio.sign(body, SECRET, url=signed)
    assert provider.signs_url and provider.verify(body, headers, [SECRET], url=url).body == body
    if not public_url:
        with pytest.raises(ConfigurationError, match=r"twilio signs the URL .* App\(origin=…\)"):
            provider.check_url("")
    provider.check_url("https://shop.example")


def test_two_equal_events_at_different_times_are_two() -> None:
    def id_of(module: Any, body: bytes, **signed: Any) -> str | None:
        provider = module.provider("X")
        headers = {k: v for k, v in module.sign(body, SECRET, **signed).items() if k != "X-GitHub-Delivery"}
        return provider.delivery_id(provider.verify(body, headers, [SECRET], now=1_000))

    assert id_of(stripe, b'{"id": "evt_1"}', timestamp=1_000) == "evt_1"
    first, again, later = (id_of(stripe, b"{}", timestamp=t) for t in (1_000, 1_000, 1_001))
    assert first == again != later, "known by its time and body"
    assert id_of(github, b"{}", event_type="push") != id_of(github, b"{}", event_type="ping")
    assert id_of(typeform, b"{}") is None, "nothing tells it from another"


def test_an_id_of_a_header_is_bounded() -> None:
    provider = github.provider("GITHUB")
    headers = github.sign(b"{}", SECRET, id="x" * 257)
    with pytest.raises(WebhookError, match="not 1-256 printable characters"):
        provider.verify(b"{}", headers, [SECRET])


def test_a_retry_that_is_signed_with_the_first_time_is_taken_where_ids_are_remembered() -> None:
    body = b'{"webhookTimestamp": 1000000}'
    headers = linear.sign(body, SECRET)
    assert linear.provider("LINEAR").verify(body, headers, [SECRET], now=1_000 + 3_600).timestamp == 1_000
    for late in (linear.verify, linear.provider("LINEAR", tolerance_seconds=60).verify):
        with pytest.raises(WebhookError) as caught:
            late(body, headers, [SECRET], now=1_000 + 3_600)
        assert caught.value.reason == "too_old"


def test_a_provider_has_its_own_tolerance() -> None:
    headers = stripe.sign(b"{}", SECRET, timestamp=1_000)
    provider = stripe.provider("S", tolerance_seconds=None)
    assert provider.verify(b"{}", headers, [SECRET], now=2_000_000).timestamp == 1_000
