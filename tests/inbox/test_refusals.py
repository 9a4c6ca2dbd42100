# SPDX-License-Identifier: MIT
"""Why a delivery that is kept was refused, by the secrets as they are now."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import HttpRouter
from minihttp.errors import ConfigurationError, MinihttpError
from minihttp.inbox.refusals import explain_refusal
from minihttp.webhooks import stripe

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def refused(secret: str, **changes: Any) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in stripe.sign(b"{}", secret).items()}
    row = {
        "endpoint": "/a",
        "reason": "mismatch",
        "error": "no secret fits",
        "body": b"{}",
        "headers": headers,
    }
    return {**row, **changes}


def why(row: dict[str, Any], **environ: str) -> list[str]:
    http = HttpRouter()
    http.webhook("/a", stripe.provider(["NEW", "OLD"]), handler=None)
    http.webhook("/b", stripe.provider("OTHER"), handler=None)
    return explain_refusal(row, http.webhooks, environ)


def test_the_secret_that_fits_is_named() -> None:
    assert why(refused(SECRET), OLD=SECRET)[1] == "it would match with OLD as it is set now"
    assert "with OTHER, which another endpoint uses" in why(refused(OTHER), OLD=SECRET, OTHER=OTHER)[1]
    assert "none of the usual causes" in why(refused(OTHER), OLD=SECRET)[1]


def test_what_was_not_kept_cannot_be_tried() -> None:
    assert "keep_refused_bodies=True" in why(refused(SECRET, body=None), NEW=SECRET)[1]
    assert why(refused(SECRET, reason="too_old", error="signed 9 s ago"), NEW=SECRET)[1] == "signed 9 s ago"


def test_without_a_secret_or_a_route_there_is_nothing_to_try() -> None:
    with pytest.raises(ConfigurationError, match="NEW, OLD is not set here"):
        why(refused(SECRET), OTHER=OTHER)
    with pytest.raises(MinihttpError, match="the app has no webhook /gone any more"):
        why(refused(SECRET, endpoint="/gone"), NEW=SECRET)
