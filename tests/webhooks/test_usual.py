# SPDX-License-Identifier: MIT
"""The short cut for headers of the usual form says what reading field by field says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minihttp.errors import WebhookError
from minihttp.webhooks import github, linear, paddle, slack
from minihttp.webhooks.scheme import Scheme
from minihttp.webhooks.standard_webhooks import SCHEME as STANDARD
from minihttp.webhooks.stripe import SCHEME as STRIPE
from minihttp.webhooks.svix import SCHEME as SVIX
from minihttp.webhooks.verifier import Verifier

_TEXTS = (*" \t\n=,.01-_é\u20ac\u0661", "v1,", ",v1=", "t=", "v0=", "9" * 13, "a" * 300)
_SCHEMES = (github.SCHEME, STRIPE, SVIX, STANDARD, paddle.SCHEME, slack.SCHEME, linear.SCHEME)


def changed(value: str) -> Iterator[str]:
    """Values that are not quite this one."""
    yield ""
    yield value + value
    yield value[1:]
    yield value.upper()
    for text in _TEXTS:
        for at in (0, 1, 2, 3, len(value) // 2, len(value)):
            yield value[:at] + text + value[at:]


@pytest.mark.parametrize("scheme", _SCHEMES, ids=lambda scheme: scheme.name)
def test_the_usual_form_is_read_as_field_by_field(scheme: Scheme) -> None:
    """A dictionary goes the quick way and pairs the general one; both say the same, also of what is wrong."""
    verifier = Verifier(scheme)
    sent = verifier.sign(b"{}", "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==", id="msg_1", timestamp=1_700_000_000)
    kept = [name for name in sent if name.lower() in verifier.parser.headers.values()]

    parser = verifier.parser
    assert parser.read != parser.read_all, "there is a short cut"

    def told(read: Any, headers: Any) -> Any:
        try:
            _, given, before, timestamp = read(headers, "")
        except WebhookError as error:
            return error.reason, str(error)
        reasons = [str(parser.mismatch(signature)) for signature in given[:1]]
        return list(given), before, timestamp, reasons

    for name in kept:
        for value in changed(sent[name]):
            headers = {**sent, name: value}
            quick, general = told(parser.read, headers), told(parser.read_all, headers)
            assert quick == general == told(parser.read, list(headers.items())), (name, value)
