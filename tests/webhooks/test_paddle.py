# SPDX-License-Identifier: MIT
"""Paddle: the contract, and its header."""

from __future__ import annotations

import hashlib
import hmac

from minihttp.webhooks import paddle
from tests.contracts.webhooks import NOW, TimedWebhookContract


class TestPaddle(TimedWebhookContract):
    module = paddle

    def test_the_header_is_a_list_with_semicolons(self) -> None:
        header = self.sign()["Paddle-Signature"]
        mac = hmac.new(self.secret.encode(), b"%d:" % NOW + self.body, hashlib.sha256).hexdigest()
        assert header == f"ts={NOW};h1={mac}"
