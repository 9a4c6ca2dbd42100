# SPDX-License-Identifier: MIT
"""A current folder with an app, for the commands that need no more."""

from __future__ import annotations

from pathlib import Path

import pytest

APP = """
from minihttp import App, HttpRouter, internal_mutation, v
from minihttp.webhooks import stripe
http = HttpRouter()

@http.route(path="/items", method="GET")
def list_items(ctx, request):
    return []

@http.route(path_prefix="/files/", method="GET")
def file(ctx, request):
    return {}

@internal_mutation(args={"delivery": v.any()})
def on_event(ctx, delivery):
    pass

http.webhook("/hooks/stripe", stripe.provider(secret="STRIPE_SECRET_OF_TEST"), on_event)
app = App(http, modules=[__name__])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an app of a name that no other test imports."""
    monkeypatch.chdir(tmp_path)
    name = "app_" + tmp_path.name.replace("-", "_")
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / f"{name}.py"
