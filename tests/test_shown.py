# SPDX-License-Identifier: MIT
"""A stranger's text in messages, responses and log lines: bounded, and nothing that a terminal acts on."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any
from urllib.parse import quote

import pytest
import webtest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import App, HttpRouter, mutation, query, testing, v
from minihttp.errors import MAX_MESSAGE_CHARACTERS, short
from minihttp.logs import JsonFormatter, TextFormatter
from minihttp.shown import one_line, quoted, safe
from minihttp.values import show
from minihttp.webhooks import github

EVIL = "\x1b]0;owned\x07\x9b2J\r\u202egnp\u2028"
LONG = EVIL + "x" * 50_000
Sent = tuple[str, bytes, dict[str, str]]  # target, body, headers
_ACTED_ON = set(EVIL) - set("]0;owned2Jgnp")
SECRET = "a secret of 16 bytes"

http = HttpRouter()


@http.route(path="/json", method="POST")
def post_json(ctx: Any, request: Any) -> Any:
    body = request.json(v.object({"name": v.id("items"), "kind": v.union(v.literal("a"), v.literal("b"))}))
    return {"name": body["name"]}


@http.route(path="/fields", method="POST")
def fields(ctx: Any, request: Any) -> Any:
    return {"n": request.form().get("n", type=int), "q": request.query.get("q", type=int)}


@http.route(path="/items/{n}", method="GET")
def item(ctx: Any, request: Any) -> Any:
    return {"n": request.path_params.get("n", type=int)}


@http.route(path="/fails", method="POST")
def fails(ctx: Any, request: Any) -> Any:
    raise ValueError(request.text())


@http.route(path="/header", method="POST")
def header(ctx: Any, request: Any) -> Any:
    from minihttp import Response

    return Response("x", headers={"X-Echo": request.text()})


@http.route(path="/file", method="POST")
def file(ctx: Any, request: Any) -> Any:
    ctx.storage.delete(request.text())


http.webhook("/hook", github.provider(secret="S"), None)


@query(args={"id": v.id("items"), "n": v.optional(v.number())})
def get(ctx: Any, id: str, n: float = 0) -> Any:
    return ctx.db.get(id)


@mutation
def loose(ctx: Any, **args: Any) -> Any:
    return ctx.db.insert("items", args)


def call(path: Any = "m:get", at: str = "/api/query", **body: Any) -> Sent:
    return at, json.dumps({"path": path, "args": {}, **body}).encode(), {}


def posted(
    path: str, value: Any, content_type: str = "application/json"
) -> tuple[str, bytes, dict[str, str]]:
    data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return path, data, {"Content-Type": content_type}


FORM = "application/x-www-form-urlencoded"
SIGNED = github.sign(b"{}", SECRET, event_type="push")
REQUESTS: dict[str, Sent] = {
    "no function": call(LONG),
    "no function of a good name": call("a" * 50_000 + ":b"),
    "another separator": call("m." + "a" * 50_000),
    "a format": call(format=LONG),
    "an unknown argument": call(args={LONG: 1}),
    "many unknown arguments": call(args={f"{n}é": 1 for n in range(900)}),
    "an id": call(args={"id": LONG}),
    "a number": call(args={"id": "a", "n": LONG}),
    "a list of arguments": call(args=[LONG]),
    "text for arguments": call(args=LONG),
    "a tag": call(args={"$" + LONG: 1}),
    "bytes that are none": call(args={"id": {"$bytes": LONG}}),
    "an int64 that is none": call(args={"id": {"$integer": LONG}}),
    "a field name to store": (
        "/api/mutation",
        json.dumps({"path": "m:loose", "args": {LONG: 1}}).encode(),
        {},
    ),
    "a deep field name": (
        "/api/mutation",
        json.dumps({"path": "m:loose", "args": {"a": {LONG: 1}}}).encode(),
        {},
    ),
    "a component": call(at="/api/function", componentPath=LONG),
    "a timestamp": call(at="/api/query_at_ts", ts=LONG),
    "a path to run": ("/api/run/m/" + "x" * 50_000, b"{}", {}),
    "fields of a body": posted("/json", {LONG: 1, "name": LONG, "kind": LONG}),
    "many fields": posted("/json", {f"field {n} {EVIL}": 1 for n in range(10_000)}),
    "json that is none": posted("/json", '{"a": ' + LONG),
    "a media type": posted("/json", "{}", "text/" + "x" * 50_000),
    "a charset": posted("/fails", "{}", "text/plain; charset=" + "x" * 50_000),
    "a form field": posted("/fields", "n=" + quote(LONG), FORM),
    "a query": (f"/fields?q={quote(LONG)}", b"n=1", {"Content-Type": FORM}),
    "a boundary": posted("/fields", "x", "multipart/form-data; boundary=" + "x" * 50_000),
    "a part": posted(
        "/fields",
        f"--b\r\nContent-Disposition: {LONG}\r\n\r\nx\r\n--b--\r\n",
        "multipart/form-data; boundary=b",
    ),
    "an error of the app": posted("/fails", LONG, "text/plain"),
    "a header of the app": posted("/header", LONG, "text/plain"),
    "a file": posted("/file", LONG, "text/plain"),
    "a digest": ("/api/storage/upload", b"x", {"Digest": "x" * 50_000}),
    "a token": ("/api/storage/upload?token=" + "x" * 50_000, b"x", {}),
    "a bearer": ("/api/query", b"{}", {"Authorization": "Bearer " + "x" * 50_000}),
    "a path": ("/" + "x" * 50_000, b"", {}),
    "a path that is none": ("/%zz" + "x" * 50_000, b"", {}),
    "an idempotency key": (*call()[:2], {"Idempotency-Key": "x" * 50_000}),
    "a host": ("/json", b"{}", {"Host": "a@" + "x" * 50_000}),
    "an encoding": ("/json", b"{}", {"Content-Encoding": "x" * 50_000}),
    "a signature": ("/hook", b"{}", {"X-Hub-Signature-256": "x" * 50_000, "X-GitHub-Event": "x" * 50_000}),
    "an id of a delivery": (
        "/hook",
        b"{}",
        {**SIGNED, "X-GitHub-Delivery": "x" * 50_000},
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_a_stranger_sent_comes_back_short(name: str, caplog: pytest.LogCaptureFixture) -> None:
    target, body, headers = REQUESTS[name]
    app = App(http, modules={"m": sys.modules[__name__]}, environment={"S": SECRET}, admin_key="k" * 16)
    with testing.in_memory(app) as app:
        if target == "/api/function":
            headers = {**headers, "Authorization": f"Convex {'k' * 16}"}
        client = webtest.TestApp(app, lint=False)
        environ = {"REQUEST_URI": target, "wsgi.input_terminated": True}
        answer = client.post(
            "/" if "%zz" in target else target,
            body,
            {"Content-Type": "application/json", **headers},
            extra_environ=environ,
            expect_errors=True,
        )
    assert answer.status_int != 500 or "of the app" in name
    assert answer.status_int >= 400 or answer.json["status"] == "error", answer.text[:200]
    assert len(answer.body) < 3 * MAX_MESSAGE_CHARACTERS
    for value in answer.headers.values():
        assert len(value) < 1_000 and not _ACTED_ON & set(value)
    if "of the app" not in name:
        text = answer.body.decode()
        assert not _ACTED_ON & set(text), text[:300]
    for record in caplog.records:
        for formatter in (TextFormatter(), JsonFormatter()):
            line = formatter.format(record)
            assert len(line) < 70_000 and not _ACTED_ON & set(line), (name, line[:200])


@given(st.text(max_size=300) | st.binary(max_size=300) | st.integers() | st.lists(st.text()))
def test_whatever_is_shown_is_one_short_line(value: Any) -> None:
    for text in (quoted(value), show(value)):
        assert len(text) < 1_500 and text.encode() and "\n" not in text
        assert safe(text) == text == one_line(text)


def test_text_stays_text() -> None:
    assert quoted("é 你好") == "'é 你好'" and quoted("a" * 101) == repr("a" * 100) + "…"
    assert one_line("a\tb\n\x1b") == r"a\tb\n\x1b" and safe("a\tb\n\x1b") == "a\tb\n\\x1b"
    assert short("x" * 10, 4) == "xxxx… (10 characters)" and short("xxxx", 4) == "xxxx"
    assert logging.getLogger("minihttp")
