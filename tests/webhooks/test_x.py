# SPDX-License-Identifier: MIT
"""X: the contract, and its challenge."""

from __future__ import annotations

import base64
import hmac

from minihttp.webhooks import x
from tests.contracts.webhooks import WebhookContract


class TestX(WebhookContract):
    module = x

    def test_the_token_of_a_crc_is_signed_and_nothing_else(self) -> None:
        provider = x.provider(secret="S")
        mac = base64.b64encode(hmac.new(self.secret.encode(), b"MTI-_3", "sha256").digest()).decode()
        assert provider.probe({"crc_token": "MTI-_3"}, self.secret, "") == {"response_token": f"sha256={mac}"}
        for token in ("", '{"for_user_id":"1"}', "a=1", "x" * 201, "é"):
            assert provider.probe({"crc_token": token}, self.secret, "") is None
