# SPDX-License-Identifier: MIT
"""Every provider has samples, and each is signed, verified and recognised as what it is."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from minihttp import webhooks
from minihttp.errors import ConfigurationError, WebhookError
from minihttp.webhooks import ed25519, samples
from minihttp.webhooks.samples import events, sample
from minihttp.webhooks.verifier import Verifier

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE_KEY = "whsk_" + base64.b64encode(bytes(32) + ed25519.public_key(bytes(32))).decode()
URL = "https://shop.example.com/hooks"
ALL = [(provider, event) for provider in webhooks.names() for event in events(provider)]
NAMELESS = {"x"}  # their bodies do not say what they are
NOW = 1_700_000_000


def test_every_sample_is_of_a_provider() -> None:
    files = {path.stem.replace("_", "-") for path in Path(samples.__file__).parent.glob("*.json")}
    assert files <= set(webhooks.names())
    assert files <= {provider for provider, _ in ALL}


@pytest.mark.parametrize(("provider", "event_type"), ALL)
def test_a_sample_is_signed_verified_and_recognised(provider: str, event_type: str) -> None:
    scheme = webhooks.scheme_of(provider)
    verifier = Verifier(scheme)
    secret = PRIVATE_KEY if scheme.algorithm == "ed25519" else SECRET
    id = "evt_" + "0123456789abcdef" * 2
    found = sample(provider, event_type, id=id, timestamp=NOW)
    headers = verifier.sign(found.body, secret, id=id, timestamp=NOW, event_type=event_type, url=URL)
    headers["Content-Type"] = found.media_type
    delivery = verifier.verify(found.body, headers, [secret], now=NOW, url=URL)
    if provider not in NAMELESS:
        assert delivery.event_type == event_type
    if scheme.id_header or b'"' + id.encode() + b'"' in found.body:
        assert delivery.id == id
    assert not [mark for mark in (b"{id}", b"{timestamp", b"{iso}", b"{hex}", b"%7Bid") if mark in found.body]
    if verifier.scheme.name != "gitlab":  # whose token says nothing of the body
        with pytest.raises(WebhookError):
            verifier.verify(found.body + b"x", headers, [secret], now=NOW, url=URL)


def test_stripe_is_pretty_printed_and_carries_the_time() -> None:
    body = sample("stripe", "checkout.session.completed", id="evt_1", timestamp=5).body
    assert body.startswith(b'{\n  "id": "evt_1"') and b'"created": 5,' in body


def test_a_form_is_a_form() -> None:
    body, media_type = sample("twilio", "received", id="ab", timestamp=5)
    assert media_type == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode())["MessageSid"] == ["SM" + "ab".rjust(32, "0")]


def test_an_unknown_sample_is_a_clear_error() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no sample github psh: send your own \(--body\), or one of push,"
    ):
        sample("github", "psh", id="", timestamp=0)
