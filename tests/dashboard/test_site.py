# SPDX-License-Identifier: MIT
"""The dashboard over a socket: what its pages show, what they change, and whom they refuse."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import webtest

from minihttp import key_store, testing
from minihttp.dashboard import install
from minihttp.errors import ConfigurationError
from minihttp.webhooks import github
from tests.dashboard.conftest import HOSTILE, KEY, SECRET, Person, Site, make_app
from tests.dashboard.test_html import Seen

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


def _another(site: Site) -> str:
    """The cookie of somebody else who is signed in."""
    return f"{site.installed.sessions.cookie_name}={site.installed.sessions.new()}"


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
        ("data/orders", "/_/data/orders/[0-9a-v]{32}", "item: items "),
        ("functions", "/_/functions/shop%3Acreate", "Make one item."),
        ("files", "/_/files/[0-9a-v]{32}", "SHA-256"),
        ("webhooks", "/_/webhooks/[0-9a-v]{32}", "x-github-event"),
        ("webhooks?state=refused", "/_/webhooks/[0-9a-v]{32}", "Why it was refused"),
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
    "query", ["index=nothing", "order=sideways", "cursor=x", "field=name&is=like", "eq=%5B1%2C2%5D"]
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
    place = made.headers["Location"].partition("?")[0]
    assert f"Inserted items {place.rpartition(chr(47))[2]}." in person.get(made.headers["Location"]).text
    assert "&quot;$integer&quot;: &quot;BwAAAAAAAAA=&quot;" in person.get(place).text
    assert person.submit(place, place, document='{"name": "ink", "price": 4, "tags": []}').status == 303
    id = place.rpartition("/")[2]
    assert site.app.run_query("_app:document", id=id)["document"]["price"] == 4
    refused = person.submit(place, place, document='{"name": 1}')
    assert refused.status == 400
    assert "does not match the schema" in refused.text
    assert "{&quot;name&quot;: 1}" in refused.text  # what was written is still there
    assert person.submit(place, place, document="{").status == 400
    assert person.submit(place, f"{place}/delete").status == 303
    assert person.get(place).status == 404
    said = [record.getMessage() for record in caplog.records if record.name == "minihttp.audit"]
    assert [line.split(" request_id")[0] for line in said if "ink" not in line] == [
        f"dashboard admin key: inserted items {id}",
        f"dashboard admin key: changed items {id}",
        f"dashboard admin key: deleted items {id}",
    ]


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(site: Site) -> None:
    person = site.person
    place = first_link(person.get("/_/data/items").text, "/_/data/items/[0-9a-v]{32}")
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', person.get(place).text)
    assert seen
    mine, others = (f'{{"name": "{name}", "price": 1, "tags": []}}' for name in ("mine", "another's"))
    assert person.submit(place, place, document=others).status == 303
    refused = person.submit(place, place, document=mine, seen=seen[1])
    assert refused.status == 409
    assert "Somebody has changed this document meanwhile" in refused.text
    assert "&quot;mine&quot;" in refused.text
    id = place.rpartition("/")[2]
    assert site.app.run_query("_app:document", id=id)["document"]["name"] == "another's"


def test_a_function_is_run(site: Site) -> None:
    page = "/_/functions/shop%3Acreate"
    fields = {"text:name": "ink", "json:price": "2.5", "json:isGift": "true"}
    done = site.person.submit(page, page, **fields)
    assert done.status == 303
    for _ in range(2):  # also when the page is loaded again
        answer = site.person.get(done.headers["Location"])
        assert "creating ink" in answer.text
        assert "Took" in answer.text
    assert "Took" not in Person(site.url, _another(site)).get(done.headers["Location"]).text
    assert site.app.run_query("shop:total") == 9
    refused = site.person.submit_and_follow(page, page, **{"text:name": "ink", "json:price": '"x"'})
    assert "It failed" in refused.text
    broken = site.person.submit(page, page, **{"text:name": "ink", "json:price": "{"})
    assert (broken.status, "price: " in broken.text, 'value="ink"' in broken.text) == (400, True, True)
    failing = "/_/functions/shop%3Afail"
    assert "ValueError" in site.person.submit_and_follow(failing, failing, args='{"why": "so"}').text
    who = "/_/functions/shop%3Awho"
    shown = site.person.submit_and_follow(who, who, args="{}", identity='{"subject": "Ada"}')
    assert "&quot;Ada&quot;" in shown.text


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
    name = site.installed.sessions.cookie_name
    assert Person(site.url, f"{name}=9999999999.a.b").get("/_/data").status == 303


def test_a_wrong_key_is_refused_and_slowed(site: Site) -> None:
    stranger = Person(site.url)
    statuses = [stranger.post("/_/login", {"key": f"wrong {n}"}).status for n in range(11)]
    assert statuses == [403] * 10 + [429]


def test_the_link_of_the_banner_opens_once(site: Site) -> None:
    path = site.installed.link()
    stranger = Person(site.url)
    assert "Set-Cookie" not in stranger.get(path, **{"Sec-Purpose": "prefetch"}).headers
    opened = stranger.get(path)
    assert (opened.status, '<meta http-equiv="refresh" content="0; url=/_/">' in opened.text) == (200, True)
    assert "HttpOnly; SameSite=Strict" in opened.headers["Set-Cookie"]
    again = stranger.get(path)
    assert (again.status, "Set-Cookie" in again.headers) == (403, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
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
    program = (
        "import sys, minihttp.cli, minihttp.app.wsgi; print([m for m in sys.modules if 'dashboard' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- where it is


def test_below_a_prefix_that_a_proxy_names(serve: Callable[..., Site]) -> None:
    site = serve(trusted_proxy="127.0.0.1")
    prefix = {"X-Forwarded-Prefix": "/shop"}
    stranger = Person(site.url)
    assert stranger.get("/_/data", **prefix).headers["Location"] == "/shop/_/login"
    assert 'action="/shop/_/login"' in stranger.get("/_/login", **prefix).text
    came = stranger.post("/_/login", {"key": KEY}, **prefix)
    assert came.headers["Location"] == "/shop/_/"
    assert "; Path=/shop/_/;" in came.headers["Set-Cookie"]
    for page in PATHS:
        text = site.person.get(f"/_/{page}", **prefix).text
        assert set(re.findall(r'(?:href|action)="(/[^/"]*)', text)) == {"/shop"}, page


def test_the_cookie_is_secure_on_https(serve: Callable[..., Site]) -> None:
    site = serve(trusted_proxy="127.0.0.1")
    headers = {"X-Forwarded-Proto": "https", "Origin": site.url.replace("http:", "https:")}
    came = Person(site.url).post("/_/login", {"key": KEY}, **headers)
    assert came.headers["Set-Cookie"].endswith("; HttpOnly; SameSite=Strict; Secure")
    assert "Secure" not in Person(site.url).post("/_/login", {"key": KEY}).headers["Set-Cookie"]


@pytest.mark.parametrize("prefix", ["/shop", "/in/the/back", "/a b"])
def test_mounted_in_another_app(site: Site, prefix: str) -> None:
    """Flask with the app below a path, as `docs/serving.md` shows it: SCRIPT_NAME."""
    flask = pytest.importorskip("flask", reason="the app is mounted in Flask")
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.test import Client

    around = flask.Flask(__name__)
    client = Client(DispatcherMiddleware(around.wsgi_app, {prefix: site.app}), use_cookies=True)
    base = f"{quote(prefix)}/_/"
    origin = {"Origin": "http://localhost"}
    assert client.get(base).headers["Location"] == f"{base}login"
    came = client.post(f"{base}login", data={"key": KEY}, headers=origin)
    assert came.headers["Location"] == base
    text = client.get(f"{base}data/items/new").get_data(as_text=True)
    token = re.search(r'name="form_token" value="([^"]+)"', text)
    assert token
    form = {"form_token": token[1], "document": '{"name": "ink", "price": 1, "tags": []}'}
    made = client.post(f"{base}data/items/new", data=form, headers=origin)
    assert (made.status_code, made.headers["Location"].startswith(f"{base}data/items/")) == (303, True)
    assert "Inserted items" in client.get(made.headers["Location"]).get_data(as_text=True)
    assert client.get(f"{base}style.css").status_code == 200


def test_on_a_port_of_its_own(tmp_path: Any) -> None:
    """Then the app's own port has no dashboard, and that port nothing but it."""
    app = make_app(str(tmp_path))
    installed = install(app, "read", is_apart=True)
    assert installed is not None
    public, own = webtest.TestApp(app), webtest.TestApp(installed.on_its_own_port)
    app.listen_on("127.0.0.1", "10.0.0.7")
    with app:
        for path in ("/_/", "/_/login", "/_/style.css"):
            assert public.get(path, status=404).json == {"error": "Not found"}
        assert public.get("/_/health", status=200)
        assert own.get("/", status=303).headers["Location"].endswith("/_/")
        assert own.get("/items", status=404).body == b""
        assert own.get("/_/login", headers={"Host": "10.0.0.7:8081"}, status=200)
        assert own.get("/_/login", headers={"Host": "10.0.0.8:8081"}, status=421)


# ---------------------------------------------------------------- what is shown of whom


def test_who_refers_to_a_document_and_to_a_file(site: Site) -> None:
    item = site.app.run_query("_app:documents", table="orders")["page"][0]["item"]
    text = site.person.get(f"/_/data/items/{item}").text
    assert " as item</li>" in text
    assert 'href="/_/data/orders/' in text
    assert 'href="/_/data/pictures/' in text
    assert "pictures" in site.person.get("/_/files").text
    file = first_link(site.person.get("/_/files").text, "/_/files/[0-9a-v]{32}")
    assert " as file</li>" in site.person.get(file).text


def test_documents_are_filtered_by_any_field(site: Site) -> None:
    def names(query: str) -> list[str]:
        return re.findall("<td>(pen .)</td>", site.person.get(f"/_/data/items?{query}").text)

    assert names("field=name&value=pen+1") == ["pen 1"]
    assert names("field=price&is=lt&value=2&order=desc") == ["pen 2", "pen 1", "pen 0"]
    assert names("field=price&is=gt&value=5") == []
    assert "No document fits" in site.person.get("/_/data/items?field=price&is=gt&value=5").text


def test_secrets_of_the_app_are_masked_wherever_they_are(site: Site) -> None:
    id = site.app.run_mutation("shop:create", name=f"about {SECRET}", price=1)
    logging.getLogger("shop").warning("the secret is %s, the key %s", SECRET, KEY)
    for path in ("data/items?order=desc", f"data/items/{id}", "logs"):
        text = site.person.get(f"/_/{path}").text
        assert "•••masked•••" in text, path
        assert SECRET not in text
        assert KEY not in text
    place = f"/_/data/items/{id}"
    form = {"document": '{"name": "about •••masked•••", "price": 2, "tags": []}'}
    assert site.person.submit(place, place, **form).status == 400
    assert site.app.run_query("_app:document", id=id)["document"]["price"] == 1


def test_the_frameworks_tables_show_no_credentials(site: Site) -> None:
    page = site.person.get("/_/data/_webhook_deliveries").text
    one = site.person.get(first_link(page, "/_/data/_webhook_deliveries/[0-9a-v]{32}")).text
    lines = site.person.get("/_/data/_webhook_deliveries?format=jsonl").text
    for text in (page, one, lines):
        assert "sha256=" not in text
    for text in (one, lines):
        assert "x-hub-signature-256" in text
        assert "•••masked•••" in text
    assert "Save" not in one  # they are not changed by hand


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


def test_what_a_stranger_sends_is_inert_wherever_it_is(site: Site) -> None:
    """In paths, headers, event types, ids, payloads, file types, names, errors and log lines."""
    body = json.dumps({"id": HOSTILE, HOSTILE: [HOSTILE]}).encode()
    headers = github.sign(body, SECRET, event_type=HOSTILE)
    headers |= {"Content-Type": "application/json", "User-Agent": HOSTILE, "Host": "localhost"}
    client = webtest.TestApp(site.app)
    client.post("/webhooks/github", body, headers=headers)
    client.post("/webhooks/github", body + b" ", headers=headers, status=400)
    port = int(site.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest("GET", f"/{HOSTILE.replace(' ', '%20')}")
    connection.putheader("User-Agent", HOSTILE)
    connection.endheaders()
    connection.getresponse().read()
    connection.close()
    key_store.issue(site.app, HOSTILE, data={HOSTILE: HOSTILE})
    site.app.jobs.scheduler(None, None).run_after(0, "shop:fail", why=HOSTILE)
    site.app.jobs.run_due()
    pages = [
        *PATHS,
        "keys",
        "logs?level=debug",
        f"logs?text={quote(HOSTILE)}",
        f"data/items?field={quote(HOSTILE)}",
    ]
    pages += [
        f"data/items?eq={quote(HOSTILE)}&index=by_name",
        f"jobs?name={quote(HOSTILE)}",
        quote(HOSTILE, safe=""),
    ]
    for page in ("data/items", "files", "jobs", "webhooks", "webhooks?state=refused"):
        found = re.findall(
            'href="/_/((?:data/items|files|jobs|webhooks)/[0-9a-v]{32})"', site.person.get(f"/_/{page}").text
        )
        pages += found[:3]
    shown = 0
    for page in pages:
        seen = Seen(site.person.get(f"/_/{page}").text)
        assert not {"script", "img", "iframe", "object", "embed", "style", "base"} & set(seen.elements), page
        assert [name for name, _ in seen.attributes if name.startswith("on") or name == "style"] == [], page
        links = [str(value) for name, value in seen.attributes if name in ("href", "action")]
        assert all(link.startswith(("/_/", "#", "data:,")) for link in links), page
        shown += "<script>" in seen.text
    assert shown > 12


# ---------------------------------------------------------------- more that is changed


def test_a_key_is_issued_shown_once_and_revoked(site: Site) -> None:
    made = site.person.submit("/_/keys", "/_/keys", name="laptop of <Ada>", data='{"scopes": ["read"]}')
    assert made.status == 303
    shown = site.person.get(made.headers["Location"]).text
    key = re.search("mk_[A-Za-z0-9_-]{30,}", shown)
    assert key
    row = key_store.validate(site.app, key[0])
    assert row is not None
    assert row["data"] == {"scopes": ["read"]}
    assert key[0] not in site.person.get(made.headers["Location"]).text
    assert "laptop of &lt;Ada&gt;" in site.person.get("/_/keys").text
    assert site.person.submit("/_/keys", f"/_/keys/{row['_id']}/revoke").status == 303
    assert key_store.validate(site.app, key[0]) is None
    assert site.person.submit("/_/keys", f"/_/keys/{row['_id']}/revoke").status == 404
    assert site.person.submit("/_/keys", "/_/keys", name=" ").status == 400
    digests = {row["digest"] for row in site.app.run_query("_app:documents", table="_api_keys")["page"]}
    assert not any(digest in site.person.get("/_/data/_api_keys").text for digest in digests)


def test_a_file_is_uploaded(site: Site) -> None:
    token = re.search(r'name="form_token" value="([^"]+)"', site.person.get("/_/files").text)
    assert token
    body = (
        f'--x\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token[1]}\r\n'
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        "Content-Type: text/plain\r\n\r\nby hand\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Origin": site.url}
    request = urllib.request.Request(f"{site.url}/_/files", body.encode(), headers)
    done = site.person._send(request)
    assert done.status == 303
    page = done.headers["Location"].partition("?")[0]
    assert "text/plain" in site.person.get(page).text
    assert site.person.get(f"{page}/content").text == "by hand"
    assert site.person.submit("/_/files", "/_/files").status == 400


def test_all_dead_deliveries_are_replayed(site: Site) -> None:
    page = "/_/data/items/new"  # any with a form
    done = site.person.submit_and_follow(page, "/_/webhooks/replay-dead")
    assert "Replayed 0 dead deliveries." in done.text


def test_what_cannot_be_undone_asks_first(site: Site) -> None:
    """The button is behind another one, which says what will be."""
    link = first_link(site.person.get("/_/data/items").text, "/_/data/items/[0-9a-v]{32}")
    text = site.person.get(link).text
    assert re.search(
        '<details class="sure"><summary[^>]*>Delete this document…</summary>.*for good.*</details>', text
    )


# ---------------------------------------------------------------- what it costs


def test_nothing_of_the_pages_is_loaded_before_one_is_asked_for(tmp_path: Any) -> None:
    """Also on a terminal, where the banner has a link: a session needs no page."""
    program = """
import sys
from minihttp import App
from minihttp.dashboard import install
import webtest
app = App(data=":memory:", environment={"MINIHTTP_ADMIN_KEY": "a long key"})
installed = install(app, "read")
link = installed.link()
client = webtest.TestApp(app)
client.get("/items", status=404)
print(sorted(name for name in sys.modules if name.startswith("minihttp.dashboard.")))
client.get(link)
print("minihttp.dashboard.site" in sys.modules, "minihttp.dashboard.data" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    before, after = done.stdout.splitlines()
    assert before == "['minihttp.dashboard.activity', 'minihttp.dashboard.session']"
    assert after == "True False"


def test_it_starts_no_thread_and_opens_nothing(tmp_path: Any) -> None:
    before = threading.active_count()
    app = make_app(str(tmp_path / "data"))
    assert install(app, "write") is not None
    assert threading.active_count() == before
    assert not (tmp_path / "data").exists()
