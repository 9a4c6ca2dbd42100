# SPDX-License-Identifier: MIT
"""Twilio: the contract, the URL and the form that it signs."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from minihttp.webhooks import twilio
from tests.contracts.webhooks import WebhookContract


class TestTwilio(WebhookContract):
    """The published vectors are the rows twilio/…"""

    module = twilio
    odd_bodies = (b"", b"a=1&a=1&b=", b"a=%C3%A9", b"x" * 1_000_000)

    def test_the_url_counts_with_and_without_its_port(self) -> None:
        bare, port = "https://example.com/hooks?a=:443", "https://example.com:443/hooks?a=:443"
        assert self.verify(self.sign(url=bare), url=port).secret_index == 0
        assert self.verify(self.sign(url=port), url=bare).secret_index == 0
        assert self.refuse(self.sign(url=bare), url=bare.replace("com/", "com:8443/x/")) == "mismatch"

    def test_a_host_that_is_in_the_scheme_too_has_its_port(self) -> None:
        assert self.verify(self.sign(url="http://http:80/hooks"), url="http://http/hooks").secret_index == 0
        assert self.verify(self.sign(url="http://p/hooks"), url="http://p:80/hooks").secret_index == 0

    def test_a_body_that_is_no_form_cannot_be_signed(self) -> None:
        with pytest.raises(ValueError, match="twilio signs no such body"):
            self.sign(body=b"\xff")

    def test_a_body_that_is_no_form_is_a_mismatch(self) -> None:
        for body in (b"\xff", b"&a=1" * 1_001):
            assert self.refuse({"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}, body) == "mismatch"

    def test_any_other_body_is_signed_through_its_hash_in_the_url(self) -> None:
        url = "https://example.com/hooks?bodySHA256=" + hashlib.sha256(b"\xff{}").hexdigest()
        headers = self.sign(b"\xff{}", url=url)
        assert self.verify(headers, b"\xff{}", url=url).secret_index == 0
        assert self.refuse(headers, b"\xff{} ", url=url) == "mismatch"

    @pytest.mark.parametrize(
        "url", ["", "http://[", "https://h:x/", "//", "https://h/?bodySHA256=é", "\ud800"]
    )
    def test_no_url_is_too_odd(self, url: str) -> None:
        assert self.refuse({"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}, url=url) == "mismatch"

    def test_the_query_is_the_requests_own(self) -> None:
        for public, target, signed in (
            ("https://shop.example/h", "/h?tags[]=a|{b}", "https://shop.example/h?tags[]=a|{b}"),
            ("https://shop.example/h", "/h?", "https://shop.example/h?"),
            ("https://shop.example/h?tenant=7", "/h?tenant=7", "https://shop.example/h?tenant=7"),
            ("https://shop.example/h?tenant=7", "/h", "https://shop.example/h?tenant=7"),
            ("https://shop.example/h?tenant=7", "/h?tenant=7&x=1", "https://shop.example/h?tenant=7&x=1"),
            ("https://shop.example/h#rc=3&rp=all", "/h", "https://shop.example/h"),
        ):
            provider = twilio.provider(secret="S", public_url=public)
            headers = self.sign(b"a=1", url=signed)
            found = provider.verify(b"a=1", headers, [self.secret], url=f"http://10.0.0.1:8000{target}")
            assert found.secret_index == 0, public

    def test_the_fields_of_a_form_are_the_payload(self) -> None:
        body = b"MessageSid=SM1&Body=a+%26+b&SmsStatus=received&x=1&x=2&empty="
        delivery = self.form(body)
        assert delivery.payload == {
            "MessageSid": "SM1", "Body": "a & b", "SmsStatus": "received", "x": ["1", "2"], "empty": "",
        }  # fmt: skip
        assert (delivery.id, delivery.event_type) == ("SM1", "received")

    def test_the_status_of_a_message_belongs_to_the_id_of_its_callback(self) -> None:
        ids = [self.form(b"MessageSid=SM1&MessageStatus=%b" % s).id for s in (b"sent", b"delivered", b"sent")]
        assert ids == ["SM1:sent", "SM1:delivered", "SM1:sent"]
        assert self.form(b"CallSid=CA1&CallStatus=ringing").id is None, "it tells of each step of a call"

    def form(self, body: bytes) -> Any:
        headers = {**self.sign(body), "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
        return self.verify({k: v for k, v in headers.items() if "Token" not in k}, body)
