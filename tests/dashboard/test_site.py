# SPDX-License-Identifier: MIT
"""The dashboard over a socket: what its pages show, what they change, and whom they refuse."""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from minihttp.dashboard import install
from minihttp.errors import ConfigurationError
from tests.dashboard.conftest import HOSTILE, KEY, Person, Site, make_app

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


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_whole_and_safe(site: Site, path: str) -> None:
    answer = site.person.get(f"/_/{path}")
    assert answer.status == 200
    assert "<h1>" in answer.text
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert KEY not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_pages_lead_to_single_things(site: Site) -> None:
    for page, pattern, wanted in (
        ("data/items", "/_/data/items/[0-9a-v]{32}", "Validator"),
        ("data/orders", "/_/data/orders/[0-9a-v]{32}", "item → "),
        ("functions", "/_/functions/shop%3Acreate", "Make one item."),
        ("files", "/_/files/[0-9a-v]{32}", "SHA-256"),
        ("webhooks", "/_/webhooks/[0-9a-v]{32}", "x-github-event"),
        ("webhooks?state=refused", "/_/webhooks/[0-9a-v]{32}", "Reason"),
    ):
        link = first_link(site.person.get(f"/_/{page}").text, pattern)
        answer = site.person.get(link)
        assert (answer.status, wanted.lower() in answer.text.lower()) == (200, True), link
        assert "<script" not in answer.text


def test_a_failed_job_shows_the_users_frame_first(site: Site) -> None:
    site.app.jobs.run_due()
    link = first_link(site.person.get("/_/jobs?state=failed").text, "/_/jobs/[0-9a-v]{32}")
    text = site.person.get(link).text
    assert "ValueError" in text
    assert "&lt;script&gt;" in text


def test_documents_along_an_index(site: Site) -> None:
    text = site.person.get("/_/data/items?index=by_name&eq=%22pen+1%22").text
    assert "pen 1" in text
    assert "pen 2" not in text
    lines = site.person.get("/_/data/items?format=jsonl")
    assert len(lines.text.splitlines()) == 4
    assert lines.headers["Content-Disposition"] == 'attachment; filename="items.jsonl"'
    assert site.person.get("/_/data/items?format=csv").text.startswith("_id,_creationTime,")


@pytest.mark.parametrize(
    "query", ["index=nothing", "order=sideways", "cursor=x", "eq=x&index=by_name", "eq=%5B1%2C2%5D"]
)
def test_a_query_that_cannot_be_says_why(site: Site, query: str) -> None:
    answer = site.person.get(f"/_/data/items?{query}")
    assert 400 <= answer.status < 500
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "nowhere",
        "data/nothing",
        "data/items/x",
        "data/items/a/b/c",
        "jobs/x",
        "files/x",
        "functions/no%3Asuch",
    ],
)
def test_what_is_not_there(site: Site, path: str) -> None:
    assert site.person.get(f"/_/{path}").status in (400, 404)


def test_credentials_in_headers_are_masked(site: Site) -> None:
    link = first_link(site.person.get("/_/webhooks?state=refused").text, "/_/webhooks/[0-9a-v]{32}")
    deliveries = site.person.get(
        first_link(site.person.get("/_/webhooks").text, "/_/webhooks/[0-9a-v]{32}")
    ).text
    assert site.person.get(link).status == 200
    assert "sha256=" not in deliveries


def test_a_page_of_a_large_table_is_bounded(site: Site) -> None:
    def fill(transaction: Any) -> None:
        for n in range(1_200):
            transaction.db.insert("items", {"name": f"n{n}", "price": 1, "tags": []})

    site.app.database.write(fill)
    assert "1,000+" in site.person.get("/_/data").text
    text = site.person.get("/_/data/items").text
    assert text.count("<tr>") == 51
    following = first_link(text, "cursor=").replace("&amp;", "&")
    assert site.person.get(following).text.count("<tr>") == 51


# ---------------------------------------------------------------- what is changed


def test_a_document_is_inserted_changed_and_deleted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "minihttp.audit")
    person = site.person
    made = person.submit(
        "/_/data/items/new",
        "/_/data/items/new",
        document='{"name": "ink", "price": 3, "count": {"$integer": "BwAAAAAAAAA="}, "tags": []}',
    )
    assert made.status == 303
    place = made.headers["Location"]
    assert "&quot;$integer&quot;: &quot;BwAAAAAAAAA=&quot;" in person.get(place).text
    assert person.submit(place, place, document='{"name": "ink", "price": 4, "tags": []}').status == 303
    id = place.rpartition("/")[2]
    assert site.app.run_query("_app:document", id=id)["document"]["price"] == 4
    refused = person.submit(place, place, document='{"name": 1}')
    assert refused.status == 400
    assert "does not match the schema" in refused.text
    assert person.submit(place, place, document="{").status == 400
    assert person.submit(place, f"{place}/delete").status == 303
    assert person.get(place).status == 404
    said = [record.getMessage() for record in caplog.records if record.name == "minihttp.audit"]
    assert [line.split(" request_id")[0] for line in said if "ink" not in line] == [
        f"dashboard admin: inserted items {id}",
        f"dashboard admin: changed items {id}",
        f"dashboard admin: deleted items {id}",
    ]


def test_a_function_is_run(site: Site) -> None:
    page = "/_/functions/shop%3Acreate"
    answer = site.person.submit(page, page, **{"text:name": "ink", "json:price": "2.5", "true:isGift": "on"})
    assert answer.status == 200
    assert "creating ink" in answer.text
    assert site.app.run_query("shop:total") == 9
    refused = site.person.submit(page, page, **{"text:name": "ink", "json:price": '"x"'})
    assert "Refused" in refused.text
    failing = "/_/functions/shop%3Afail"
    assert "ValueError" in site.person.submit(failing, failing, args='{"why": "so"}').text


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


# ---------------------------------------------------------------- who may


def test_without_a_session_there_is_only_the_login(site: Site) -> None:
    stranger = Person(site.url)
    for path in PATHS:
        answer = stranger.get(f"/_/{path}")
        assert (answer.status, answer.headers["Location"]) == (303, "/_/login")
    assert stranger.get("/_/login").status == 200
    assert stranger.post("/_/data/items/new", {"document": "{}"}).status == 403
    assert Person(site.url, "minihttp_session=9999999999.a.b").get("/_/data").status == 303


def test_a_wrong_key_is_refused_and_slowed(site: Site) -> None:
    stranger = Person(site.url)
    statuses = [stranger.post("/_/login", {"key": f"wrong {n}"}).status for n in range(11)]
    assert statuses == [403] * 10 + [429]


def test_the_link_of_the_banner_opens_once(site: Site) -> None:
    path = site.installed.link()
    stranger = Person(site.url)
    page = stranger.get(path)
    code = re.search(r'name="code" value="([^"]+)"', page.text)
    assert code
    opened = stranger.post("/_/login", {"code": code[1]})
    assert (opened.status, opened.headers["Location"]) == (303, "/_/")
    assert "HttpOnly; SameSite=Strict" in opened.headers["Set-Cookie"]
    assert stranger.post("/_/login", {"code": code[1]}).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_refused(site: Site, headers: dict[str, str]) -> None:
    page = site.person.get("/_/data/items/new").text
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token
    form = {"form_token": token[1], "document": '{"name": "x", "price": 1, "tags": []}'}
    assert site.person.post("/_/data/items/new", form, **headers).status == 403
    assert len(site.app.run_query("_app:documents", table="items")["page"]) == 4


def test_a_form_without_the_sessions_token_is_refused(site: Site) -> None:
    form = {"document": '{"name": "x", "price": 1, "tags": []}'}
    assert site.person.post("/_/data/items/new", form).status == 403
    assert site.person.post("/_/data/items/new", {**form, "form_token": "x" * 43}).status == 403


@pytest.mark.parametrize("host", ["evil.example", "169.254.169.254", "localhost.evil.example"])
def test_a_foreign_host_is_refused(site: Site, host: str) -> None:
    port = int(site.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/_/login", headers={"Host": f"{host}:{port}"})
    assert connection.getresponse().status == 421
    connection.close()


def test_reading_changes_nothing(serve: Callable[..., Site]) -> None:
    site = serve("read")
    text = site.person.get("/_/functions/shop%3Acreate").text
    assert "--dashboard write" in text
    token = re.search(r'name="form_token" value="([^"]+)"', text)
    assert token
    form = {"form_token": token[1], "document": '{"name": "x", "price": 1, "tags": []}'}
    assert site.person.post("/_/data/items/new", form).status == 403
    assert site.app.run_query("_app:documents", table="items")["page"] == []


def test_signing_out(site: Site) -> None:
    answer = site.person.submit("/_/data/items/new", "/_/logout")
    assert (answer.status, answer.headers["Location"]) == (303, "/_/login")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


def test_without_an_admin_key_there_is_none(tmp_path: Any) -> None:
    app = make_app(str(tmp_path))
    app.configure(environment={})
    assert install(app, "write") is None
    assert install(make_app(str(tmp_path)), "off") is None
    with pytest.raises(ConfigurationError, match="off, read, write"):
        install(make_app(str(tmp_path)), "yes")


def test_an_app_that_never_opens_it_loads_none_of_its_pages() -> None:
    import subprocess
    import sys

    program = (
        "import sys, minihttp.cli, minihttp.app.wsgi; print([m for m in sys.modules if 'dashboard' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
