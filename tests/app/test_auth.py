# SPDX-License-Identifier: MIT
"""Who calls, over HTTP: the function API, routes, nested calls, jobs, and Convex's own clients."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, ConfigurationError, HttpRouter, auth, testing
from tests.apps.identified import app as identified
from tests.auth.fake_provider import fake_provider
from tests.auth.makers import NOW, make_token
from tests.auth.test_authenticator import MATRIX
from tests.live import ROOT, Client, live

NODE_MODULES = Path(os.environ.get("CONVEX_NODE_MODULES", ROOT / "node_modules"))
ADMIN_KEY = "the-admin-key"


@pytest.fixture
def app() -> Iterator[App]:
    made = testing.in_memory(identified, clock=lambda: NOW, admin_key=ADMIN_KEY)
    yield made
    made.close()


@pytest.fixture
def client(app: App) -> Iterator[Client]:
    with live(app) as client:
        yield client


def call(client: Client, path: str, header: str | None = None, kind: str = "query") -> Any:
    headers = {} if header is None else {"Authorization": header}
    return client.request("POST", f"/api/{kind}", {"path": path, "args": {}}, headers)


TOKEN = make_token(name="Alice", email_verified=True, org={"id": "o1"})


def test_a_good_token_and_no_token(client: Client) -> None:
    found = call(client, "who:me", f"Bearer {TOKEN}").json()
    assert found["status"] == "success" and found["value"]["name"] == "Alice"
    assert found["value"]["tokenIdentifier"] == "https://issuer.example.com/1|alice"
    assert found["value"]["emailVerified"] is True and found["value"]["org"] == {"id": "o1"}
    assert call(client, "who:me").json()["value"] is None


@pytest.mark.parametrize(("token", "code", "text"), MATRIX)
def test_the_matrix_over_the_function_api(client: Client, token: str, code: str, text: str) -> None:
    reply = call(client, "who:me", f"Bearer {token}")
    assert (reply.status, reply.json()["code"]) == (401, code)
    assert text in reply.json()["message"]
    assert reply.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize(
    "token", [make_token(iat=NOW + 3), make_token(iat=None), make_token(aud=["x", "App 1"])]
)
def test_the_matrix_where_it_is_good(client: Client, token: str) -> None:
    assert call(client, "who:nested", f"Bearer {token}").json()["value"] == "alice"


def test_every_operation_knows_who_calls(client: Client) -> None:
    header = f"Bearer {TOKEN}"
    headers = {"Authorization": header}
    assert call(client, "who:nested", header).json()["value"] == "alice"
    assert call(client, "who:note", header, "mutation").json()["value"] == "alice"
    assert call(client, "who:act", header, "action").json()["value"] == ["alice", "alice", "alice"]
    assert client.request("GET", "/api/query?path=who:nested", headers=headers).json()["value"] == "alice"
    assert client.request("POST", "/api/run/who/nested", {}, headers).json()["value"] == "alice"
    ts = client.request("POST", "/api/query_ts").json()["ts"]
    body = {"path": "who:nested", "args": {}, "ts": ts}
    assert client.request("POST", "/api/query_at_ts", body, headers).json()["value"] == "alice"
    batch = client.request(
        "POST", "/api/query_batch", {"queries": [{"path": "who:nested", "args": {}}]}, headers
    )
    assert batch.json()["results"][0]["value"] == "alice"
    assert call(client, "who:mine", header).json()["value"] == "alice"
    assert call(client, "who:mine").json()["status"] == "error"


def test_no_identity_goes_into_jobs(app: App, client: Client) -> None:
    header = f"Bearer {TOKEN}"
    call(client, "who:schedule", header, "mutation")
    call(client, "who:act", header, "action")
    assert testing.run_jobs(app) == 2
    assert app.run_query("who:seen") == ["alice", None, None]


@pytest.mark.parametrize(
    "header", ["Bearer helloworld", "a", "Basic eDp5", f"Bearer {make_token(exp=NOW - 10)}"]
)
def test_a_bad_token_does_not_fail_a_route(client: Client, header: str) -> None:
    reply = client.request("GET", "/who", headers={"Authorization": header})
    assert reply.status == 200 and reply.json()["raw"] == header
    assert reply.json()["error"] in ("InvalidAuthHeader", "InvalidHeaderFailure")
    assert client.request("GET", "/count", headers={"Authorization": header}).json()["count"] == 0
    refused = client.request("GET", "/through", headers={"Authorization": header})
    assert refused.status == 401 and "www-authenticate" in refused.headers


def test_identity_in_routes(client: Client) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.request("GET", "/who", headers=headers).json()["subject"] == "alice"
    assert client.request("GET", "/through", headers=headers).json() == {
        "query": "alice",
        "mutation": "alice",
    }
    assert client.request("GET", "/who").json() == {"raw": None, "subject": None}
    assert client.request("GET", "/through").json() == {"query": None, "mutation": None}
    admin = client.request("GET", "/who", headers={"Authorization": acting()})
    assert admin.json()["subject"] == "bob"


def test_a_route_that_requires_an_identity(client: Client) -> None:
    reply = client.request("POST", "/required", {"a": 1}, {"Authorization": f"Bearer {TOKEN}"})
    assert reply.json() == {"subject": "alice", "body": {"a": 1}}
    for path, method in (("/required", "POST"), ("/required-too", "GET")):
        refused = client.request(method, path)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        refused = client.request(method, path, headers={"Authorization": "Bearer x"})
        assert refused.status == 401 and 'error="invalid_token"' in refused.headers["www-authenticate"]
    refused = client.request("POST", "/required", b"{", {"Content-Type": "application/json"})
    assert refused.status == 401, "the body is not read before it is known who calls"


def acting() -> str:
    fields = {"issuer": "https://me", "subject": "bob", "name": "Bób"}
    return f"Convex {ADMIN_KEY}:{base64.b64encode(json.dumps(fields).encode()).decode()}"


def test_the_admin_acts_as_somebody(client: Client) -> None:
    found = call(client, "who:me", acting()).json()["value"]
    assert (found["tokenIdentifier"], found["name"]) == ("https://me|bob", "Bób")
    assert call(client, "who:subject", acting()).json()["value"] == "bob"
    assert call(client, "who:me", f"Convex {ADMIN_KEY}").json()["value"] is None


def test_the_origin_in_functions(app: App, client: Client) -> None:
    found = client.get("/count").json()
    assert found["origin"] == found["here"] == client.url
    with_origin = testing.in_memory(identified, origin="https://api.example.com")
    assert with_origin.run_query("who:here") == "https://api.example.com"
    with_origin.close()


def test_keys_are_never_fetched_inside_a_transaction() -> None:
    """A handler's query waits for keys before it begins; the provider holds its answer meanwhile."""
    with fake_provider() as provider:
        believed = auth.oidc(provider.url, audience="App 1")
        app = testing.in_memory(identified, auth=[believed], clock=lambda: NOW)
        token = make_token(iss=provider.url)
        read, opened = app.database.read, []

        def watched(*args: Any, **options: Any) -> Any:
            opened.append(len(provider.asked))
            return read(*args, **options)

        app.database.read = watched  # type: ignore[method-assign]
        with live(app) as client:
            reply = client.request("GET", "/through", headers={"Authorization": f"Bearer {token}"})
            assert reply.json()["query"] == "alice"
            assert opened[-1] == len(provider.asked) == 2
            assert client.get("/_/ready").json() == {"status": "ok"}
        app.close()


def test_ready_says_that_a_provider_is_down(app: App) -> None:
    with fake_provider() as provider:
        provider.status = 500
        broken = testing.in_memory(
            identified, auth=[auth.oidc(provider.url, audience="App 1")], clock=lambda: NOW
        )
        with live(broken) as client:
            reply = call(client, "who:me", f"Bearer {make_token(iss=provider.url)}")
            assert (reply.status, reply.headers["retry-after"]) == (503, "10")
            ready = client.get("/_/ready")
            assert ready.status == 200 and "cannot be fetched" in ready.json()["problems"][0]
        broken.close()


def test_a_provider_that_is_wrong_stops_the_start() -> None:
    app = App(HttpRouter(), auth=["https://issuer"])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="takes providers such as"):
        app.prepare()
    short = App(HttpRouter(), auth=[auth.shared_secret("S", issuer="https://me")], environment={"S": "x"})
    with pytest.raises(ConfigurationError, match="S has 1 bytes"):
        short.check()
    missing = App(HttpRouter(), auth=[auth.shared_secret("S", issuer="https://me")], environment={})
    assert missing.missing_secrets() == [("", "S")]


@pytest.mark.parametrize("module", ["auth", "auth_config"])
def test_a_folder_exports_its_providers(module: str, tmp_path: Path) -> None:
    folder = tmp_path / f"backend_of_{module}"
    folder.mkdir()
    (folder / "http.py").write_text("from minihttp import HttpRouter\nhttp = HttpRouter()\n")
    source = "from minihttp import auth\nauth = [auth.shared_secret('S', issuer='https://me')]\n"
    (folder / f"{module}.py").write_text(source)
    app = App.from_package(folder)
    assert [str(provider) for provider in app.options.auth] == [
        "SharedSecret(issuer=https://me, app_id=none)"
    ]


def test_a_folder_whose_auth_module_has_only_functions(tmp_path: Path) -> None:
    folder = tmp_path / "backend_with_functions"
    folder.mkdir()
    (folder / "http.py").write_text("from minihttp import HttpRouter\nhttp = HttpRouter()\n")
    (folder / "auth.py").write_text("from minihttp import auth, query\n@query\ndef me(ctx): return 1\n")
    assert list(App.from_package(folder).options.auth) == []


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_MODULES / "convex").is_dir(), reason="npm install convex (CONVEX_NODE_MODULES)")
def test_the_npm_client(client: Client) -> None:
    refused = [{"token": token, "code": code, "text": text} for token, code, text in MATRIX]
    given = {
        "url": client.url,
        "modules": str(NODE_MODULES),
        "adminKey": ADMIN_KEY,
        "token": TOKEN,
        "refused": refused,
    }
    program = Path(__file__).with_name("auth_judge.mjs")
    judged = subprocess.run(
        ["node", str(program)], input=json.dumps(given), capture_output=True, text=True, timeout=60
    )
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout) == {"refused": len(MATRIX)}


def test_the_pypi_client(client: Client) -> None:
    http_client = pytest.importorskip("convex.http_client", reason="pip install convex")
    judge = http_client.ConvexHttpClient(client.url)
    assert judge.query("who:me", {}) is None
    judge.set_auth(TOKEN)
    assert judge.query("who:me", {})["name"] == "Alice"
    assert judge.mutation("who:note", {}) == "alice"
    for token, code, text in MATRIX:
        judge.set_auth(token)
        with pytest.raises(Exception) as caught:
            judge.query("who:me", {})
        assert code in str(caught.value) or text in str(caught.value)
    judge.clear_auth()
    assert judge.query("who:me", {}) is None
    judge.set_admin_auth(ADMIN_KEY)
    assert judge.query("who:subject", {}) is None
