# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest

from minihttp.errors import ConfigurationError
from minihttp.webhooks import clerk, ed25519, standard_webhooks, standard_webhooks_v1a, svix
from tests.contracts.webhooks import NOW, TimedWebhookContract


class StandardContract(TimedWebhookContract):
    """What Svix, Clerk and Standard Webhooks share."""

    def test_published_vector(self) -> None:
        """svix-webhooks, every language's test of `sign`."""
        headers = self.sign(b'{"test": 2432232314}', id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330)
        assert headers[self.signature_header] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_an_id_with_a_dot_is_refused_even_when_signed(self) -> None:
        """`id.timestamp.body` would have a second reading: x + T2.{…} is also x.T1 + {…}."""
        for id in ("a.b", ".", "a b", "é", "a" * 257, "a\n", f"a\n{NOW}\nv1,x\n"):
            assert self.refuse(self.sign(id=id)) == "malformed_header"

    def test_the_resplit_attack_is_refused(self) -> None:
        body = b"%d.{}" % (NOW + 1)
        first = self.sign(body, id="x")
        resplit = self.sign(b"{}", id=f"x.{NOW}", timestamp=NOW + 1)
        assert first[self.signature_header] == resplit[self.signature_header]
        assert self.refuse(resplit, b"{}") == "malformed_header"

    @pytest.mark.parametrize(
        ("change", "verdict"),
        [
            (lambda v: f"v1a,AAAA {v}", "ok"),
            (lambda v: f"{v}  v2,x", "ok"),
            (lambda v: f" {v} ", "ok"),
            (lambda v: v.replace("v1,", "v2,"), "no_signature"),
            (lambda v: v.removeprefix("v1,"), "no_signature"),
            (lambda v: " ", "no_signature"),
            (lambda v: f"{v},x", "mismatch"),
            (lambda v: f"{v}=", "mismatch"),
            (lambda v: v.rstrip("="), "mismatch"),
            (lambda v: v.replace("v1,", "v1,!!"), "mismatch"),
            (lambda v: "v1,", "mismatch"),
            (lambda v: "v1,é", "mismatch"),
            (lambda v: v.replace(" ", "\t") + "\t" + v, "mismatch"),
        ],
    )
    def test_the_list_is_read_strictly(self, change, verdict) -> None:
        headers = self.sign()
        headers[self.signature_header] = change(headers[self.signature_header])
        assert (self.verify(headers) and "ok" if verdict == "ok" else self.refuse(headers)) == verdict

    def test_an_ed25519_key_is_named_as_what_it_is(self) -> None:
        with pytest.raises(ConfigurationError, match="begins with 'whpk_': that is an Ed25519 key"):
            self.verify(self.sign(), secrets="whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")

    def test_id_and_type(self) -> None:
        body = b'{"type": "user.created", "data": {}}'
        delivery = self.verify(self.sign(body), body)
        assert (delivery.id, delivery.event_type) == ("msg_1", "user.created")

    def test_a_secret_is_base64_with_or_without_prefix_and_padding_or_raw_bytes(self) -> None:
        raw = b"0123456789abcdef0123456789"
        text = base64.b64encode(raw).decode()
        headers = self.sign(secret="whsec_" + text)
        for secret in (text, text.rstrip("="), "whsec_" + text.rstrip("="), raw):
            assert self.verify(headers, secrets=[secret]).secret_index == 0

    def test_secrets_as_platforms_show_them(self) -> None:
        raw = b"\xfb\xff\xfe" * 8  # all of `+` and `/`, in the base64 of URLs of `-` and `_`
        text = base64.b64encode(raw).decode()
        url_text = base64.urlsafe_b64encode(raw).decode()
        assert "-" in url_text and "_" in url_text
        headers = self.sign(secret=raw)
        for shown in (
            f"v1,whsec_{text}",
            f"v1, whsec_{text}",
            f"whsec_{url_text}",
            url_text,
            f'"v1,whsec_{text}"\n',
        ):
            assert self.verify(headers, secrets=shown).secret_index == 0
        polar = "polar_whs_Zb0vB7iqH1O5rKQ"
        assert self.verify(self.sign(secret=polar.encode()), secrets=polar).secret_index == 0

    @pytest.mark.parametrize(
        "secret",
        ["whsec_", "whsec_%", "w", "whpk_AAAA", "whsk_AAAA", "AAAA AAAA", "hwsec_AAAA", "polar_AAAA", "é"],
    )
    def test_a_secret_that_is_no_key_is_a_configuration_error(self, secret: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            self.verify(self.sign(), secrets=[secret])
        assert len(secret) < 8 or secret not in str(caught.value)


class TestSvix(StandardContract):
    module = svix

    def test_a_complete_family_decides(self) -> None:
        own = self.sign()
        unbranded = {name.replace("svix-", "webhook-"): value for name, value in own.items()}
        assert self.verify(unbranded).id == "msg_1"
        wrong = {**own, "svix-signature": "v1,wrong"}
        assert self.refuse({**wrong, **unbranded}) == "mismatch"  # no second chance
        assert self.verify({**unbranded, "svix-id": "msg_2"}).id == "msg_1"
        mixed = {"svix-id": "msg_1", "svix-timestamp": str(NOW), "webhook-signature": own["svix-signature"]}
        assert self.refuse(mixed) == "missing_header"
        assert self.refuse([*unbranded.items(), ("Webhook-Id", "x")]) == "malformed_header"


class TestClerk(StandardContract):
    module = clerk

    def test_reads_only_its_own_family(self) -> None:
        headers = {name.replace("svix-", "webhook-"): value for name, value in self.sign().items()}
        assert self.refuse(headers) == "missing_header"


class TestStandardWebhooks(StandardContract):
    module = standard_webhooks


def private_key(seed: bytes) -> str:
    return "whsk_" + base64.b64encode(seed + ed25519.public_key(seed)).decode()


def public_key(seed: bytes) -> str:
    return "whpk_" + base64.b64encode(ed25519.public_key(seed)).decode()


class TestStandardWebhooksV1a(TimedWebhookContract):
    """The published vector is the row standard-webhooks-v1a/vector."""

    module = standard_webhooks_v1a
    secret = private_key(b"1" * 32)
    other_secret = private_key(b"2" * 32)

    def test_an_old_forgery_is_a_mismatch_and_not_old(self) -> None:
        """Here it is old, since a check of its signature would cost a core."""
        assert self.refuse(self.sign(secret=self.other_secret), now=NOW * 3) == "too_old"

    def test_no_more_than_two_signatures_are_tried_and_none_of_an_old_delivery(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[bytes] = []
        [key] = self.module.MODULE.keys(self.secret)
        monkeypatch.setattr(key, "_public", SimpleNamespace(verify=lambda message, raw: tried.append(raw)))
        headers = self.sign()
        name = next(name for name in headers if "signature" in name.lower())
        good = headers[name]
        headers[name] = " ".join([good] * 4)
        assert self.refuse(headers) == "mismatch" and len(tried) == 2
        assert self.refuse(headers, now=NOW * 3) == "too_old" and len(tried) == 2
        headers[name] = good[:-5] + "===="
        assert self.refuse(headers) == "mismatch" and len(tried) == 2

    def test_the_public_key_verifies_and_signs_nothing(self) -> None:
        public, other = public_key(b"1" * 32), public_key(b"2" * 32)
        assert self.verify(self.sign(), secrets=[other, public]).secret_index == 1
        assert self.refuse(self.sign(), secrets=other) == "mismatch"
        with pytest.raises(ConfigurationError, match="sign with the private one, 'whsk_…'"):
            self.sign(secret=public)

    def test_the_bytes_of_a_key_are_a_key(self) -> None:
        private = base64.b64decode(self.secret.removeprefix("whsk_"))
        assert self.verify(self.sign(secret=private), secrets=private[32:]).secret_index == 0

    @pytest.mark.parametrize(
        "secret",
        [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whpk_" + base64.b64encode(bytes(32)).decode(),  # of order 4
            "whpk_" + base64.b64encode(b"\x02" + bytes(31)).decode(),  # no point
            "whsk_" + base64.b64encode(b"1" * 32).decode(),  # the seed alone would be read as a public key
            "whsk_" + base64.b64encode(b"1" * 64).decode(),  # halves of two keys
            "whpk_" + base64.b64encode(b"1" * 64).decode(),
            "whpk_%",
            "AAAA",
            b"1" * 33,
        ],
    )
    def test_a_secret_that_is_no_key_is_a_configuration_error(self, secret: str | bytes) -> None:
        with pytest.raises(ConfigurationError) as caught:
            self.verify(self.sign(), secrets=[secret])
        assert str(secret) not in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "verdict"),
        [
            (lambda v: f"v1,AAAA v1a,AAAA {v}", "ok"),
            (lambda v: v.replace("v1a,", "v1,"), "no_signature"),
            (lambda v: f"{v}=", "mismatch"),
            (lambda v: v[:-3] + chr(ord(v[-3]) + 1) + "==", "mismatch"),  # spare bits of base64
            (lambda v: v.replace("v1a,", "v1a,!"), "mismatch"),
            (lambda v: "v1a,é", "mismatch"),
            (lambda v: f"{'v1a,AAAA ' * 4}{v}", "mismatch"),  # no sender sends five; each costs a millisecond
        ],
    )
    def test_the_list_is_read_strictly(self, change, verdict) -> None:
        headers = self.sign()
        headers[self.signature_header] = change(headers[self.signature_header])
        assert (self.verify(headers) and "ok" if verdict == "ok" else self.refuse(headers)) == verdict
