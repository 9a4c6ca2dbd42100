# SPDX-License-Identifier: MIT
"""Sample events of our own making, in the shape and the spelling that each provider documents.

One JSON file a provider: event type -> body; `{"$form": fields}` is a form. Every value in them is invented.
For `webhooks send` and for tests. Knows no secrets: the provider signs.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ...errors import ConfigurationError, did_you_mean

_SAME = {"github-sha1": "github", "standard-webhooks-v1a": "standard-webhooks"}  # the same events
_FORM = "application/x-www-form-urlencoded"
_FOLDER = os.path.dirname(os.path.abspath(__file__))


class Sample(NamedTuple):
    """A body, and its media type."""

    body: bytes
    media_type: str


def events(provider: str) -> list[str]:
    """The event types of which there are samples."""
    return list(_load(provider))


def sample(provider: str, event_type: str, *, id: str, timestamp: int) -> Sample:
    """A sample event, as the provider would write it.

    Args:
        provider: such as `stripe`.
        event_type: such as `checkout.session.completed`.
        id: of the delivery, for providers that put it into the body.
        timestamp: Unix seconds, for the same.

    Raises:
        ConfigurationError: there is no such sample; the message lists those that exist.
    """
    known = _load(provider)
    if event_type not in known:
        near = did_you_mean(event_type, known)
        raise ConfigurationError(
            f"there is no sample {provider} {event_type}: send your own (--body), or one of"
            f" {', '.join(known) or 'none'}{near}"
        )
    event = _filled(known[event_type], _texts(id, timestamp))
    if "$form" in event:
        fields = {name: _text(value) for name, value in event["$form"].items()}
        return Sample(urlencode(fields).encode(), _FORM)
    style: dict[str, Any] = {"indent": 2} if provider == "stripe" else {"separators": (",", ":")}
    return Sample(json.dumps(event, ensure_ascii=False, **style).encode(), "application/json")


def _load(provider: str) -> dict[str, Any]:
    name = _SAME.get(provider, provider).replace("-", "_")
    try:
        with open(os.path.join(_FOLDER, f"{name}.json"), encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def _texts(id: str, timestamp: int) -> dict[str, Any]:
    """What stands for what in a sample."""
    moment = datetime.fromtimestamp(timestamp, timezone.utc)
    return {
        "{id}": id,
        "{timestamp}": timestamp,
        "{timestamp}000": timestamp * 1_000,
        "{timestamp_text}": str(timestamp),
        "{iso}": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "{hex}": id[-32:].rjust(32, "0"),
    }


def _filled(value: Any, texts: dict[str, Any]) -> Any:
    """The same value with those texts in place: a whole text may become a number, a part stays text."""
    if isinstance(value, dict):
        return {name: _filled(inner, texts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, texts) for inner in value]
    if not isinstance(value, str) or value in texts:
        return texts.get(value, value) if isinstance(value, str) else value
    for name in ("{timestamp_text}", "{hex}"):
        value = value.replace(name, texts[name])
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
