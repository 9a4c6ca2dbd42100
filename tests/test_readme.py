# SPDX-License-Identifier: MIT
"""What the README says runs, runs."""

from __future__ import annotations

import re
from pathlib import Path

import webtest

from minihttp import App, cli, testing
from tests.live import ROOT

README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FIRST_APP, WEBHOOK = PYTHON


def test_the_first_app_is_short_and_works(tmp_path: Path) -> None:
    code = [line for line in FIRST_APP.splitlines() if line.strip()]
    assert len(code) <= 25
    (tmp_path / "readme_app.py").write_text(FIRST_APP + "\n" + WEBHOOK)
    app = App.from_target(str(tmp_path / "readme_app.py"))
    secret = {"STRIPE_WEBHOOK_SECRET": "whsec_test"}
    with testing.in_memory(app, environment=secret) as copy:
        client = webtest.TestApp(copy)
        item = client.post_json("/api/items", {"name": "pen"}, status=201).json
        assert item["name"] == "pen"
        missing = client.post_json("/api/items", {}, status=400).json
        assert missing == {"error": "Missing required field: name"}
        event = {
            "id": "evt_1",
            "type": "checkout.session.completed",
            "data": {"object": {"id": "cs_1"}},
        }
        body, headers = testing.signed("stripe", event, "whsec_test", now=copy.clock())
        for _ in range(2):
            client.post("/webhooks/stripe", body, headers=headers, status=200)
        testing.run_jobs(copy)
        items = copy.database.read(lambda transaction: transaction.db.query("items").collect())
        assert [item["name"] for item in items] == ["pen", "cs_1"]


def test_it_is_two_screens() -> None:
    lines = README.splitlines()
    assert len(lines) <= 120 and max(map(len, lines)) <= 120


def test_every_verb_is_in_the_table_of_verbs() -> None:
    table = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for verb in cli.verbs():
        assert f"`{verb}" in table or verb == "completion", verb
