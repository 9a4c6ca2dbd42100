# SPDX-License-Identifier: MIT
"""Trello: the contract, the URL that it signs, and its test of a URL."""

from __future__ import annotations

import base64
import hmac

from minihttp.webhooks import trello
from tests.contracts.webhooks import WebhookContract


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
