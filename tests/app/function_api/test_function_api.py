# SPDX-License-Identifier: MIT
"""The wire format of `docs/convex.md` §7, byte for byte where it matters."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from typing import Any
from urllib.parse import quote

import pytest

from minihttp import App, HttpRouter, Response
from minihttp.errors import RouteError
from tests.app.function_api.conftest import ADMIN_KEY
from tests.live import Client, Reply, live

ADMIN = {"Authorization": f"Convex {ADMIN_KEY}"}
CONVEX = {"Convex-Client": "npm-1.48.0"}


def call(client: Client, kind: str, path: str, args: Any = None, headers: Any = None, **more: Any) -> Reply:
    body = {"path": path, "args": {} if args is None else args, **more}
    return client.request("POST", f"/api/{kind}", body, headers)


def refused(reply: Reply) -> tuple[int, str]:
    body = reply.json()
    assert set(body) == {"code", "message"}, body
    return reply.status, body["code"]


def test_a_query_a_mutation_and_an_action(client: Client) -> None:
    sent = call(client, "mutation", "messages:send", {"body": "hi", "author": "ada"}).json()
    assert sent["status"] == "success"
    [message] = call(client, "query", "messages:list_messages", {"author": "ada"}).json()["value"]
    assert (message["_id"], message["body"]) == (sent["value"], "hi")
    assert call(client, "action", "messages:act", {"value": [1, "x"]}).json()["value"] == [1, "x"]


def test_arguments_come_as_an_object_or_a_list_of_one(client: Client) -> None:
    for args in ({"value": 1}, [{"value": 1}]):
        assert call(client, "query", "messages:echo", args).body == b'{"status":"success","value":1.0}'
    for args in ([], [{}, {}], [1], 1, "x"):
        reply = call(client, "query", "messages:echo", args)
        assert reply.status == 200
        assert reply.json()["status"] == "error"
        assert "single object" in reply.json()["errorMessage"]


def test_names(client: Client) -> None:
    for path in ("dir/messages", "dir/messages:default", "dir/messages.js:default"):
        assert call(client, "query", path).json()["value"] == "the default"
    assert call(client, "query", "dir/messages:other").json()["value"] == "the other"


def test_a_query_by_get(client: Client) -> None:
    args = quote(json.dumps({"value": {"a": [1]}}))
    assert client.get(f"/api/query?path=messages:echo&args={args}").json()["value"] == {"a": [1.0]}
    assert client.get("/api/query?path=dir/messages").json()["value"] == "the default"
    assert refused(client.get("/api/query?path=messages:echo&args={")) == (400, "BadJsonBody")
    assert refused(client.get("/api/query")) == (400, "BadJsonBody")
    assert client.get("/api/mutation?path=messages:send").status == 405


VALUES = [  # value on the wire, encoded and clean
    ('{"$integer":"AQAAAAAAAAA="}', '{"$integer":"AQAAAAAAAAA="}', '"1"'),
    ("1", "1.0", "1.0"),
    ("1.5", "1.5", "1.5"),
    ("-0.0", '{"$float":"AAAAAAAAAIA="}', "-0.0"),
    ('{"$float":"AAAAAAAA+H8="}', '{"$float":"AAAAAAAA+H8="}', '"NaN"'),
    ('{"$float":"AAAAAAAA8P8="}', '{"$float":"AAAAAAAA8P8="}', '"-Infinity"'),
    ('{"$bytes":"AQID"}', '{"$bytes":"AQID"}', '"AQID"'),
    ('{"b":1,"a":null}', '{"a":null,"b":1.0}', '{"a":null,"b":1.0}'),
    ('"\\ud83d\\ude00"', '"😀"', '"😀"'),
]


@pytest.mark.parametrize(("value", "encoded", "clean"), VALUES)
def test_formats(client: Client, value: str, encoded: str, clean: str) -> None:
    if value == "-0.0":  # a plain −0 may not come in that way from the clients; minihttp takes it as it is
        value = '{"$float":"AAAAAAAAAIA="}'
    for name, expected in (
        ("convex_encoded_json", encoded),
        ("convex_json", encoded),
        ("json", clean),
        ("convex_clean_json", clean),
    ):
        body = f'{{"path":"messages:echo","args":{{"value":{value}}},"format":"{name}"}}'.encode()
        reply = client.post("/api/query", body, {"Content-Type": "application/json"})
        assert reply.text == f'{{"status":"success","value":{expected}}}', name


def test_the_default_format_depends_on_the_client(client: Client) -> None:
    value = {"value": {"$integer": "AQAAAAAAAAA="}}
    assert call(client, "query", "messages:echo", value).json()["value"] == "1"
    assert call(client, "query", "messages:echo", value, CONVEX).json()["value"] == value["value"]


@pytest.mark.parametrize("bad", [{"$integer": "AQ=="}, {"$float": "AAAAAAAA8D8="}, {"$bytes": 1}, {"$x": 1}])
def test_values_that_are_none(client: Client, bad: Any) -> None:
    reply = call(client, "query", "messages:echo", {"value": bad})
    assert reply.json()["status"] == "error"
    assert next(iter(bad)).strip("$").title() in reply.json()["errorMessage"].title()


def test_transport_errors(client: Client) -> None:
    json_type = {"Content-Type": "application/json"}
    assert refused(client.post("/api/query", b"{}", {"Content-Type": "text/plain"})) == (400, "BadJsonBody")
    assert refused(client.post("/api/query", b"{}")) == (400, "BadJsonBody")
    for body in (b"{", b"", b"[]", b"1", b"{}", b'{"path": 1}', b"[" * 100_000, b"\xff"):
        assert refused(client.post("/api/query", body, json_type)) == (400, "BadJsonBody"), body[:20]
    assert refused(call(client, "query", "messages:echo", format="xml")) == (400, "BadFormat")
    for path in ("", "a b", "a:b:c", "../x", "a//b", "messages:1x", "messages:"):
        assert refused(call(client, "query", path)) == (400, "BadConvexFunctionIdentifier"), path
    assert client.get("/api/nothing").status == 404


def test_a_body_over_the_limit(judged: Any, client: Client) -> None:
    size = judged.limits.max_args_bytes + 3_000
    reply = call(client, "query", "messages:echo", {"value": "x" * size})
    assert reply.status == 413


def test_authorization(client: Client) -> None:
    for header, expected in {
        "Bearer some.jwt.here": (401, "NoAuthProvider"),
        "Convex wrong": (401, "InvalidAuthHeader"),
        "Basic eDp5": (401, "InvalidAuthHeader"),
        "x": (401, "InvalidHeaderFailure"),
    }.items():
        reply = call(client, "query", "messages:echo", {"value": 1}, {"Authorization": header})
        assert refused(reply) == expected, header


def test_internal_functions_do_not_exist_for_the_public(client: Client) -> None:
    hidden = call(client, "query", "messages:secret").json()
    missing = call(client, "query", "messages:secreT").json()

    def shape(outcome: Any) -> str:
        return re.sub(r"[0-9a-f]{16}", "ID", json.dumps(outcome)).replace("secreT", "secret")

    assert shape(hidden) == shape(missing)
    assert "Could not find public function for 'messages:secret'." in hidden["errorMessage"]
    # nor may the wrong kind tell that it is there
    assert shape(call(client, "mutation", "messages:secret").json()) == shape(missing)
    assert call(client, "query", "messages:secret", headers=ADMIN).json()["value"] == "only for the admin"
    identity = {"Authorization": f"Convex {ADMIN_KEY}:eyJhIjoxfQ=="}
    assert call(client, "query", "messages:secret", headers=identity).json()["status"] == "success"


def test_the_wrong_kind(development: Client) -> None:
    message = call(development, "query", "messages:send", {"body": 1}).json()["errorMessage"]
    assert "Trying to execute messages:send as Query, but it is defined as Mutation." in message


def test_run_by_path(client: Client) -> None:
    assert client.post("/api/run/messages/echo", {"args": {"value": "x"}}).json()["value"] == "x"
    assert client.post("/api/run/dir/messages/other", {"args": {}}).json()["value"] == "the other"
    assert client.post("/api/run/messages/send", {"args": {"body": "x"}}).json()["status"] == "success"
    for path in ("/api/run/echo", "/api/run/", "/api/run/messages/"):
        assert refused(client.post(path, {"args": {}})) == (400, "MissingIdentifier"), path


def test_function_is_for_the_admin(client: Client) -> None:
    body = {"path": "messages:secret", "args": {}}
    assert refused(client.request("POST", "/api/function", body)) == (401, "InvalidAuthHeader")
    reply = client.request("POST", "/api/function", body, ADMIN)
    assert reply.json() == {"status": "success", "value": "only for the admin"}
    elsewhere = client.request("POST", "/api/function", {**body, "componentPath": "child"}, ADMIN)
    assert refused(elsewhere) == (400, "ComponentNotFound")


def test_a_batch_sees_one_state(client: Client) -> None:
    queries = [
        {"path": "messages:echo", "args": {"value": 1}},
        {"path": "messages:crash", "args": {}},
        {"path": "messages:echo", "args": [{"value": math.pi}]},
    ]
    results = client.post("/api/query_batch", {"queries": queries}).json()["results"]
    assert [result["status"] for result in results] == ["success", "error", "success"]
    assert refused(client.post("/api/query_batch", {"queries": 1})) == (400, "BadJsonBody")
    assert refused(client.post("/api/query_batch", {"queries": [1]})) == (400, "BadJsonBody")
    mutation = {"path": "messages:send", "args": {"body": 1}}
    [result] = client.post("/api/query_batch", {"queries": [mutation]}).json()["results"]
    assert result["status"] == "error"


def test_queries_at_a_timestamp_see_that_state(client: Client) -> None:
    call(client, "mutation", "messages:count", {"name": "a"})
    ts = client.post("/api/query_ts").json()["ts"]
    assert len(base64.b64decode(ts)) == 8
    call(client, "mutation", "messages:count", {"name": "a"})

    def at(ts: str) -> Reply:
        body = {"path": "messages:counted", "args": {"name": "a"}, "ts": ts}
        return client.post("/api/query_at_ts", body)

    assert [at(ts).json()["value"] for _ in range(3)] == [1, 1, 1]
    later = client.post("/api/query_ts").json()["ts"]
    assert at(later).json()["value"] == 2
    order = [struct.unpack("<Q", base64.b64decode(text))[0] for text in (ts, later)]
    assert order == sorted(order)
    assert refused(at(base64.b64encode(struct.pack("<Q", 7)).decode())) == (400, "SnapshotTooOld")
    for bad in ("", "x", "AAAA", None, 5):
        assert refused(at(bad)) == (400, "BadJsonBody"), bad


def test_errors_in_production_say_nothing(client: Client) -> None:
    for path in ("messages:crash", "messages:lie", "messages:stray"):
        outcome = call(client, "query", path).json()
        assert re.fullmatch(r"\[Request ID: [0-9a-f]{16}\] Server Error", outcome.pop("errorMessage"))
        assert outcome == {"status": "error"}
    assert "logLines" not in call(client, "query", "messages:talk").json()


def test_errors_in_development_show_the_apps_frames(development: Client) -> None:
    message = call(development, "query", "messages:crash").json()["errorMessage"]
    first, second, frame = message.rstrip("\n").split("\n")
    assert re.fullmatch(r"\[Request ID: [0-9a-f]{16}\] Server Error", first)
    assert second == "Uncaught RuntimeError: the password is hunter2"
    assert re.fullmatch(r"    at crash \(.*judged\.py:\d+\)", frame)
    assert call(development, "query", "messages:talk").json()["logLines"] == ["[WARN] 'hello there'"]
    message = call(development, "query", "messages:stray").json()["errorMessage"]
    assert "FunctionNotFoundError: Could not find function for 'messages:nowhere'." in message
    message = call(development, "query", "messages:lie").json()["errorMessage"]
    assert "ReturnsValidationError: Value does not match validator." in message


def test_the_data_of_an_application_error_is_kept(client: Client, judged: Any) -> None:
    data = {"code": "SOLD_OUT", "left": {"$integer": "AAAAAAAAAAA="}}
    outcome = call(client, "mutation", "messages:refuse", {"data": data}, CONVEX).json()
    assert outcome["errorData"] == data
    assert re.fullmatch(r"\[Request ID: [0-9a-f]{16}\] Server Error", outcome["errorMessage"])
    assert call(client, "query", "messages:list_messages").json()["value"] == [], "it undid the mutation"


def test_argument_errors_name_path_value_and_validator(client: Client) -> None:
    outcome = call(client, "mutation", "messages:count", {"name": 5}).json()
    message = outcome["errorMessage"]
    for line in (
        "ArgumentValidationError: Value does not match validator.",
        "Path: .name",
        "Validator: v.string()",
    ):
        assert line in message


def test_cors_is_mirrored(client: Client) -> None:
    ask = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, convex-client",
    }
    preflight = client.request("OPTIONS", "/api/query", headers=ask)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-credentials" not in preflight.headers
    assert preflight.headers["access-control-allow-headers"] == "content-type, convex-client"
    assert preflight.headers["access-control-max-age"] == "86400"
    for reply in (
        call(client, "query", "messages:echo", {"value": 1}, {"Origin": "https://a.example"}),
        call(client, "query", "", headers={"Origin": "https://a.example"}),
    ):
        assert reply.headers["access-control-allow-origin"] == "https://a.example"
        assert "Origin" in reply.headers["vary"]


def ours(ctx: Any, request: Any) -> Response:
    return Response("the user's")


def test_the_users_prefix_gives_way_and_an_exact_route_is_refused(tmp_path: Any) -> None:
    http = HttpRouter()
    http.route(path_prefix="/api/", method="POST", handler=ours)
    http.route(path="/api/{name}", method="POST", handler=ours)
    app = App(http, data=tmp_path / "data", workers=0)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/query",
        "HTTP_HOST": "x",
        "wsgi.url_scheme": "http",
        "CONTENT_LENGTH": "0",
    }
    status: list[str] = []
    assert b"BadJsonBody" in b"".join(app(environ, lambda line, headers: status.append(line)))
    assert b"the user's" in b"".join(app({**environ, "PATH_INFO": "/api/mine"}, lambda *a: None))
    app.close()

    http = HttpRouter()
    http.route(path="/api/mutation", method="POST", handler=ours)
    with pytest.raises(RouteError, match=r"POST /api/mutation is taken.*test_function_api\.py:\d+"):
        App(http, data=tmp_path / "data").open()
    app = App(http, data=tmp_path / "data", function_api=False, workers=0)
    assert b"the user's" in b"".join(app({**environ, "PATH_INFO": "/api/mutation"}, lambda *a: None))
    assert b"Not found" in b"".join(app({**environ, "PATH_INFO": "/api/query"}, lambda *a: None))
    app.close()


def test_version_and_name(client: Client) -> None:
    assert client.get("/version").status == 200
    assert client.get("/instance_name").status == 200
    assert client.get("/").status == 404, "a page in development says how to go on; elsewhere there is none"


@pytest.mark.parametrize("asked", ["content-type,\tx-a", "\t", "a b, content-type", ",,", "é"])
def test_a_preflight_may_ask_for_anything(client: Client, asked: str) -> None:
    ask = {"Origin": "https://a.example", "Access-Control-Request-Headers": asked}
    preflight = client.request("OPTIONS", "/api/query", headers=ask)
    assert preflight.status == 204
    allowed = preflight.headers["access-control-allow-headers"]
    assert all(part.strip() == part and " " not in part for part in allowed.split(", "))


def test_a_batch_has_a_limit(client: Client) -> None:
    query = {"path": "messages:echo", "args": {"value": 1}}
    assert client.post("/api/query_batch", {"queries": [query] * 100}).status == 200
    reply = client.post("/api/query_batch", {"queries": [query] * 101})
    assert reply.status == 400 and "limit is 100" in reply.json()["message"]


def test_every_reply_says_that_its_type_is_no_guess(client: Client) -> None:
    for reply in (call(client, "query", "messages:echo", {"value": 1}), call(client, "query", "no:thing")):
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert client.post("/api/query", b"{").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["no:function", "messages:internal_echo"])
def test_a_function_is_found_before_its_arguments_are_looked_at(client: Client, path: str) -> None:
    wrong = {"value": {"$integer": "not base64"}}
    message = call(client, "query", path, wrong, {"Convex-Client": "python-1"}).json()["errorMessage"]
    assert "Could not find public function" in message


def test_only_pages_of_named_origins_may_call() -> None:
    app = App(data=":memory:", workers=0, api_origins=["https://a.example"], consistent_queries=False)
    with live(app) as client:
        ask = {"Access-Control-Request-Method": "POST"}
        allowed = client.request("OPTIONS", "/api/query", headers={**ask, "Origin": "https://a.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        other = client.request("OPTIONS", "/api/query", headers={**ask, "Origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers
        assert client.post("/api/query_ts").status == client.post("/api/query_at_ts").status == 404


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (dict.fromkeys(map(str, range(1_025)), True), "too many fields (1025 > maximum number 1024)"),
        ([0] * 8_193, "Array length is too long (8193 > maximum length 8192)"),
        ([[], [[""] * 8_193]], "Array length is too long (8193 > maximum length 8192)"),
    ],
    ids=["fields", "elements", "inside"],
)
def test_arguments_are_bounded_as_documents_are(client: Client, value: Any, message: str) -> None:
    assert message in call(client, "query", "messages:echo", {"value": value}).json()["errorMessage"]


def test_arguments_may_be_as_large_as_documents(client: Client) -> None:
    for value in (dict.fromkeys(map(str, range(1_024)), True), [7.0] * 8_192):
        assert call(client, "query", "messages:echo", {"value": value}).json()["value"] == value
