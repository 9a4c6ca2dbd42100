# SPDX-License-Identifier: MIT
"""A folder with an app of two webhooks, and `webhooks …` in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, cli
from tests.live import Client, live

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
APP = """
from minihttp import App, HttpRouter, RetryPolicy, internal_mutation
from minihttp.webhooks import github, stripe
http = HttpRouter()

@internal_mutation
def on_event(ctx, delivery):
    if delivery["event_type"] == "push":
        raise ValueError("no luck")

options = {"handler": on_event, "retry": RetryPolicy(max_attempts=1), "keep_refused_bodies": True}
http.webhook("/webhooks/stripe", stripe.provider(secret="STRIPE_WEBHOOK_SECRET"), **options)
http.webhook("/webhooks/github", github.provider(secret="GITHUB_WEBHOOK_SECRET"), **options)
app = App(http, modules=[__name__], data="data", workers=0)
"""
ENVIRON = {
    "STRIPE_WEBHOOK_SECRET": SECRET,
    "GITHUB_WEBHOOK_SECRET": "the secret of the hub",
    "STANDARD_WEBHOOKS_V1A_WEBHOOK_SECRET": "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
    "MINIHTTP_ADMIN_KEY": "the-key-of-the-operator",
}


class Shell:
    """The command line in a current folder with an app."""

    def __init__(self, target: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.target = target
        self._capsys = capsys

    def __call__(self, *argv: str, code: int = 0) -> str:
        """Standard output; of a failed command, standard error."""
        assert cli.main(["webhooks", *argv], dict(ENVIRON)) == code
        captured = self._capsys.readouterr()
        return captured.out or captured.err

    def rows(self, *argv: str) -> list[Any]:
        return [json.loads(line) for line in self(*argv, "--json").splitlines()]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    name = "hooks_" + tmp_path.name.replace("-", "_")
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Shell(name, capsys)


@pytest.fixture
def server(shell: Shell) -> Iterator[Client]:
    app = App.from_target(shell.target)
    with live(app) as client:
        yield client
    app.close()
