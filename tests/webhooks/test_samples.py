# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64

import pytest

from minihttp import webhooks
from minihttp.errors import ConfigurationError
from minihttp.webhooks import ed25519
from minihttp.webhooks.samples import sample

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE_KEY = "whsk_" + base64.b64encode(bytes(32) + ed25519.public_key(bytes(32))).decode()


@pytest.mark.parametrize(
    ("provider", "event_type"),
    [
        ("github", "push"),
        ("stripe", "checkout.session.completed"),
        ("clerk", "user.created"),
        ("svix", "user.created"),
        ("standard-webhooks", "user.created"),
        ("standard-webhooks-v1a", "user.created"),
    ],
)
def test_a_sample_is_signed_verified_and_recognised(provider: str, event_type: str) -> None:
    module = getattr(webhooks, provider.replace("-", "_"))
    secret = PRIVATE_KEY if module.SCHEME.algorithm == "ed25519" else SECRET
    body = sample(provider, event_type, id="evt_1", timestamp=1_700_000_000)
    headers = module.sign(body, secret, id="evt_1", timestamp=1_700_000_000, event_type=event_type)
    delivery = module.verify(body, headers, secret, now=1_700_000_000)
    assert (delivery.id, delivery.event_type) == ("evt_1", event_type)
    assert b"{id}" not in body and b"{timestamp}" not in body


def test_stripe_is_pretty_printed_and_carries_the_time() -> None:
    body = sample("stripe", "checkout.session.completed", id="evt_1", timestamp=5)
    assert body.startswith(b'{\n  "id": "evt_1"') and b'"created": 5,' in body


def test_an_unknown_sample_is_a_clear_error() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"there is no sample github star: send your own \(--data\), or one of github push, stripe",
    ):
        sample("github", "star", id="", timestamp=0)
