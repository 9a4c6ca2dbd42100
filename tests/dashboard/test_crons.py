# SPDX-License-Identifier: MIT
"""Crons: their schedules in words, and running one now."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import Crons
from minihttp.dashboard.crons import _said
from tests.dashboard.conftest import Site


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("interval", {"minutes": 5}, "every 5 minutes"),
        ("hourly", {"minute_utc": 7}, "hourly at :07"),
        ("daily", {"hour_utc": 3, "minute_utc": 30}, "daily at 03:30"),
        ("weekly", {"day_of_week": "monday", "hour_utc": 3}, "weekly, monday at 03:00"),
        ("monthly", {"day": 1, "hour_utc": 3}, "monthly, day 1 at 03:00"),
        ("cron", {"expression": "*/5 * * * *"}, "<code>*/5 * * * *</code>"),
    ],
)
def test_a_schedule_in_words(kind: str, options: dict[str, Any], said: str) -> None:
    crons = Crons()
    getattr(crons, kind)("a", function="m:f", **options)
    [cron] = crons
    assert _said(cron.schedule) == said


def test_one_is_run_now_beside_its_schedule(site: Site) -> None:
    done = site.person.submit("/_/crons", "/_/crons/nightly%20tidy")
    assert done.status == 303
    assert "Ran cron nightly tidy." in site.person.get(done.headers["Location"]).text
    assert site.person.submit("/_/crons", "/_/crons/none").status == 400
