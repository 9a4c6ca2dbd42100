# SPDX-License-Identifier: MIT
"""Every program of the seed, over a real socket, each reply checked by `wsgiref.validate` on its way."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import webtest

from minihttp import App, auth, testing
from tests.auth import makers
from tests.auth.fake_provider import fake_provider
from tests.live import PATIENCE_SECONDS, ROOT, Client, live

EXAMPLES = ROOT / "examples"
SEED = ROOT / "tests" / "apps" / "seed"  # programs that verify by hand, in an action
NOW = 1_700_000_000
SECRETS = {
    "STRIPE_WEBHOOK_SECRET": "whsec_of_the_stripe_account",
    "GITHUB_WEBHOOK_SECRET": "the secret of the hub",
    "CLERK_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
Serve = Callable[[str], tuple[Any, Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start an example by name, on a directory of its own."""
    with ExitStack() as stack:

        def start(name: str, **settings: Any) -> tuple[Any, Client]:
            app = App.from_target(str(EXAMPLES / name))  # SEED is absolute, so it wins
            settings = {"environment": SECRETS, "clock": testing.Clock(NOW), "workers": 0, **settings}
            app.configure(data=tmp_path / "data", **settings)
            stack.callback(app.close)
            return app, stack.enter_context(live(app))

        yield start


def test_health(serve: Serve) -> None:
    _, client = serve("health.py")
    reply = client.get("/health")
    assert (reply.status, reply.json()) == (200, {"status": "ok"})
    assert reply.headers["content-type"] == "application/json"
    head = client.request("HEAD", "/health")
    assert (head.status, head.body) == (200, b"")
    assert client.get("/nothing").status == 404
    refused = client.post("/health")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


def test_json_data_with_header_and_query(serve: Serve) -> None:
    _, client = serve("json_data.py")
    reply = client.request("POST", "/api/data?filter=new%20ones", {"a": [1, "é"]}, {"Authorization": "x"})
    assert reply.json() == {"received": {"a": [1, "é"]}, "filter": "new ones", "authorized": True}
    assert client.request("POST", "/api/data", {"a": 1}).json()["filter"] is None
    bad = client.post("/api/data", b'{"a": ', {"Content-Type": "application/json"})
    assert bad.status == 400
    assert "line 1" in bad.json()["error"]
    assert client.post("/api/data", b"{}", {"Content-Type": "text/plain"}).status == 415


def test_form_of_both_kinds(serve: Serve) -> None:
    _, client = serve("form.py")
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = client.post("/api/form", b"name=Ada+L&email=ada%40example.com", urlencoded)
    assert reply.json() == {"name": "Ada L", "email": "ada@example.com"}
    body = (
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n'
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.c\r\n--b--\r\n'
    )
    reply = client.post("/api/form", body, {"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.json() == {"name": "Ada", "email": "a@b.c"}
    cut = client.post("/api/form", body[:-8], {"Content-Type": "multipart/form-data; boundary=b"})
    assert cut.status == 400


@pytest.mark.parametrize("files", ["filesystem", "sqlite"])
def test_raw_upload_gives_an_id_whose_bytes_come_back(serve: Serve, files: str) -> None:
    app, client = serve("raw_upload.py", files=files)
    content = bytes(range(256)) * 1000
    reply = client.post("/api/upload", content, {"Content-Type": "image/jpeg"})
    assert reply.status == 200
    storage = app.files.outside("")
    storage_id = reply.json()["storageId"]
    assert storage.get_metadata(storage_id)["contentType"] == "image/jpeg"
    with storage.get(storage_id) as file:
        assert file.read() == content
    served = client.get(storage.get_url(storage_id))
    assert (served.status, served.body) == (200, content)


def test_user_by_prefix_and_pattern(serve: Serve) -> None:
    _, client = serve("user_by_prefix.py")
    assert client.get("/api/users/123").json() == {"userId": "123"}
    assert client.get("/api/users/a%20b/c").json() == {"userId": "a b/c"}
    assert client.get("/api/users/7/posts/9").json() == {"user_id": "7", "post_id": "9"}
    assert client.get("/api/users").status == 404


def test_cors_preflight_post_and_error(serve: Serve) -> None:
    _, client = serve("cors.py")
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    preflight = client.request("OPTIONS", "/api/data", headers=ask)
    assert (preflight.status, preflight.body) == (204, b"")
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "Content-Type" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-max-age"] == "86400"
    reply = client.request("POST", "/api/data", {"a": 1}, {"Origin": "https://a.example"})
    assert reply.json() == {"success": True, "data": {"a": 1}}
    assert reply.headers["access-control-allow-origin"] in ("*", "https://a.example")
    bad = client.request(
        "POST", "/api/data", b"{", {"Origin": "https://a.example", "Content-Type": "application/json"}
    )
    assert bad.status == 400
    assert "access-control-allow-origin" in bad.headers
    assert client.request("PUT", "/api/data", headers={"Origin": "https://a.example"}).status == 405


def stripe_event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": kind, "created": NOW, "data": {"object": thing}}


def test_stripe_webhook_runs_the_mutation_of_its_event(serve: Serve) -> None:
    app, client = serve(str(SEED / "stripe_webhook.py"))
    secret = SECRETS["STRIPE_WEBHOOK_SECRET"]
    checkout = stripe_event("checkout.session.completed", {"id": "cs_1", "customer": "cus_1"})
    body, headers = testing.signed("stripe", checkout, secret, now=NOW)
    for _ in range(2):
        assert client.post("/webhooks/stripe", body, headers).text == "OK"
    update = stripe_event("customer.subscription.updated", {"id": "sub_1", "status": "active"})
    assert client.post("/webhooks/stripe", *testing.signed("stripe", update, secret, now=NOW)).status == 200

    missing = client.post("/webhooks/stripe", body, {"Content-Type": "application/json"})
    assert (missing.status, missing.text) == (400, "Missing signature")
    assert client.post("/webhooks/stripe", body + b" ", headers).status == 400
    old = testing.signed("stripe", checkout, secret, now=NOW - 301)
    assert client.post("/webhooks/stripe", *old).status == 400

    def rows(transaction: Any) -> tuple[list[Any], list[Any]]:
        return tuple(transaction.db.query(table).collect() for table in ("payments", "subscriptions"))

    payments, subscriptions = app.database.read(rows)
    assert [(row["sessionId"], row["customerId"]) for row in payments] == [("cs_1", "cus_1")]
    assert [(row["subscriptionId"], row["status"]) for row in subscriptions] == [("sub_1", "active")]


def test_a_missing_secret_is_a_503_and_a_warning(serve: Serve) -> None:
    app, client = serve(str(SEED / "stripe_webhook.py"), environment={})
    assert app.missing_secrets() == [("", "STRIPE_WEBHOOK_SECRET")]
    assert client.post("/webhooks/stripe", b"{}", {"Stripe-Signature": "t=1,v1=00"}).status == 503


def test_github_webhook_hands_the_delivery_to_an_action(serve: Serve) -> None:
    app, client = serve(str(SEED / "github_webhook.py"))
    body, headers = testing.signed("github", {"zen": "Design for failure."}, SECRETS["GITHUB_WEBHOOK_SECRET"])
    headers["X-GitHub-Event"] = "push"
    assert client.post("/webhooks/github", body, headers).status == 200
    assert client.post("/webhooks/github", body, {"X-GitHub-Event": "push"}).text == "Missing signature"
    wrong = {**headers, "X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert client.post("/webhooks/github", body, wrong).status == 400
    assert client.post("/webhooks/github", body, {**headers, "X-Hub-Signature-256": "\xe9"}).status == 400
    events = app.database.read(lambda transaction: transaction.db.query("events").collect())
    assert [(e["event"], e["payload"]) for e in events] == [("push", {"zen": "Design for failure."})]


def test_github_by_hand(serve: Serve) -> None:
    app, client = serve("github_webhook.py")
    body, headers = testing.signed(
        "github", {"zen": "Design for failure."}, SECRETS["GITHUB_WEBHOOK_SECRET"], event_type="push"
    )
    headers["X-GitHub-Delivery"] = "d1"
    for _ in range(2):
        assert client.post("/webhooks/github", body, headers).text == "OK"
    assert client.post("/webhooks/github", body + b" ", headers).status == 400
    [event] = app.database.read(lambda transaction: transaction.db.query("events").collect())
    assert (event["delivery"], event["event"]) == ("d1", "push")


def test_stripe_by_the_inbox(serve: Serve) -> None:
    app, client = serve("stripe_webhook.py")
    secret = SECRETS["STRIPE_WEBHOOK_SECRET"]
    checkout = stripe_event("checkout.session.completed", {"id": "cs_1", "customer": "cus_1"})
    updates = [
        {
            **stripe_event("customer.subscription.updated", {"id": "sub_1", "status": status}),
            "id": f"evt_{status}",
        }
        for status in ("active", "past_due")
    ]
    for event in (checkout, checkout, *updates):
        assert (
            client.post("/webhooks/stripe", *testing.signed("stripe", event, secret, now=NOW)).status == 200
        )
    testing.run_jobs(app)
    tables = app.database.read(
        lambda transaction: [transaction.db.query(table).collect() for table in ("payments", "subscriptions")]
    )
    assert [row["sessionId"] for row in tables[0]] == ["cs_1"]
    assert [(row["id"], row["status"]) for row in tables[1]] == [("sub_1", "past_due")]


def test_clerk_by_the_inbox(serve: Serve) -> None:
    app, client = serve("clerk_webhook.py")
    address = [{"email_address": "ada@example.com"}]
    events = [
        clerk_event("user.created", first_name="Ada", last_name=None, email_addresses=address),
        clerk_event("user.updated", first_name="Ada", last_name="L", email_addresses=[]),
        clerk_event("user.deleted", deleted=True),
    ]
    seen = []
    for number, event in enumerate(events):
        sent = testing.signed("clerk", event, SECRETS["CLERK_WEBHOOK_SECRET"], now=NOW, id=f"msg_{number}")
        assert client.post("/webhooks/clerk", *sent).status == 200
        testing.run_jobs(app)
        rows = app.database.read(lambda transaction: transaction.db.query("users").collect())
        seen.append([(row["email"], row["name"]) for row in rows])
    assert seen == [[("ada@example.com", "Ada")], [("", "Ada L")], []]


def test_inside_flask(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    from examples import in_flask

    in_flask.backend.configure(data=":memory:", workers=0)
    client = webtest.TestApp(in_flask.flask_app)
    try:
        assert client.get("/").text.startswith("note ")
        assert (
            client.post_json("/backend/notes", {"text": "x"}).json["url"] == "http://localhost/backend/notes"
        )
    finally:
        in_flask.backend.close()


def test_under_gunicorn(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-c", str(EXAMPLES / "under_gunicorn.py")]
    command += ["--bind", f"127.0.0.1:{port}", "examples.under_gunicorn:app"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not (tmp_path / "data" / "app.db").exists():  # before any request: `prepare` has run
                assert process.poll() is None and time.monotonic() < until, (tmp_path / "log").read_text()
                time.sleep(0.05)
            assert Client(f"http://127.0.0.1:{port}").get("/health").json() == {"status": "ok"}
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()


def test_each_example_of_one_file_is_short_and_says_what_it_is() -> None:
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text("utf-8")
        limit = 160 if path.name == "own_tokens.py" else 40  # the one that is a whole app
        assert len(text.splitlines()) <= limit, path.name
        assert text.startswith('"""') or path.name == "__init__.py", path.name
        assert max(map(len, text.splitlines()), default=0) <= 110, path.name


def clerk_event(kind: str, **user: Any) -> dict[str, Any]:
    return {"type": kind, "object": "event", "data": {"id": "user_1", **user}}


def test_clerk_webhook_creates_updates_and_removes(serve: Serve) -> None:
    app, client = serve(str(SEED / "clerk_webhook.py"))

    def send(event: dict[str, Any]) -> int:
        body, headers = testing.signed("svix", event, SECRETS["CLERK_WEBHOOK_SECRET"], now=NOW, id="msg_1")
        return client.post("/webhooks/clerk", body, headers).status

    def users() -> list[tuple[str, str, str]]:
        found = app.database.read(lambda transaction: transaction.db.query("users").collect())
        return [(user["clerkId"], user["email"], user["name"]) for user in found]

    address = [{"id": "idn_1", "email_address": "ada@example.com"}]
    assert send(clerk_event("user.created", first_name="Ada", last_name=None, email_addresses=address)) == 200
    assert users() == [("user_1", "ada@example.com", "Ada")]
    assert send(clerk_event("user.updated", first_name="Ada", last_name="L", email_addresses=[])) == 200
    assert users() == [("user_1", "", "Ada L")]
    assert send(clerk_event("user.deleted", deleted=True)) == 200
    assert users() == []
    assert client.post("/webhooks/clerk", b"{}").text == "Missing Svix headers"
    _, headers = testing.signed("svix", {}, SECRETS["CLERK_WEBHOOK_SECRET"], now=NOW, id="msg_2")
    assert client.post("/webhooks/clerk", b"{ }", headers).status == 400


def test_api_key(serve: Serve) -> None:
    app, client = serve("api_key.py")
    key = app.run_mutation("api_key:issue", name="laptop")

    def row() -> dict[str, Any]:
        return app.database.read(lambda transaction: transaction.system.query("_api_keys").unique())

    assert key not in str(row()), "only the digest is stored"
    assert client.get("/api/protected").status == 401
    assert client.get("/api/protected", X_API_Key="mk_wrong").status == 403
    assert "lastUsedAt" not in row()
    assert client.get("/api/protected", X_API_Key=key).json()["secret"] == "the cake is real"
    assert row()["lastUsedAt"] == NOW * 1000
    app.run_mutation("api_key:revoke", name="laptop")
    assert client.get("/api/protected", X_API_Key=key).status == 403


def test_bearer_token(serve: Serve) -> None:
    app, client = serve("bearer_token.py")
    token = app.run_mutation("bearer_token:sign_up", name="Ada", email="ada@example.com")
    assert client.get("/api/user", Authorization=f"Bearer {token}").json()["name"] == "Ada"
    assert client.get("/api/user", Authorization="Bearer wrong").status == 403
    for header in ({}, {"Authorization": "Basic eA=="}, {"Authorization": "Bearer"}):
        reply = client.get("/api/user", **header)
        assert (reply.status, reply.json()["error"]) == (401, "Missing or invalid Authorization header")


def test_identity_provider(serve: Serve) -> None:
    with fake_provider() as provider:
        believed = [auth.oidc(provider.url, audience="convex")]
        _, client = serve("identity_provider.py", auth=believed, clock=testing.Clock(makers.NOW))

        def bearer(subject: str) -> dict[str, str]:
            token = makers.make_token(iss=provider.url, aud="convex", sub=subject, name=subject.title())
            return {"Authorization": f"Bearer {token}"}

        def call(kind: str, name: str, headers: dict[str, str], **args: Any) -> Any:
            body = {"path": f"identity_provider:{name}", "args": args}
            return client.request("POST", f"/api/{kind}", body, headers).json()

        ada, bob = bearer("ada"), bearer("bob")
        assert call("mutation", "add", ada, text="of Ada")["status"] == "success"
        assert call("mutation", "add", {}, text="of nobody")["status"] == "error"
        assert [note["text"] for note in call("query", "mine", ada)["value"]] == ["of Ada"]
        assert call("query", "mine", bob)["value"] == call("query", "mine", {})["value"] == []
        assert client.get("/me", **ada).json() == {"name": "Ada", "email": None, "notes": 1}
        assert client.get("/me").status == 401


def test_items_are_created_read_and_listed(serve: Serve) -> None:
    _, client = serve("items.py")
    created = client.post("/api/items", {"name": "pen", "description": "blue"})
    assert created.status == 201
    item = created.json()
    assert (item["name"], item["description"]) == ("pen", "blue")
    assert re.fullmatch("[0-9a-v]{32}", item["_id"])
    for number in range(12):
        client.post("/api/items", {"name": f"item {number}"})
    assert len(client.get("/api/items").json()) == 10
    assert [i["name"] for i in client.get("/api/items?limit=2").json()] == ["item 11", "item 10"]
    assert client.get("/api/items?limit=x").status == 400
    for body in ({}, [], {"name": 1}, {"name": "x", "description": 2}):
        assert client.post("/api/items", body).status == 400, body
    assert len(client.get("/api/items?limit=100").json()) == 13


def test_a_route_that_is_a_mutation(serve: Serve) -> None:
    _, client = serve("mutation_route.py")
    created = client.post("/api/notes", {"text": "buy milk"})
    assert (created.status, created.json()["text"]) == (201, "buy milk")
    path = f"/api/notes/{created.json()['_id']}"
    assert client.request("PATCH", path, {"text": "buy bread"}).json()["text"] == "buy bread"
    assert client.request("PATCH", path, {}).status == 400


def test_every_way_to_be_wrong(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    app, client = serve("error_handling.py")
    json_type = {"Content-Type": "application/json"}
    assert client.post("/api/process", b"{}", {"Content-Type": "text/plain"}).status == 415
    # a substring check would let this one through (CVE-2014-3137)
    assert client.post("/api/process", b"{}", {"Content-Type": "text/plain; application/json"}).status == 415
    assert client.post("/api/process", b"{nope", json_type).status == 400
    missing = client.post("/api/process", {"other": 1})
    assert (missing.status, missing.json()) == (400, {"error": "Missing required field: data"})
    assert client.post("/api/process", {"data": 5}).json() == {"success": True, "result": 5}
    for data in ("divide by zero", "crash"):
        reply = client.post("/api/process", {"data": data})
        assert (reply.status, reply.json()) == (500, {"error": "Internal server error"})
        assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])
        assert b"hunter2" not in reply.body
    assert "hunter2" in caplog.text, "the author finds it in the log"
    assert reply.headers["x-request-id"] in caplog.text
    kept = app.database.read(lambda transaction: transaction.db.query("results").collect())
    assert [row["data"] for row in kept] == [5], "what failed left nothing"


def test_file_download_redirects_to_the_file(serve: Serve) -> None:
    _, client = serve("file_download.py")
    storage_id = client.post("/files", b"hello", {"Content-Type": "text/plain"}).json()["storageId"]
    redirect = client.get(f"/files/{storage_id}")
    assert redirect.status == 302
    url = redirect.headers["location"]
    assert url.startswith(f"{client.url}/api/storage/")
    assert storage_id not in url
    served = client.get(url.removeprefix(client.url))
    assert (served.status, served.body, served.headers["content-type"]) == (200, b"hello", "text/plain")
    neighbour = storage_id[:-1] + ("1" if storage_id.endswith("0") else "0")
    for unknown in ("x", "0" * 32, "app.db", neighbour):
        assert client.get(f"/files/{unknown}").status == 404
    assert client.get("/files/..%2f..%2fapp.db").status == 400


def test_every_route_of_the_shop_is_proper_wsgi(serve: Serve) -> None:
    """What the other shop tests do over a bare server, once through `wsgiref.validate`."""
    app, client = serve("shop")
    for path, method, _ in app.http.routes():
        body = {"name": "x", "data": 1} if method == "POST" else b""
        for send in (method, "HEAD") if method == "GET" else (method,):
            reply = client.request(send, path.replace("*", "x"), body)
            assert reply.status in (200, 201, 400, 401, 404, 415), (send, path, reply)
    assert client.request("OPTIONS", "/health").status == 405
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert client.request("OPTIONS", "/api/data", headers=ask).status == 204


def test_the_list_of_the_shop_is_bounded_for_anybody(serve: Serve) -> None:
    app, client = serve("shop")
    for number in range(103):
        app.run_mutation("items:create", name=f"item {number}")
    assert len(client.get("/api/items?limit=9999").json()) == 100
    body = {"path": "items:list_items", "args": {"limit": 1e9}, "format": "json"}
    assert len(client.post("/api/query", body).json()["value"]) == 100
    for limit in (-1, 1.5):
        answer = client.post("/api/query", {**body, "args": {"limit": limit}}).json()
        assert answer["status"] == "error", limit


def test_own_tokens(serve: Serve) -> None:
    clock = testing.Clock(NOW)
    environment = {"APP_SECRET": "a secret of 32 bytes or more, of this test"}
    app, client = serve("own_tokens.py", environment=environment, clock=clock)
    ada = {"email": "Ada@example.com", "password": "correct horse battery"}

    def me(access_token: str) -> Any:
        return client.get("/me", Authorization=f"Bearer {access_token}")

    assert client.post("/sign-up", {**ada, "name": "Ada", "password": "short"}).status == 400
    tokens = client.post("/sign-up", {**ada, "name": "Ada"}).json()
    assert me(tokens["accessToken"]).json()["email"] == "ada@example.com"
    assert client.post("/sign-up", {**ada, "name": "Eve"}).status == 409
    assert client.get("/me").headers["www-authenticate"] == "Bearer"

    signed_in = client.post("/sign-in", ada).json()
    for wrong in ({**ada, "password": "wrong"}, {**ada, "email": "eve@example.com"}):
        assert client.post("/sign-in", wrong).status == 401
    clock.advance(15 * 60)
    assert me(signed_in["accessToken"]).status == 401
    refreshed = client.post("/refresh", {"refreshToken": signed_in["refreshToken"]}).json()
    assert me(refreshed["accessToken"]).status == 200
    assert client.post("/refresh", {"refreshToken": signed_in["refreshToken"]}).status == 401, "works once"
    assert client.post("/sign-out", {"refreshToken": refreshed["refreshToken"]}).status == 204
    assert client.post("/refresh", {"refreshToken": refreshed["refreshToken"]}).status == 401
    kept = [client.post("/sign-in", ada).json() for _ in range(2)]
    mine = {"Authorization": f"Bearer {kept[0]['accessToken']}"}
    assert client.post("/revoke").status == 401
    assert client.post("/revoke", headers=mine).json() == {"ended": 3}, "that of the sign-up too"
    assert client.post("/revoke", headers=mine).json() == {"ended": 0}
    for each in kept:
        assert client.post("/refresh", {"refreshToken": each["refreshToken"]}).status == 401
    clock.advance(60)
    guesses = [client.post("/sign-in", {**ada, "password": f"guess {n}"}).status for n in range(11)]
    assert guesses == [401] * 10 + [429]
    stored = str(app.database.read(lambda t: [t.db.query(name).collect() for name in ("users", "sessions")]))
    assert "correct horse" not in stored and tokens["refreshToken"] not in stored
