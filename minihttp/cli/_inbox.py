# SPDX-License-Identifier: MIT
"""The app of a folder that has none: an inbox for GitHub, Stripe and Clerk, for each whose secret is set.

`GITHUB_WEBHOOK_SECRET=… python -m minihttp` serves it. With `--forward URL` each verified delivery is passed
on, byte for byte with the headers that its sender signs or says what it is with, and again until the other
side answers with a 2xx.
"""

from __future__ import annotations

import os
import re
from typing import Any

from .. import webhooks
from ..app.backends import without_password
from ..app.wsgi import App
from ..functions.decorators import internal_action
from ..http.router import HttpRouter
from ..limits import MIB
from ._http import ReceiverBusy, post

_PROVIDERS = ("github", "stripe", "clerk")
_LIMITS = {"github": {"max_body_bytes": 25 * MIB}}  # docs.github.com, "Webhook events and payloads"
FORWARD = "MINIHTTP_FORWARD"  # the environment variable behind `serve --forward`
_MAX_POST_SECONDS = 30.0
# What else a stranger sends with a delivery may mean something behind this inbox: X-Original-URL, X-User, …
_is_forwarded = re.compile(
    "content-type|user-agent|accept|x-github-.*|x-hub-signature(-256)?|stripe-signature"
    "|(svix|webhook)-(id|timestamp|signature)|traceparent|tracestate|x-trace"
).fullmatch


def _secret_name(provider: str) -> str:
    return f"{provider.upper()}_WEBHOOK_SECRET"


@internal_action
def forward(ctx: Any, delivery: dict[str, Any]) -> None:
    """Pass a delivery on to MINIHTTP_FORWARD."""
    timeout_seconds = min(ctx.time_left(), _MAX_POST_SECONDS)
    headers = {name: value for name, value in delivery["headers"].items() if _is_forwarded(name)}
    posted = post(os.environ[FORWARD], delivery["body"], headers, timeout_seconds)
    if not posted.ok:
        wait_seconds, answer = (
            posted.retry_after_seconds,
            f"{without_password(os.environ[FORWARD])} answered {posted.status}",
        )
        raise OSError(answer) if wait_seconds is None else ReceiverBusy(answer, wait_seconds)


def _inbox() -> HttpRouter:
    http = HttpRouter()
    for name in _PROVIDERS:
        if os.environ.get(_secret_name(name)):
            provider = getattr(webhooks, name).provider(secret=_secret_name(name))
            forwards = bool(os.environ.get(FORWARD))
            handler = forward if forwards else None
            options = {"keep_all_headers": forwards, **_LIMITS.get(name, {})}
            http.webhook(f"/webhooks/{name}", provider, handler=handler, **options)
    return http


app = App(_inbox(), modules=[__name__], data="data")
