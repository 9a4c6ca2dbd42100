# SPDX-License-Identifier: MIT
"""The dashboard over a socket: every page whole and safe, and whom it refuses."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable

import pytest

from tests.dashboard.conftest import KEY, Person, Site
from tests.dashboard.seen import PATHS


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


def test_the_cookie_is_secure_on_https(serve: Callable[..., Site]) -> None:
    site = serve(trusted_proxy="127.0.0.1")
    headers = {"X-Forwarded-Proto": "https", "Origin": site.url.replace("http:", "https:")}
    came = Person(site.url).post("/_/login", {"key": KEY}, **headers)
    assert came.headers["Set-Cookie"].endswith("; HttpOnly; SameSite=Strict; Secure")
    assert "Secure" not in Person(site.url).post("/_/login", {"key": KEY}).headers["Set-Cookie"]
