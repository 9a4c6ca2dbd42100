# SPDX-License-Identifier: MIT
"""Meta: the contract, its challenge and its token."""

from __future__ import annotations

import pytest

from minihttp.errors import ConfigurationError
from minihttp.webhooks import (
    meta,
    stripe,
)
from tests.contracts.webhooks import WebhookContract


class TestMeta(WebhookContract):
    module = meta

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
