# SPDX-License-Identifier: MIT
"""Why a delivery that is kept was refused: `webhooks.explain` with the endpoint's secrets as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigurationError, MinihttpError, WebhookError
from ..webhooks.explain import explain


def explain_refusal(row: Mapping[str, Any], webhooks: Iterable[Any], environ: Mapping[str, str]) -> list[str]:
    """Sentences that say why.

    Args:
        row: what `_webhooks:show` returns of a refusal, with its body if that was kept.
        webhooks: those of the app's router.
        environ: where secrets are.

    Raises:
        MinihttpError: the app has no such webhook any more; ConfigurationError: its secret is not set.
    """
    declared = {endpoint.path: endpoint for endpoint in webhooks}
    if row["endpoint"] not in declared:
        raise MinihttpError(f"the app has no webhook {row['endpoint']} any more")
    known = {path: _set_secrets(endpoint.provider, environ) for path, endpoint in declared.items()}
    provider, secrets = declared[row["endpoint"]].provider, known.pop(row["endpoint"])
    if not secrets:
        raise ConfigurationError(f"{', '.join(provider.secret_names)} is not set here")
    others = {
        name: secret for found in known.values() for name, secret in found.items() if name not in secrets
    }
    error = WebhookError(row["reason"], row["error"])
    kept = (row["body"], row["headers"])
    return explain(error, provider.verifier, *kept, secrets, others=others, url=provider.public_url)


def _set_secrets(provider: Any, environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in provider.secret_names if environ.get(name)}
