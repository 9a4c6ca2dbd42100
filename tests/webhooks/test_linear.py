# SPDX-License-Identifier: MIT
"""Linear: the contract, and the time in its body."""

from __future__ import annotations

import pytest

from minihttp.errors import WebhookError
from minihttp.webhooks import linear
from tests.contracts.webhooks import NOW, WebhookContract


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
