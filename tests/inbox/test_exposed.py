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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import webtest

from minihttp import App, ConfigurationError, HttpRouter, internal_mutation, testing
from minihttp.webhooks import github, shopify, square, standard_webhooks, svix, trello, twilio

SECRET = "sixteen bytes it has"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
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
def test_a_secret_that_can_be_guessed_stops_the_start_where_others_reach_it(module: Any, secret: str) -> None:
    app = an_app(module.provider(secret="S"), secret)
    app.listen_on("127.0.0.1", "localhost", "::1")
    app.prepare()  # only this machine reaches it
    app.listen_on("10.0.0.1")
    with pytest.raises(ConfigurationError, match=r"webhook /h \(.*\): S: .* 16 are the least") as caught:
        app.prepare()
    assert [str(caught.value)] == list(app.guessable_secrets())
    assert secret not in str(caught.value).replace(str(caught.value).split(": S:")[0], "")


@pytest.mark.parametrize(
    ("module", "secret"),
    [(github, "sixteen letters!"), (svix, "whsec_" + base64.b64encode(bytes(16)).decode()), (github, "")],
)
def test_a_longer_one_and_a_missing_one_do_not(module: Any, secret: str) -> None:
    an_app(module.provider(secret="S"), secret).check_exposed(["0.0.0.0"])


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
            cwd=tmp_path, env={**ENVIRONMENT, "S": SECRET}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1 and "app.py:4" in done.stdout + done.stderr


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[str]:
    """What `serve` says at its start, on an address that only this machine reaches."""
    process = subprocess.Popen(
        [sys.executable, "-m", "minihttp", "serve", "app:app", "--port", "0", "--data", "served"],
        cwd=folder, env={**ENVIRONMENT, **environment}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("  stop:"):
            break
    try:
        yield "".join(lines)
    finally:
        process.kill()
        process.communicate()


def test_a_short_secret_is_warned_of_and_refused_where_others_reach_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from minihttp import App, HttpRouter\nfrom minihttp.webhooks import github\nhttp = HttpRouter()\n"
        'http.webhook("/h", github.provider(secret="S"), None)\napp = App(http)\n'
    )

    def run(verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "minihttp", verb, "app:app", "--data", "data", *options],
            cwd=tmp_path, env={**ENVIRONMENT, "S": "short"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def doctor(*options: str) -> tuple[int, str]:
        done = run("doctor", *options)
        [line] = [line for line in done.stdout.splitlines() if "16 are the least" in line]
        return done.returncode, line.split()[1]

    reached = (["--host", "0.0.0.0"], ["--trusted-proxy", "127.0.0.1"])
    assert doctor() == doctor("--origin", "https://a.example") == (0, "warning")
    for options in reached:
        assert doctor(*options) == (1, "fail")
        refused = run("serve", "--port", "0", *options)
        assert refused.returncode == 1 and "16 are the least" in refused.stderr, options
    with serving(tmp_path, S="short") as banner:
        assert "  warning: webhook /h" in banner and "16 are the least" in banner


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
