# SPDX-License-Identifier: MIT
"""GitLab's secret token: `X-Gitlab-Token` is the secret itself and nothing is signed, so TLS is all that
protects it.

GitLab's newer signing token (`whsec_…`) is `standard_webhooks`. Source: docs.gitlab.com, "Webhooks": "Secret
tokens" and "Delivery headers"; `Idempotency-Key` (GitLab 17.4) is the same over retries; before it there is
`X-Gitlab-Event-UUID`.
"""

from __future__ import annotations

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(
    name="gitlab",
    signature_header="X-Gitlab-Token",
    algorithm="token",
    encoding="plain",
    id_header="Idempotency-Key",
    other_id_headers=("x-gitlab-event-uuid",),
    event_header="X-Gitlab-Event",
    kept_headers=("x-gitlab-instance", "x-gitlab-webhook-uuid"),
)
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
