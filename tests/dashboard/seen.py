# SPDX-License-Identifier: MIT
"""Every page of the dashboard, and the links on one."""

from __future__ import annotations

import re

PATHS = (
    *(
        "",
        "?span=day",
        "data",
        "data?system=1",
        "data/items",
        "functions",
        "functions/shop%3Acreate",
        "files",
    ),
    *("jobs", "jobs?state=failed", "crons", "webhooks", "webhooks?state=refused", "logs", "logs?level=error"),
)


def first_link(text: str, pattern: str) -> str:
    found = re.search(f'href="([^"]*{pattern}[^"]*)"', text)
    assert found, text
    return found[1]
