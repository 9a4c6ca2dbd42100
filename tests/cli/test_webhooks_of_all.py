# SPDX-License-Identifier: MIT
"""`webhooks send` to an app of all providers: whole, tampered with, old, and twice."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from minihttp import App, HttpRouter, webhooks
from minihttp.errors import WebhookError
from minihttp.webhooks import ed25519
from minihttp.webhooks.samples import events, sample
from minihttp.webhooks.verifier import Verifier
from tests.cli.shell import Shell, shell
from tests.live import Client, live

__all__ = ["shell"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE_KEY = "whsk_" + base64.b64encode(bytes(32) + ed25519.public_key(bytes(32))).decode()
NAMES = webhooks.names()
OLD_SECONDS = 100_000


def variable(name: str) -> str:
    return f"{name.upper().replace('-', '_')}_WEBHOOK_SECRET"


SECRETS = {
    variable(name): PRIVATE_KEY if webhooks.scheme_of(name).algorithm == "ed25519" else SECRET
    for name in NAMES
}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    http = HttpRouter()
    for name in NAMES:
        module = getattr(webhooks, name.replace("-", "_"))
        more = {"verify_token": "META_VERIFY_TOKEN"} if name == "meta" else {}
        http.webhook(f"/{name}", module.provider(secret=variable(name), **more), handler=None)
    folder = tmp_path_factory.mktemp("served")
    app = App(http, data=str(folder / "data"), workers=0, environment={**SECRETS, "META_VERIFY_TOKEN": "t"})
    with app, live(app) as client:
        yield client


def signs_a_time(name: str, event: str) -> bool:
    verifier, secret = Verifier(webhooks.scheme_of(name)), SECRETS[variable(name)]
    body, _ = sample(name, event, id="evt_1", timestamp=0)
    headers = verifier.sign(body, secret, id="evt_1", timestamp=0, event_type=event, url="http://h/")
    try:
        verifier.verify(body, headers, [secret], now=OLD_SECONDS, url="http://h/")
    except WebhookError:
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_it_is_accepted_and_known_again_and_refused_when_changed_or_old(
    shell: Shell, server: Client, name: str
) -> None:
    shell.environ |= SECRETS
    event, url = events(name)[-1], f"{server.url}/{name}"
    rows = shell("webhooks", "send", name, event, url, "--duplicate", "1", "--json").rows
    assert [row["status"] // 100 for row in rows] == [2, 2]
    if name != "gitlab":  # whose token says nothing of the body
        [row] = shell("webhooks", "send", name, event, url, "--tamper", "--json", code=1).rows
        assert row["status"] in (400, 401, 403)
    code = 1 if signs_a_time(name, event) else 0
    shell("webhooks", "send", name, event, url, "--age", str(OLD_SECONDS), "--json", code=code)
