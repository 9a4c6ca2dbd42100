# SPDX-License-Identifier: MIT
"""The inbox as a whole: every real payload, and an inbox for each app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, HttpRouter, testing
from minihttp.webhooks import github, stripe
from tests.inbox.shop import SECRET, Reply, Shop, shop

__all__ = ["shop"]

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_all_real_payloads_are_kept_and_handled(shop: Shop) -> None:
    """By a handler that checks its argument; pings are answered and not kept."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real payloads of ../shared/data are not here")
    shop.webhook(github, shop.check)
    shop.webhook(stripe, shop.check)
    payloads: dict[str, Any] = {}
    shop.on_event = lambda ctx, delivery: payloads.__setitem__(delivery["id"], delivery["payload"])
    sent: dict[str, Any] = {}
    for kind in json.loads((SHARED_DATA / "github_payloads.json").read_bytes()):
        for payload in kind["examples"]:
            body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
            id = f"guid-{len(sent)}"
            headers = github.sign(body, SECRET, id=id, event_type=kind["name"])
            assert shop.post("/webhooks/github", body, headers).status == 200
            if kind["name"] != "ping":
                sent[id] = payload
    resources = json.loads((SHARED_DATA / "stripe_fixtures.json").read_bytes())["resources"]
    for name, resource in resources.items():
        event = {"type": f"{name}.updated", "object": "event", "created": 1, "data": {"object": resource}}
        id = f"evt_{len(sent)}"
        assert shop.stripe(id, **event).status == 200
        sent[id] = {"id": id, **event}
    shop.run()
    assert len(sent) > 500 and payloads == sent
    assert sorted(shop.effects()) == sorted(sent)


def test_two_apps_that_share_a_router_have_an_inbox_each() -> None:
    http = HttpRouter()
    http.webhook("/hook", stripe.provider(secret="STRIPE"), handler=None)
    environment = {"STRIPE": "whsec_of_two_apps"}
    apps = [testing.in_memory(App(http), environment=environment).prepare() for _ in range(2)]
    body, headers = testing.signed("stripe", {"id": "evt_1"}, "whsec_of_two_apps", now=apps[0].clock())
    for app in (apps[0], apps[0]):
        assert Reply(app, "POST", "/hook", body, headers).status == 200
    assert [len(app.run_query("_webhooks:list")) for app in apps] == [1, 0]
    for app in apps:
        app.close()
