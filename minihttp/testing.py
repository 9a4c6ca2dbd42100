# SPDX-License-Identifier: MIT
"""For tests: the app in memory, a clock that the test moves, jobs run by hand, deliveries signed as their
senders do.

    clock = testing.Clock()
    with testing.in_memory(app, clock=clock) as app:
        client = webtest.TestApp(app)
        client.post_json("/api/items", {"name": "pen"}, status=201)
        clock.advance(seconds=60)
        testing.run_jobs(app)

The copy shares routes, schema and functions with the app it was made from, and nothing that it stores.
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

from .app.options import AppOptions
from .app.wsgi import App

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Clock:
    """A clock for `App(clock=…)`: it stands still until it is moved.

    Args:
        now: Unix seconds.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move the clock (backward too, as real clocks do) and return the new time."""
        self.now += seconds
        return self.now


def in_memory(app: App, **options: Unpack[AppOptions]) -> App:
    """A copy of `app` with an empty database and file store in memory and no worker threads.

    Args:
        options: those of `App` that the copy is to have otherwise. Its clock is a `Clock` of its own.

    Crons are planned from now on, so that they run once the clock has been moved.
    """
    own = {"data": ":memory:", "files": None, "workers": 0, "metrics": False, "clock": Clock()}
    given = {name: value for name, value in options.items() if value is not None}
    made = App(app.http, **{**vars(app.options), **own, **given})
    if made.options.crons is not None:
        made.jobs.plan_crons()
    return made


def run_jobs(app: App) -> int:
    """Run everything that is due, in this thread, until nothing is; returns how many jobs ran."""
    total = 0
    while ran := app.jobs.run_due():
        total += ran
    return total


def signed(
    provider: str, payload: Any, secret: str, *, now: float | None = None, **sender: Any
) -> tuple[bytes, dict[str, str]]:
    """A delivery as `provider` would send it.

    Args:
        provider: a module of `minihttp.webhooks`, such as "github", "stripe" or "svix".
        payload: bytes to send as they are, or a value to send as compact JSON.
        secret: the signing secret itself.
        now: the sender's clock in Unix seconds.
        sender: what else the provider's `sign` takes, such as `id=` or `event_type=`.

    Returns:
        The body and the header fields to send it with.
    """
    body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    module = importlib.import_module(f".webhooks.{provider}", __package__)
    headers = module.sign(body, secret, timestamp=None if now is None else int(now), **sender)
    return body, {"Content-Type": "application/json", **headers}
