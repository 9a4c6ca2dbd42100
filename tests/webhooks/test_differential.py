# SPDX-License-Identifier: MIT
"""The providers' own libraries beside ours: the same verdict, but for the differences in `INTENDED`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp.errors import WebhookError
from minihttp.webhooks import standard_webhooks, stripe, svix

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"id": "evt_1", "object": "event", "type": "charge.succeeded"}'
NOW = 1_700_000_000

# (what is changed, official verdict, ours): "error" is any exception that is not the library's own refusal.
INTENDED: dict[str, list[tuple[Callable[[str], str], str, str]]] = {
    "stripe": [
        (lambda header: header + "=x", "accept", "malformed_header"),  # split at every "="
        (lambda header: header + ",junk", "accept", "malformed_header"),
        (lambda header: header + ",", "accept", "malformed_header"),
        (lambda header: f"{header},t=5", "accept", "malformed_header"),  # they take the first t
        (lambda header: header.replace(",", ", "), "refuse", "accept"),  # as a proxy may join it
        # TypeError in compare_digest
        (lambda header: header.partition(",")[0] + ",v1=é", "error", "mismatch"),
    ],
    "webhooks": [
        (lambda value: "BAD_SIGNATURE", "error", "no_signature"),  # ValueError: unpacking
        (lambda value: "v1,abc=  " + value, "error", "accept"),  # two spaces
        (lambda value: value + ",x", "error", "mismatch"),
        (lambda value: "v1,abc", "error", "mismatch"),  # binascii.Error
        (lambda value: value.replace("v1,", "v1,!!"), "accept", "mismatch"),  # b64decode drops them
        (lambda value: value + "==", "accept", "mismatch"),
    ],
}
INTENDED_TIMES = [  # correctly signed times that the official libraries accept in their own spelling
    ("1_700_000_000", "invalid_timestamp"),
    ("01700000000", "invalid_timestamp"),
    ("+1700000000", "invalid_timestamp"),
    ("１７００００００００", "invalid_timestamp"),
    ("-1", "invalid_timestamp"),
]


def ours(module: Any, body: bytes, headers: dict[str, str], **options: Any) -> str:
    try:
        module.verify(body, headers, SECRET, now=NOW, **options)
    except WebhookError as error:
        return error.reason
    return "accept"


@pytest.fixture(scope="module")
def official_stripe() -> Callable[..., str]:
    library = pytest.importorskip("stripe", reason="the PyPI package stripe is not installed")

    def verdict(body: bytes, header: str, tolerance: int | None = None) -> str:
        try:
            library.WebhookSignature.verify_header(body.decode(), header, SECRET, tolerance)
        except library.SignatureVerificationError:
            return "refuse"
        except Exception:
            return "error"
        return "accept"

    return verdict


@pytest.fixture(scope="module", params=["svix", "standardwebhooks"])
def official_webhooks(request: pytest.FixtureRequest) -> tuple[Any, Callable[..., str]]:
    """(our module, the verdict of the library): both check the clock, so what they get is signed for now."""
    name = request.param
    library = pytest.importorskip(f"{name}.webhooks", reason=f"the PyPI package {name} is not installed")
    ours_is = svix if name == "svix" else standard_webhooks

    def verdict(body: bytes, headers: dict[str, str]) -> str:
        try:
            library.Webhook(SECRET).verify(body.decode(), headers)
        except library.WebhookVerificationError:
            return "refuse"
        except Exception:
            return "error"
        return "accept"

    return ours_is, verdict


def signed_now(module: Any, body: bytes, secret: str = SECRET, **options: Any) -> dict[str, str]:
    """Headers in lower case, as svix wants them, for the system's clock, which these libraries read."""
    return {name.lower(): value for name, value in module.sign(body, secret, id="msg_1", **options).items()}


class TestStripe:
    @settings(max_examples=60, deadline=None)
    @given(
        body=st.text(max_size=200).map(str.encode),
        secret=st.sampled_from([SECRET, OTHER]),
        extra=st.booleans(),
    )
    def test_same_verdict(self, official_stripe: Any, body: bytes, secret: str, extra: bool) -> None:
        header = stripe.sign(body, secret, timestamp=NOW)["Stripe-Signature"] + ",v0=abc" * extra
        verdict = ours(stripe, body, {"Stripe-Signature": header})
        assert verdict == ("accept" if secret == SECRET else "mismatch")
        assert official_stripe(body, header) == ("accept" if verdict == "accept" else "refuse")

    @settings(max_examples=60, deadline=None)
    @given(place=st.integers(0, 200), byte=st.characters(min_codepoint=33, max_codepoint=126))
    def test_same_verdict_on_tampered_headers(self, official_stripe: Any, place: int, byte: str) -> None:
        header = stripe.sign(BODY, SECRET, timestamp=NOW)["Stripe-Signature"]
        place %= len(header)
        changed = header[:place] + byte + header[place + 1 :]
        if (
            changed != header
            and ours(stripe, BODY, {"Stripe-Signature": changed}, tolerance_seconds=None) == "accept"
        ):
            assert official_stripe(BODY, changed) == "accept"  # never more lenient

    @pytest.mark.parametrize(("change", "official", "verdict"), INTENDED["stripe"])
    def test_intended_differences(
        self, official_stripe: Any, change: Any, official: str, verdict: str
    ) -> None:
        header = change(stripe.sign(BODY, SECRET, timestamp=NOW)["Stripe-Signature"])
        assert official_stripe(BODY, header) == official
        assert ours(stripe, BODY, {"Stripe-Signature": header}) == verdict

    def test_the_future_counts_for_us_only(self, official_stripe: Any) -> None:
        header = stripe.sign(BODY, SECRET, timestamp=10**11)["Stripe-Signature"]
        assert official_stripe(BODY, header, tolerance=300) == "accept"
        assert ours(stripe, BODY, {"Stripe-Signature": header}) == "too_new"

    def test_a_body_is_bytes_for_us(self, official_stripe: Any) -> None:
        header = stripe.sign(b"\xff", SECRET, timestamp=NOW)["Stripe-Signature"]
        assert official_stripe(b"\xff", header) == "error"
        assert ours(stripe, b"\xff", {"Stripe-Signature": header}) == "accept"

    def test_an_empty_secret_is_no_secret_for_us(self) -> None:
        with pytest.raises(Exception, match="empty or blank"):
            stripe.verify(BODY, {}, " ")


class TestWebhooks:
    @settings(max_examples=40, deadline=None)
    @given(text=st.text(max_size=200), secret=st.sampled_from([SECRET, OTHER]), again=st.booleans())
    def test_same_verdict(self, official_webhooks: Any, text: str, secret: str, again: bool) -> None:
        module, official = official_webhooks
        import json

        body = json.dumps({"text": text}).encode()
        headers = signed_now(module, body, secret)
        name = module.SCHEME.signature_header
        if again:  # as while a secret is rotated
            headers[name] = signed_now(module, b"other")[name] + " " + headers[name]
        verdict = ours_now(module, body, headers)
        assert verdict == ("accept" if secret == SECRET else "mismatch")
        assert official(body, headers) == ("accept" if verdict == "accept" else "refuse")

    @settings(max_examples=60, deadline=None)
    @given(place=st.integers(0, 200), byte=st.characters(min_codepoint=33, max_codepoint=126))
    def test_never_more_lenient_on_tampered_headers(
        self, official_webhooks: Any, place: int, byte: str
    ) -> None:
        module, official = official_webhooks
        headers = signed_now(module, BODY)
        for name, value in headers.items():
            at = place % len(value)
            changed = {**headers, name: value[:at] + byte + value[at + 1 :]}
            if ours_now(module, BODY, changed) == "accept":
                assert official(BODY, changed) == "accept"

    @pytest.mark.parametrize(("change", "official", "verdict"), INTENDED["webhooks"])
    def test_intended_differences(
        self, official_webhooks: Any, change: Any, official: str, verdict: str
    ) -> None:
        module, library = official_webhooks
        headers = signed_now(module, BODY)
        name = module.SCHEME.signature_header
        headers[name] = change(headers[name])
        assert library(BODY, headers) == official
        assert ours_now(module, BODY, headers) == verdict

    @pytest.mark.parametrize(("timestamp", "verdict"), INTENDED_TIMES)
    def test_a_time_has_one_spelling_for_us(
        self, official_webhooks: Any, timestamp: str, verdict: str
    ) -> None:
        module, _ = official_webhooks
        assert ours_now(module, BODY, signed_now(module, BODY, timestamp=timestamp)) == verdict

    def test_an_id_with_a_dot_is_refused_by_us_only(self, official_webhooks: Any) -> None:
        module, official = official_webhooks
        headers = {name.lower(): value for name, value in module.sign(BODY, SECRET, id="a.b").items()}
        assert official(BODY, headers) == "accept"
        assert ours_now(module, BODY, headers) == "malformed_header"


def ours_now(module: Any, body: bytes, headers: dict[str, str]) -> str:
    try:
        module.verify(body, headers, SECRET)
    except WebhookError as error:
        return error.reason
    return "accept"
