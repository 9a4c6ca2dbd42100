# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import hmac

import pytest

from minihttp.webhooks import stripe
from tests.contracts.webhooks import NOW, TimedWebhookContract


class TestStripe(TimedWebhookContract):
    module = stripe

    def test_signed_as_the_documentation_computes_it(self) -> None:
        """docs.stripe.com/webhooks, "Verify webhook signatures manually"; stripe/dotnet-vector is a row."""
        mac = hmac.new(self.secret.encode(), b"%d." % NOW + self.body, hashlib.sha256).hexdigest()
        assert self.sign() == {"Stripe-Signature": f"t={NOW},v1={mac}"}

    def test_the_whole_secret_text_is_the_key(self) -> None:
        assert self.refuse(self.sign(), secrets=self.secret.removeprefix("whsec_")) == "mismatch"

    def test_id_and_type_come_from_the_body(self) -> None:
        body = b'{"id": "evt_1", "type": "checkout.session.completed"}'
        delivery = self.verify(self.sign(body), body)
        assert (delivery.id, delivery.event_type) == ("evt_1", "checkout.session.completed")
        for body in (
            b"[]",
            b"no json",
            b'{"id": 5, "type": null}',
            b'{"id": ""}',
            b'{"id": "\\ud800", "type": "a\\n"}',
        ):
            delivery = self.verify(self.sign(body), body)
            assert (delivery.id, delivery.event_type) == (None, None)

    @pytest.mark.parametrize(
        ("change", "verdict"),
        [
            (lambda t, v: f"{t},{v},v0=63f3a72374a7", "ok"),  # test mode adds a v0
            (lambda t, v: f"{t}, {v}", "ok"),
            (lambda t, v: f"{v},{t}", "ok"),
            (lambda t, v: f"{t},v1={'0' * 64},{v}", "ok"),  # while a secret is rolled
            (lambda t, v: f"{t},{v},x=y,x=z", "ok"),
            (lambda t, v: f"{t},{v},", "malformed_header"),
            (lambda t, v: f"{t},{v},junk", "malformed_header"),
            (lambda t, v: f"{t},{v}=x", "malformed_header"),
            (lambda t, v: f"{t},v1", "malformed_header"),
            (lambda t, v: f"{t},=,{v}", "malformed_header"),
            (lambda t, v: f"{t},{t},{v}", "malformed_header"),
            (lambda t, v: v, "malformed_header"),
            (lambda t, v: t, "no_signature"),
            (lambda t, v: f"{t},{v.replace('v1', 'v0')}", "no_signature"),
            (lambda t, v: f"{t},{v.upper().replace('V1', 'v1')}", "mismatch"),
            (lambda t, v: f"{t},v1=", "mismatch"),
            (lambda t, v: f"{t},v1=é", "mismatch"),
            (lambda t, v: f"t=,{v}", "invalid_timestamp"),
        ],
    )
    def test_the_header_is_read_strictly(self, change, verdict) -> None:
        stamp, signature = self.sign()["Stripe-Signature"].split(",")
        headers = {"Stripe-Signature": change(stamp, signature)}
        assert (self.verify(headers) and "ok" if verdict == "ok" else self.refuse(headers)) == verdict
