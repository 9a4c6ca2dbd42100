# SPDX-License-Identifier: MIT
"""Deliveries: a refusal is explained, one is copied as a test, the dead are replayed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.dashboard.conftest import Site
from tests.dashboard.seen import first_link


def test_credentials_in_headers_are_masked(site: Site) -> None:
    link = first_link(site.person.get("/_/webhooks?state=refused").text, "/_/webhooks/[0-9a-v]{32}")
    deliveries = site.person.get(
        first_link(site.person.get("/_/webhooks").text, "/_/webhooks/[0-9a-v]{32}")
    ).text
    assert site.person.get(link).status == 200
    assert "sha256=" not in deliveries


def test_a_refusal_is_explained(site: Site) -> None:
    link = first_link(site.person.get("/_/webhooks?state=refused").text, "/_/webhooks/[0-9a-v]{32}")
    text = site.person.get(link).text
    assert "missing_header: a header is not there that the provider always sends" in text


def test_a_delivery_copied_as_a_test_passes(site: Site, tmp_path: Any) -> None:
    link = first_link(site.person.get("/_/webhooks?type=push").text, "/_/webhooks/[0-9a-v]{32}")
    answer = site.person.get(f"{link}/test")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="test_github.py"'
    (tmp_path / "app.py").write_text(
        "from tests.dashboard.conftest import make_app\napp = make_app(':memory:')\n"
    )
    (tmp_path / "test_github.py").write_text(answer.text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_github.py"]
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_all_dead_deliveries_are_replayed(site: Site) -> None:
    page = "/_/data/items/new"  # any with a form
    done = site.person.submit_and_follow(page, "/_/webhooks/replay-dead")
    assert "Replayed 0 dead deliveries." in done.text
