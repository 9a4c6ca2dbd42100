# SPDX-License-Identifier: MIT
"""Square: the contract, and the URL that it signs."""

from __future__ import annotations

from minihttp.webhooks import square
from tests.contracts.webhooks import WebhookContract


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
