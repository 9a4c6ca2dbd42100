# SPDX-License-Identifier: MIT
"""What an inbox that strangers reach does not do: believe a `Host`, take a secret that one could guess, or
handle a delivery again that somebody has captured.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import webtest

from minihttp import App, ConfigurationError, HttpRouter, internal_mutation, testing
from minihttp.webhooks import github, shopify, square, standard_webhooks, svix, trello, twilio

SECRET = "sixteen bytes it has"
handled: list[str] = []


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    handled.append(delivery["id"])


def an_app(provider: Any, secret: str = SECRET, origin: str = "", **options: Any) -> App:
    http = HttpRouter()
    http.webhook("/h", provider, on_event, **options)
    modules = {"m": sys.modules[__name__]}
    return App(http, modules=modules, data=":memory:", workers=0, environment={"S": secret}, origin=origin)


@pytest.mark.parametrize(
    ("module", "secret"),
    [
        (github, "fifteen letters"),
        (shopify, "x"),
        (svix, "whsec_" + base64.b64encode(bytes(15)).decode()),
        (standard_webhooks, base64.b64encode(b"too short").decode()),
    ],
)
def test_a_secret_that_can_be_guessed_stops_the_start(module: Any, secret: str) -> None:
    for start in (App.prepare, App.check_exposed):
        with pytest.raises(ConfigurationError, match=r"webhook /h \(.*\): S: .* 16 are the least") as caught:
            start(an_app(module.provider(secret="S"), secret))
        assert secret not in str(caught.value).replace(str(caught.value).split(": S:")[0], "")


@pytest.mark.parametrize(
    ("module", "secret"),
    [(github, "sixteen letters!"), (svix, "whsec_" + base64.b64encode(bytes(16)).decode()), (github, "")],
)
def test_a_longer_one_and_a_missing_one_do_not(module: Any, secret: str) -> None:
    an_app(module.provider(secret="S"), secret).check_exposed()


@pytest.mark.parametrize("module", [square, twilio, trello])
def test_who_signs_the_url_needs_it_said(module: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"webhook /h \(.*test_exposed.py:\d+\): .*public_url=…"
    ) as caught:
        an_app(module.provider(secret="S")).prepare()
    assert module.SCHEME.name in str(caught.value)
    an_app(module.provider(secret="S"), origin="https://a.example").check_exposed()
    an_app(module.provider(secret="S", public_url="https://a.example/h")).check_exposed()


def test_serve_and_doctor_say_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from minihttp import App, HttpRouter\nfrom minihttp.webhooks import square\nhttp = HttpRouter()\n"
        'http.webhook("/h", square.provider(secret="S"), None)\napp = App(http)\n'
    )
    for verb, *flags in (("serve", "--port", "0"), ("doctor",)):
        done = subprocess.run(
            [sys.executable, "-m", "minihttp", verb, "app:app", "--data", "data", *flags],
            cwd=tmp_path, env={**os.environ, "S": SECRET}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1 and "app.py:4" in done.stdout + done.stderr


def signed(url: str, body: bytes) -> dict[str, str]:
    mac = hmac.new(SECRET.encode(), url.encode() + body, hashlib.sha256).digest()
    return {
        "x-square-hmacsha256-signature": base64.b64encode(mac).decode(),
        "Content-Type": "application/json",
    }


@pytest.mark.parametrize(
    ("origin", "host", "url", "status"),
    [
        ("", "evil.example", "http://evil.example/h?a=1", 400),  # captured at another receiver of the sender
        ("", "localhost:80", "http://localhost/h?a=1", 200),
        ("https://a.example", "evil.example", "http://evil.example/h?a=1", 421),
        ("https://a.example", "a.example", "https://a.example/h?a=1", 200),
        ("https://a.example", "localhost:80", "https://a.example/h?a=1", 200),
        ("https://a.example", "localhost:80", "http://localhost/h?a=1", 400),
        ("https://a.example/base", "a.example", "https://a.example/base/h?a=1", 200),
    ],
)
def test_the_host_is_a_strangers_word(origin: str, host: str, url: str, status: int) -> None:
    body = b'{"event_id":"e1"}'
    client = webtest.TestApp(an_app(square.provider(secret="S"), origin=origin))
    answer = client.post("/h?a=1", body, {**signed(url, body), "Host": host}, expect_errors=True)
    assert answer.status_int == status


def test_equal_bodies_are_one_delivery_whatever_their_id() -> None:
    handled.clear()
    body = b'{"zen": "captured"}'
    for dedupe, count in (("body", 1), ("id", 3)):
        with testing.in_memory(an_app(github.provider(secret="S"), dedupe=dedupe)) as app:
            client = webtest.TestApp(app)
            answers = []
            for id in ("first", "second", "third"):
                headers = github.sign(body, SECRET, id=id, event_type="push")
                answers.append(client.post("/h", body, headers).json.get("duplicate", False))
            testing.run_jobs(app)
            assert answers == [False, count == 1, count == 1]
            other = github.sign(body + b" ", SECRET, id="first", event_type="push")
            assert client.post("/h", body + b" ", other).json.get("duplicate", False) is (count == 3)
    assert len(handled) == 1 + 3


def test_dedupe_is_one_of_two_words() -> None:
    with pytest.raises(ConfigurationError, match='dedupe must be "id" or "body", not \'bodies\''):
        an_app(github.provider(secret="S"), dedupe="bodies").open()
