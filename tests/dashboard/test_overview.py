# SPDX-License-Identifier: MIT
"""The first page: what needs a look leads to where it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.dashboard.conftest import Site


def test_numbers_lead_to_what_they_count(site: Site) -> None:
    text = site.person.get("/_/").text
    tiles = dict(re.findall(r'<a href="([^"]+)"><b[^>]*>([^<]+)</b>', text))
    assert tiles["/_/jobs?state=failed"] == "1"
    assert int(tiles["/_/logs?status=5"]) >= 1, "GET /boom failed"
    assert tiles["/_/webhooks?state=dead"] == str(len(site.app.run_query("_webhooks:list", state="dead")))
    assert "Requests a minute" in text and "Requests in 15 minutes" in site.person.get("/_/?span=day").text


def test_this_server_is_described(serve: Callable[..., Site]) -> None:
    text = serve("read").person.get("/_/").text
    assert "read only: --dashboard write changes things" in text
    assert "<dt>Engine</dt><dd>sqlite</dd>" in text and " free of " in text


def test_a_variable_that_is_not_set_is_said(serve: Callable[..., Site]) -> None:
    site = serve()
    assert "Not set in the environment" not in site.person.get("/_/").text
    del site.app.options.environment["GH_SECRET"]
    assert "Not set in the environment: GH_SECRET." in site.person.get("/_/").text
