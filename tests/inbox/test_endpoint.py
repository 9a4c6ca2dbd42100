# SPDX-License-Identifier: MIT
"""What a webhook may be told, and what it is refused for."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import ConfigurationError
from minihttp.functions.decorators import internal_mutation
from minihttp.webhooks import clerk, linear, stripe
from tests.inbox.shop import Shop, shop

__all__ = ["shop"]


class TestConfiguration:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"retention_days": 0}, "retention_days must be a positive number, not 0"),
            ({"max_body_bytes": True}, "max_body_bytes must be a positive number, not True"),
            ({"retry": 3}, "retry must be a RetryPolicy, not 3"),
            ({"colour": "red"}, "'colour' is not an option"),
        ],
    )
    def test_a_wrong_option_names_the_route(self, shop: Shop, options: Any, message: str) -> None:
        shop.webhook(stripe, shop.mutate, **options)
        with pytest.raises(ConfigurationError) as caught:
            shop.app  # noqa: B018
        assert message in str(caught.value) and "webhook /webhooks/stripe (" in str(caught.value)

    def test_a_wrong_handler(self, shop: Shop) -> None:
        with pytest.raises(ConfigurationError, match=r"query look .*cannot handle deliveries"):
            shop.webhook(stripe, shop.look)

    def test_a_handler_that_no_module_has(self, shop: Shop) -> None:
        shop.webhook(stripe, internal_mutation(lambda ctx, delivery: None))
        with pytest.raises(ConfigurationError, match="is not registered"):
            shop.app  # noqa: B018

    def test_a_malformed_secret(self, shop: Shop) -> None:
        shop.environment = {"CLERK": "whsec_%"}
        shop.webhook(clerk, shop.mutate)
        with pytest.raises(
            ConfigurationError, match=r"webhook /webhooks/clerk .*CLERK: a webhook secret is not base64"
        ):
            shop.app  # noqa: B018

    def test_linear_has_its_own_tolerance(self, shop: Shop) -> None:
        shop.environment = {"LINEAR": "x"}
        shop.webhook(linear, None)
        body = b'{"webhookTimestamp": %d}' % (shop.clock() * 1000)
        headers = linear.sign(body, "x")
        shop.clock.advance(8 * 3600 + 61)
        assert shop.post("/webhooks/linear", body, headers).status == 400
