# SPDX-License-Identifier: MIT
"""The log: the next error, and what a line leads to."""

from __future__ import annotations

import logging
import re

from tests.dashboard.conftest import Site
from tests.dashboard.seen import first_link


def test_the_next_error_of_the_log(site: Site) -> None:
    shop = logging.getLogger("shop")
    shop.error("the oldest error")
    for n in range(150):
        shop.warning("line %d", n)
    shop.error("an error")
    shop.warning("the last line")
    text = site.person.get("/_/logs?text=e").text
    first, older = re.findall('href="([^"]+)">Next error', text)
    assert f'id="{first[1:]}"' in text
    page = site.person.get(older.replace("&amp;", "&")).text
    assert "the oldest error" in page
    assert f'id="{older.partition("#")[2]}"' in page
    assert "← Newest" in page


def test_a_request_leads_to_its_jobs_and_these_to_their_deliveries(site: Site) -> None:
    delivery = first_link(site.person.get("/_/webhooks").text, "/_/webhooks/[0-9a-v]{32}")
    job = first_link(site.person.get(delivery).text, "/_/jobs/[0-9a-v]{32}")
    page = site.person.get(job).text
    request = first_link(page, "/_/logs.request_id=")
    assert delivery in page
    assert f'href="{job}"' in site.person.get(request).text


def test_a_line_of_a_function_leads_to_its_request(site: Site) -> None:
    site.person.get("/make")
    page = site.person.get("/_/logs?text=creating+from").text
    request = first_link(page, "request_id=")
    assert "creating from a route" in site.person.get(request).text
    assert "No line fits" in site.person.get(f"{request}0").text
