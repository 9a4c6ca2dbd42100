# SPDX-License-Identifier: MIT
"""Zoom: the contract, and its challenge."""

from __future__ import annotations

import hashlib
import hmac
import json

from minihttp.webhooks import zoom
from tests.contracts.webhooks import TimedWebhookContract


class TestZoom(TimedWebhookContract):
    module = zoom

    def test_the_challenge_is_answered_with_its_hmac(self) -> None:
        provider = zoom.provider(secret="ZOOM_WEBHOOK_SECRET_TOKEN")
        body = json.dumps(
            {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
        ).encode()
        answer = provider.handshake(self.verify(self.sign(body), body), self.secret)
        token = hmac.new(self.secret.encode(), b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
        assert answer == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": token}
        for body in (b'{"event": "endpoint.url_validation"}', b'{"event": "meeting.started"}', b"no json"):
            assert provider.handshake(self.verify(self.sign(body), body), self.secret) is None
