# SPDX-License-Identifier: MIT
"""The admin key: which keys may be, who holds it, and how guessing ends."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import webtest

from minihttp import App, ConfigurationError, HttpRouter
from minihttp.auth.admin import AdminKey
from minihttp.errors import RateLimitedError
from minihttp.testing import Clock
from tests.live import live
from tests.server.wire import Connection

KEY = "a-key:with-a-colon"


def an_app(**options: Any) -> App:
    http = HttpRouter()

    @http.route(path="/me", method="GET")
    def me(ctx: Any, request: Any) -> Any:
        return {"known": ctx.auth.get_user_identity() is not None}

    options = {"data": ":memory:", "workers": 0, "admin_key": KEY, "environment": {}, **options}
    return App(http, modules=[sys.modules[__name__]], **options)


@pytest.mark.parametrize(
    "key", ["short", "fifteen-letters", "a key with\x1b[31m it", "schlüssel-von-mir-selbst"]
)
def test_a_key_that_can_be_guessed_or_not_be_sent_is_refused(key: str, tmp_path: Path) -> None:
    for options in ({"admin_key": key}, {"admin_key": None, "environment": {"MINIHTTP_ADMIN_KEY": key}}):
        for start in (App.prepare, App.check_exposed):
            with pytest.raises(ConfigurationError, match="MINIHTTP_ADMIN_KEY") as caught:
                start(an_app(**options))
            assert key not in str(caught.value)
    (tmp_path / "app.py").write_text("from minihttp import App\napp = App()\n")
    environ = {**os.environ, "MINIHTTP_ADMIN_KEY": key}
    for verb, *flags in (("serve", "--port", "0"), ("doctor",)):
        done = subprocess.run(
            [sys.executable, "-m", "minihttp", verb, "app:app", *flags],
            cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1 and "MINIHTTP_ADMIN_KEY" in done.stdout + done.stderr


@pytest.mark.parametrize("key", [KEY, ":" * 16, "ends-with-a-colon:", "two words and more"])
def test_every_other_key_opens(key: str) -> None:
    admin = AdminKey(key)
    admin.check()
    assert admin.acting(key) == "" and admin.acting(f"{key}:e30=") == "e30="
    identity = base64.b64encode(b'{"issuer": "i", "subject": "s"}').decode()
    client = webtest.TestApp(an_app(admin_key=key))
    for given in (key, f"{key}:{identity}"):
        found = client.post_json(
            "/api/function", {"path": "_app:tables", "args": {}}, headers={"Authorization": f"Convex {given}"}
        )
        assert found.json["status"] == "success", found.json


def test_who_guesses_has_to_wait_whatever_is_sent_then() -> None:
    clock = Clock(0.0)
    admin = AdminKey(KEY, clock)
    for n in range(10):
        assert admin.open(f"guess {n}", "192.0.2.1") is None
    with pytest.raises(RateLimitedError) as caught:
        admin.open(KEY, "192.0.2.1")
    assert caught.value.status == 429 and dict(caught.value.headers)["Retry-After"] == "60"
    assert admin.open(KEY, "192.0.2.2") == ""  # another address
    clock.advance(60)
    assert admin.open(KEY, "192.0.2.1") == ""


def test_of_an_ipv6_network_all_hosts_are_one_guesser() -> None:
    admin = AdminKey(KEY, Clock(0.0))
    for n in range(10):
        admin.open("guess", f"2001:db8:0:1::{n:x}")
    with pytest.raises(RateLimitedError):
        admin.open(KEY, "2001:db8:0:1:ffff::1")
    assert admin.open(KEY, "2001:db8:0:2::1") == ""


def test_an_ipv4_address_is_the_same_guesser_however_it_is_written() -> None:
    admin = AdminKey(KEY, Clock(0.0))
    for n in range(10):
        admin.open("guess", "::ffff:192.0.2.1" if n % 2 else "192.0.2.1")
    with pytest.raises(RateLimitedError):
        admin.open(KEY, "192.0.2.1")


def test_what_is_remembered_of_guessers_is_bounded() -> None:
    admin = AdminKey(KEY, Clock(0.0))
    for n in range(5_000):
        admin.open("x" * 60_000, f"10.0.{n // 250}.{n % 250}")
    assert len(admin._guesses) <= 1_000


def test_wrong_keys_are_logged_a_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(0.0)
    admin = AdminKey(KEY, clock)
    for n in range(50):
        admin.open("secret-guess", f"10.0.0.{n}")
    clock.advance(1)
    admin.open("secret-guess", "10.0.1.1")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [
        "wrong admin keys refused: 1, the last from 10.0.0.0",
        "wrong admin keys refused: 50, the last from 10.0.1.1",
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/query"),
        ("POST", "/api/mutation"),
        ("GET", "/api/query?path=a:b"),
        ("POST", "/api/function"),
        ("POST", "/api/run/a/b"),
        ("GET", "/_/metrics"),
        ("GET", "/me"),
    ],
)
def test_wherever_the_key_is_taken_guessing_ends(method: str, path: str) -> None:
    client = webtest.TestApp(an_app(metrics=True), extra_environ={"REMOTE_ADDR": "192.0.2.9"})
    statuses = []
    for n in range(12):
        headers = {"Authorization": f"Convex wrong-{n}"}
        answer = client.request(path, method=method, headers=headers, expect_errors=True)
        statuses.append(answer.status_int)
    assert statuses == [401] * 10 + [429] * 2
    assert answer.headers["Retry-After"]
    headers = {"Authorization": f"Convex {KEY}"}
    assert client.request(path, method=method, headers=headers, expect_errors=True).status_int == 429


@pytest.mark.parametrize(
    "path", ["/api/query", "/api/mutation", "/api/run/a/b", "/api/function", "/api/query_batch"]
)
@pytest.mark.parametrize("header", ["Convex wrong", "Convex wrong:e30=", "Basic YTpi", "Convex"])
def test_a_wrong_key_is_refused_before_its_body(path: str, header: str) -> None:
    with live(an_app()) as client, Connection(_Address(client)) as sent:  # type: ignore[arg-type]
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {header}\r\n"
        sent.send(f"{head}Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert sent.read().status == 401
        assert sent.is_closed()


def test_a_body_for_operators_needs_a_key_in_the_head() -> None:
    with live(an_app()) as client, Connection(_Address(client)) as sent:  # type: ignore[arg-type]
        sent.send(b"POST /api/function HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert sent.read().status == 401


class _Address:
    """Where a `live` server is, as `Connection` asks it."""

    def __init__(self, client: Any) -> None:
        self.host, self.port = client.host, client.port
