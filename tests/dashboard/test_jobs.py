# SPDX-License-Identifier: MIT
"""Jobs: pages of them, their errors and attempts."""

from __future__ import annotations

import re
from collections.abc import Callable

import webtest

from minihttp import testing
from minihttp.webhooks import github
from tests.dashboard.conftest import HOSTILE, SECRET, Site
from tests.dashboard.seen import first_link


def test_a_failed_job_shows_the_users_frame_first(site: Site) -> None:
    site.app.jobs.run_due()
    link = first_link(site.person.get("/_/jobs?state=failed").text, "/_/jobs/[0-9a-v]{32}")
    text = site.person.get(link).text
    assert "ValueError" in text
    assert "&lt;script&gt;" in text


def test_jobs_crons_files_and_deliveries(site: Site) -> None:
    person = site.person
    site.app.jobs.run_due()
    job = first_link(person.get("/_/jobs?state=failed").text, "/_/jobs/[0-9a-v]{32}")
    assert person.submit(job, f"{job}/retry").status == 303
    assert person.submit("/_/crons", "/_/crons/nightly%20tidy").status == 303
    file = first_link(person.get("/_/files").text, "/_/files/[0-9a-v]{32}")
    content = person.get(f"{file}/content")
    assert content.text == HOSTILE
    assert content.headers["Content-Type"] == "application/octet-stream"
    assert content.headers["Content-Disposition"].startswith("attachment")
    assert person.submit(file, f"{file}/delete").status == 303
    assert person.get(file).status == 404
    delivery = first_link(person.get("/_/webhooks?state=done").text, "/_/webhooks/[0-9a-v]{32}")
    assert "def test_delivery" in person.get(f"{delivery}/test").text
    assert person.submit(delivery, f"{delivery}/replay").status == 303


def test_a_page_of_jobs_and_of_deliveries(site: Site) -> None:
    for n in range(60):
        site.app.jobs.scheduler(None, None).run_after(0, "shop:fail", why=f"reason {n}")
    site.app.jobs.run_due()
    text = site.person.get("/_/jobs?state=failed&name=shop:fail").text
    assert text.count("<tr>") == 51
    older = site.person.get(first_link(text, "cursor=").replace("&amp;", "&")).text
    assert 11 <= older.count("<tr>") <= 12
    assert "No job fits" in site.person.get("/_/jobs?state=failed&name=shop:tidy").text
    deliveries = site.person.get("/_/webhooks?type=push&endpoint=/webhooks/github").text
    assert deliveries.count("/_/webhooks/") - deliveries.count("/_/webhooks/replay") >= 1
    assert "issues" not in deliveries.partition("Deliveries</h2>")[2]
    assert "No deliveries here" in site.person.get("/_/webhooks?type=nothing").text


def test_every_attempt_is_shown_with_its_error(serve: Callable[..., Site]) -> None:
    clock = testing.Clock()
    site = serve(clock=clock, workers=0)
    body = b'{"note": 1}'
    headers = github.sign(body, SECRET, event_type="issues")
    client = webtest.TestApp(site.app)
    client.post("/webhooks/github", body, headers={"Content-Type": "application/json", **headers})
    for _ in range(3):
        site.app.jobs.run_due()
        clock.advance(3_600)
    link = first_link(site.person.get("/_/webhooks").text, "/_/webhooks/[0-9a-v]{32}")
    text = site.person.get(link).text
    assert text.count("<details><summary>ValueError: &lt;script&gt;") == 3
    job = site.person.get(first_link(text, "/_/jobs/[0-9a-v]{32}")).text
    assert job.count("<details><summary>ValueError: &lt;script&gt;") == 3
    assert re.findall("<dt>(Attempts|Next try)", job) == ["Attempts", "Next try"]
    assert re.findall("<td><time[^>]*>([^<]+)</time></td><td><details", job)[::-1] == [
        "3 h ago",
        "2 h ago",
        "1 h ago",
    ]
