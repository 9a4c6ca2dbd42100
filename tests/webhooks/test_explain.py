# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from typing import Any

import pytest

from minihttp.errors import WebhookError
from minihttp.webhooks import github, stripe, svix
from minihttp.webhooks.explain import explain

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = {"id": "evt_1", "name": "é", "list": [1, 2]}
BODY = json.dumps(EVENT, separators=(",", ":")).encode()
NOW = 1_700_000_000


def causes(
    module: Any, headers: Any, body: bytes | None = BODY, secret: str = SECRET, **options: Any
) -> list[str]:
    with pytest.raises(WebhookError) as refused:
        module.verify(body or b"", headers, secret, now=NOW)
    return explain(refused.value, module.MODULE, body, headers, {"THE_SECRET": secret}, **options)


def signed(module: Any, body: bytes = BODY, secret: str | bytes = SECRET, **options: Any) -> Any:
    return module.sign(body, secret, **{"timestamp": NOW, **options})


def test_a_secret_that_was_set_right_since() -> None:
    refused = WebhookError("mismatch")
    lines = explain(refused, stripe.MODULE, BODY, signed(stripe), {"THE_SECRET": SECRET})
    assert lines[1] == "it would match with THE_SECRET as it is set now"


def test_what_else_than_the_signature_was_wrong_stays_the_reason() -> None:
    refused = WebhookError("missing_header", "the header X-GitHub-Delivery is missing or empty")
    lines = explain(refused, github.MODULE, BODY, signed(github), {"THE_SECRET": SECRET})
    assert lines[0].startswith("missing_header: a header is not there") and lines[1] == str(refused)


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (SECRET.removeprefix("whsec_"), "with the secret THE_SECRET with the prefix 'whsec_'"),
    ],
)
def test_a_secret_that_was_copied_wrongly(secret: str, expected: str) -> None:
    [reason, cause] = causes(stripe, signed(stripe), secret=secret)
    assert reason.startswith("mismatch: no configured secret")
    assert cause == f"it would match {expected}"


def test_a_secret_of_the_wrong_kind() -> None:
    sent = signed(github, secret=SECRET.removeprefix("whsec_"))
    assert causes(github, sent)[1] == "it would match with the secret THE_SECRET without its prefix 'whsec_'"
    sent = signed(svix, secret=SECRET.encode())
    assert (
        causes(svix, sent)[1] == "it would match with the secret THE_SECRET taken as text instead of base64"
    )
    sent = signed(
        stripe,
        secret=b"\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0",
    )
    assert causes(stripe, sent)[1] == "it would match with the secret THE_SECRET decoded from base64"


def test_the_secret_of_another_endpoint() -> None:
    [_, cause] = causes(stripe, signed(stripe, secret="other"), others={"OTHER": "other"})
    assert cause == "it would match with OTHER, which another endpoint uses"


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        (BODY + b"\n", "if the body had no newline at its end: something added one"),
        (b"\xef\xbb\xbf" + BODY, "if the body had no byte order mark: something added one"),
        (
            json.dumps(EVENT, indent=2).encode(),
            "if the body were written compactly: something parsed the JSON",
        ),
        (json.dumps(EVENT).encode(), "if the body were written compactly: something parsed the JSON"),
    ],
)
def test_a_body_that_was_changed_on_the_way(arrived: bytes, expected: str) -> None:
    lines = causes(stripe, signed(stripe), arrived)
    assert lines[1].startswith(f"it would match with the secret THE_SECRET, {expected}")


def test_line_ends_that_were_changed() -> None:
    sent = signed(stripe, b"a\nb")
    assert "lines ended in LF" in causes(stripe, sent, b"a\r\nb")[1]
    assert "lines ended in CR LF" in causes(stripe, signed(stripe, b"a\r\nb"), b"a\nb")[1]
    assert "ended in a newline" in causes(stripe, signed(stripe, b"a\n"), b"a")[1]


def test_a_newline_that_the_sender_took_for_a_part_of_the_secret() -> None:
    [_, cause] = causes(stripe, signed(stripe, secret=f"{SECRET}\n".encode()))
    assert cause.endswith("THE_SECRET with a newline at its end, which the sender has")


def test_a_stripe_event_that_was_written_compactly() -> None:
    body = json.dumps(EVENT, indent=2, ensure_ascii=False).encode()
    assert "indented by two, and non-ASCII characters kept" in causes(stripe, signed(stripe, body), BODY)[1]


def test_other_reasons_explain_themselves() -> None:
    assert causes(stripe, {})[0].startswith("missing_header: a header is not there")
    assert causes(stripe, {"Stripe-Signature": "x"})[0].startswith("malformed_header: ")
    old = causes(stripe, signed(stripe, timestamp=NOW - 3600))
    assert old[0].startswith("too_old: the signature is right, but old") and "3600 s ago" in old[1]
    assert causes(stripe, signed(stripe, timestamp=NOW + 3600))[0].startswith("too_new: ")


def test_when_nothing_explains_it() -> None:
    lines = causes(stripe, signed(stripe, secret="unknown"))
    assert lines[1].startswith("none of the usual causes explains it")
    assert SECRET not in " ".join(lines)


def test_without_a_body_no_cause_is_tried() -> None:
    [reason, advice] = causes(stripe, signed(stripe), None)
    assert reason.startswith("mismatch: ")
    assert advice.startswith("its body was not kept, so no cause can be tried: ")
    assert "keep_refused_bodies=True" in advice
    assert causes(stripe, {}, None)[1] == "the header stripe-signature is missing or empty"
