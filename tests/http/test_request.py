# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minihttp.errors import HTTPError, MissingFieldError
from minihttp.http.request import Request
from minihttp.http.router import HttpRouter
from minihttp.limits import Limits
from tests.http.environs import make_environ, make_request

FORM = "application/x-www-form-urlencoded"
PAYLOADS = Path(__file__).parents[3] / "shared" / "data" / "github_payloads.json"


def status_of(call: Any) -> int:
    with pytest.raises(HTTPError) as caught:
        call()
    return caught.value.status


def routed(sent: str, **route: Any) -> Request:
    http = HttpRouter()
    http.route(method="GET", handler=lambda ctx, request: None, **route)
    found = http.find(sent, "GET")
    assert found is not None
    return Request(make_environ("GET"), sent, found)


# ------------------------------------------------------------ target and head


def test_tail_and_parameters_are_decoded() -> None:
    request = routed("/files/a%2Fb/c%20d", path_prefix="/files/")
    assert (request.tail, request.path_params, request.path) == ("a/b/c d", {}, "/files/a%2Fb/c%20d")
    request = routed("/u/%C3%A9/p/a%2Fb", path="/u/{user}/p/{post}")
    assert (request.tail, request.path_params) == ("", {"user": "é", "post": "a/b"})
    assert routed("/x", path="/x").tail == "" and routed("/caf%C3%A9/x", path_prefix="/café/").tail == "x"
    assert make_request().tail == "" and make_request().path_params == {}


def test_query() -> None:
    request = make_request(QUERY_STRING="a=1&b=%20&a=2;3")
    assert request.query.get_all("a") == ["1", "2;3"] and request.query.get("b") == " "
    assert request.query is request.query
    assert status_of(lambda: make_request(QUERY_STRING="a=%zz").query) == 400
    assert status_of(lambda: make_request(QUERY_STRING="a&b&c", limits={"max_query_fields": 2}).query) == 400


def test_url_is_built_from_checked_parts() -> None:
    environ = make_environ("GET", HTTP_HOST="a.example:8080", QUERY_STRING="q=%3F?\xe9", SCRIPT_NAME="/app x")
    request = Request(environ, "/p%2Fq")
    assert request.url == "http://a.example:8080/app%20x/p%2Fq?q=%3F?%E9"
    assert Request(make_environ("GET", wsgi__url_scheme="https"), "/").url == "https://127.0.0.1/"
    environ = make_environ("GET", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"})
    assert "evil" not in Request(environ, "/").url and Request(environ, "/").url.startswith("http:")
    assert status_of(lambda: Request(make_environ("GET", HTTP_HOST="a@b/c?d"), "/").url) == 400


def test_the_head() -> None:
    request = make_request("PUT", b"", 'Text/Plain; Charset="UTF-8"', {"X-A": "1"}, REMOTE_ADDR="192.0.2.1")
    assert request.method == "PUT" and request.headers.get("x-a") == "1"
    assert (request.media_type, request.charset, request.remote_addr) == ("text/plain", "utf-8", "192.0.2.1")
    assert make_request().media_type == "" and make_request().charset is None


def test_the_id_is_the_servers_or_made_once() -> None:
    assert make_request(minihttp__request_id="0123456789abcdef").id == "0123456789abcdef"
    request = make_request()
    assert len(request.id) == 16 and int(request.id, 16) >= 0
    assert request.id == request.environ["minihttp.request_id"] == Request(request.environ, "/").id


# ------------------------------------------------------------ body


def test_the_body_may_be_read_again() -> None:
    request = make_request(body=b'{"a": 1}', content_type="application/json")
    assert request.bytes() == request.bytes() == b'{"a": 1}'
    assert request.text() == '{"a": 1}' and request.json() == request.json() == {"a": 1}


def test_a_streamed_body_is_gone() -> None:
    request = make_request(body=b"abc")
    assert request.body.read(1) == b"a"
    with pytest.raises(RuntimeError, match="read already"):
        request.bytes()
    request = make_request(body=b"--B--", content_type="multipart/form-data; boundary=B")
    request.body.read(1)
    with pytest.raises(RuntimeError, match="read already"):
        request.form()


def test_a_get_has_no_body() -> None:
    assert make_request("GET", b"ignored").bytes() == b"" and make_request("GET", b"x").text() == ""


@pytest.mark.parametrize("read", ["bytes", "text", "json", "form"])
def test_the_limit_holds_for_every_way_to_read(read: str) -> None:
    content_type = {"json": "application/json", "form": FORM}.get(read)
    request = make_request("POST", b"1" * 11, content_type, limits={"max_body_bytes": 10})
    assert status_of(getattr(request, read)) == 413
    request.environ |= {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}  # as when it comes in chunks
    chunked = Request(request.environ, "/", None, request.limits)
    assert status_of(getattr(chunked, read)) == 413


def test_a_route_may_have_its_own_limit() -> None:
    http = HttpRouter()
    http.route(path="/", method="POST", handler=lambda ctx, request: None, max_body=3)
    route = http.find("/", "POST")
    assert status_of(Request(make_environ(body=b"1234"), "/", route).bytes) == 413
    assert Request(make_environ(body=b"123"), "/", route, Limits(max_body_bytes=2)).bytes() == b"123"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        (None, "é😀".encode(), "é😀"),
        ("text/plain; charset=ISO-8859-1", b"\xe9", "é"),
        ("text/plain; charset=windows-1252", b"\x80", "€"),
        ("text/plain; charset=us-ascii", b"a", "a"),
    ],
)
def test_text(content_type: str | None, body: bytes, text: str) -> None:
    assert make_request("POST", body, content_type).text() == text


def test_text_in_a_wrong_or_unknown_charset() -> None:
    assert status_of(make_request("POST", b"\xff").text) == 400
    assert status_of(make_request("POST", b"\xe9", "text/plain; charset=ascii").text) == 400
    for charset in ("rot13", "idna", "zlib", "punycode", "x" * 10_000, "utf-7"):
        assert status_of(make_request("POST", b"a", f"text/plain; charset={charset}").text) == 415


# ------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        "application/json;a=b",
    ],
)
def test_json_media_types(content_type: str) -> None:
    assert make_request("POST", b"[1]", content_type).json() == [1]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/jsonp",
        "text/plain; application/json",
        "text/plain, application/json",  # two fields joined: CVE-2014-3137
        "application/json, text/plain",
        "application/x-www-form-urlencoded",
        "json",
        "text/json+xml",
        "text/json",
    ],
)
def test_anything_else_is_415(content_type: str | None) -> None:
    assert status_of(make_request("POST", b"[1]", content_type).json) == 415


def test_json_faults() -> None:
    def json_of(body: bytes, **limits: float) -> Any:
        return make_request("POST", body, "application/json", limits=limits).json

    with pytest.raises(HTTPError, match="line 2 column 1"):
        json_of(b'{"a":\n}')()
    assert status_of(json_of(b"")) == 400
    assert status_of(json_of(b"[[1]]", max_json_depth=1)) == 400
    assert json_of(b"[1]", max_json_depth=1)() == [1]
    with pytest.raises(HTTPError, match="Expected a JSON object, not array"):
        json_of(b"[1]")(expect=dict)
    with pytest.raises(MissingFieldError, match="Missing required field: name"):
        json_of(b"{}")()["name"]


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the real payloads are not beside this checkout")
def test_real_payloads_come_through() -> None:
    text = PAYLOADS.read_text()
    assert make_request("POST", text.encode(), "application/json").json() == json.loads(text)


# ------------------------------------------------------------ forms


def test_an_urlencoded_form() -> None:
    request = make_request("POST", b"a=1;b=2&c=%C3%A9&c=d+e", f"{FORM}; charset=utf-8")
    form = request.form()
    assert form.items() == [("a", "1;b=2"), ("c", "é"), ("c", "d e")] and form.get("c") == "é"
    assert request.form() is form and not request.closable
    request.close()


def test_a_form_after_bytes() -> None:
    request = make_request("POST", b"a=1", FORM)
    assert request.bytes() == b"a=1" and request.form().get("a") == "1"
    body = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B--'
    request = make_request("POST", body, "multipart/form-data; boundary=B")
    assert request.bytes() == body and request.form().get("a") == "1"


def test_form_faults() -> None:
    assert status_of(make_request("POST", b"a=%zz", FORM).form) == 400
    assert status_of(make_request("POST", b"a&b&c", FORM, limits={"max_form_parts": 2}).form) == 400
    assert status_of(make_request("POST", b"a=12345", FORM, limits={"max_form_field_bytes": 4}).form) == 413
    assert status_of(make_request("POST", b"{}", "application/json").form) == 415
    assert status_of(make_request("POST", b"a=1").form) == 415
    assert status_of(make_request("POST", b"--B--", "multipart/form-data").form) == 400


def test_close_frees_what_was_spooled() -> None:
    data = b"x" * 300_000
    body = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + data + b"\r\n--B--"
    request = make_request("POST", body, "multipart/form-data; boundary=B")
    assert not request.closable
    part: Any = request.form().get("f")
    assert request.closable and part.read() == data
    request.close()
    with pytest.raises(ValueError):
        part.seek(0)
        part.read()
