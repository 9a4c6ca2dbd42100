# SPDX-License-Identifier: MIT
"""Typeform: the contract, and the documented formula."""

from __future__ import annotations

import base64
import hmac

from minihttp.webhooks import typeform
from tests.contracts.webhooks import WebhookContract


class TestTypeform(WebhookContract):
    module = typeform

    def test_signed_as_the_documentation_computes_it(self) -> None:
        digest = hmac.digest(self.secret.encode(), self.body, "sha256")
        assert self.sign()["Typeform-Signature"] == "sha256=" + base64.b64encode(digest).decode()
