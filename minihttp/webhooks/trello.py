# SPDX-License-Identifier: MIT
"""Trello: HMAC-SHA1 of the body and the callback URL under the application's secret, base64.

The URL is the one of the webhook, to the letter: give it as `public_url` behind a proxy. HEAD tests it.
Source: developer.atlassian.com/cloud/trello/guides/rest-api/webhooks, "Webhook Signatures".
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="trello",
    signature_header="X-Trello-Webhook",
    algorithm="sha1",
    encoding="base64",
    contents=lambda body, url: (body + url.encode("utf-8", "replace"),),
    id_paths=("action.id",),
    event_paths=("action.type",),
)
MODULE = ProviderModule(SCHEME, probe=lambda query, key, token: "")
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
