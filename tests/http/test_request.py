# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from minihttp.data.validators import v
from minihttp.errors import HTTPError, MissingFieldError
from minihttp.http.request import Request
from minihttp.http.route import Route
from minihttp.http.router import HttpRouter
from minihttp.limits import Limits
from minihttp.values import Int64
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


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/h?tags[]=a|{b}^`", "http://a.example/h?tags[]=a|{b}^`"),
        ('/h?q="x"&<>', 'http://a.example/h?q="x"&<>'),
        ("/h?", "http://a.example/h?"),
        ("/h??a=?", "http://a.example/h??a=?"),
        ("/h[1]%2f", "http://a.example/h[1]%2f"),
        ("http://other.example/h?a", "http://a.example/h?a"),
        ("/h?\xe9\t\r\n", "http://a.example/h?%E9%09%0D%0A"),  # nothing that forges a line
    ],
)
def test_the_url_is_what_was_sent(target: str, url: str) -> None:
    environ = make_environ("POST", HTTP_HOST="a.example", REQUEST_URI=target, QUERY_STRING="x")
    assert Request(environ, "/h").url == url


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


def test_ids_do_not_say_how_many_requests_there_are() -> None:
    ids = [int(make_request().id, 16) for _ in range(1_000)]
    steps = {later - before for before, later in pairwise(ids)}
    assert len(set(ids)) == 1_000 and len(steps) > 990
    assert 300 < sum(step > 0 for step in (later - before for before, later in pairwise(ids))) < 700


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


def test_json_of_senders_that_call_it_something_else() -> None:
    for content_type in ("text/plain; charset=UTF-8", "application/csp-report", None, FORM):
        assert make_request("POST", b"[1]", content_type).json(force=True) == [1]
    assert make_request("POST", b"[1]", "application/reports+json").json() == [1]
    assert status_of(lambda: make_request("POST", b"[", "text/plain").json(force=True)) == 400


def test_a_byte_order_mark_is_no_part_of_text_or_json() -> None:
    body = b'\xef\xbb\xbf{"a": 1}'
    assert make_request("POST", body, "application/json").json() == {"a": 1}
    assert make_request("POST", body, "text/plain").text() == '{"a": 1}'
    assert make_request("POST", body, "text/plain").bytes() == body
    twice = make_request("POST", b"\xef\xbb\xbf" * 2 + b"1", "application/json")
    assert status_of(twice.json) == 400


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
    payloads = json.loads(PAYLOADS.read_text())
    for payload in payloads.values() if isinstance(payloads, dict) else payloads:
        body = json.dumps(payload).encode()
        assert make_request("POST", body, "application/json").json() == payload


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


def test_a_form_that_is_not_in_utf_8() -> None:
    request = make_request("POST", b"charset=windows-1252&name=J%F6rg", FORM)
    assert request.form().get("name") == "J\ufffdrg"
    assert request.form(encoding="Windows-1252").get("name") == "Jörg"
    assert status_of(lambda: request.form(encoding="zlib_codec")) == 415
    part = b'--B\r\nContent-Disposition: form-data; name="\xe9"\r\n\r\n\xf6\r\n--B--'
    request = make_request("POST", part, "multipart/form-data; boundary=B")
    assert request.form(encoding="iso-8859-1").items() == [("é", "ö")]
    assert request.form(encoding="iso-8859-1") is request.form(encoding="ISO-8859-1")
    with pytest.raises(RuntimeError, match="read already"):
        request.form()


@pytest.mark.parametrize("boundary", ["a,b", "a b", '"a', "B; boundary=B", "", '"a"b'])
def test_a_boundary_that_cannot_be_read_is_said(boundary: str) -> None:
    request = make_request("POST", b"--B--", f"multipart/form-data; boundary={boundary}")
    with pytest.raises(HTTPError, match="boundary") as caught:
        request.form()
    assert caught.value.status == 400


@pytest.mark.parametrize("boundary", ["--a_BoUnDaRy7$", '"a,b c"', "=_Part_1.2", '"a;\\"b"'])
def test_any_boundary_of_visible_characters(boundary: str) -> None:
    meant = boundary.strip('"').replace('\\"', '"').encode()
    body = b'--%b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--%b--' % (meant, meant)
    assert make_request("POST", body, f"multipart/form-data; boundary={boundary}").form().get("a") == "1"


def test_form_faults() -> None:
    assert status_of(make_request("POST", b"a&b&c", FORM, limits={"max_form_parts": 2}).form) == 400
    assert status_of(make_request("POST", b"a=12345", FORM, limits={"max_form_field_bytes": 4}).form) == 413
    assert status_of(make_request("POST", b"a=12345", FORM, limits={"max_form_bytes": 6}).form) == 413
    assert make_request("POST", b"a=12345", FORM, limits={"max_form_bytes": 7}).form()["a"] == "12345"
    assert status_of(make_request("POST", b"{}", "application/json").form) == 415
    assert status_of(make_request("POST", b"a=1").form) == 415
    assert status_of(make_request("POST", b"--B--", "multipart/form-data").form) == 400


def test_a_route_that_takes_more_bytes_takes_larger_forms_and_more_elements() -> None:
    limits = Limits(max_form_bytes=10, max_json_bytes=10, max_json_elements=3)
    route = Route("POST", "/", lambda ctx, request: "", "")
    route.max_body_bytes = 40
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n%b\r\n--B--'

    def request(body: bytes, content_type: str) -> Request:
        return Request(make_environ("POST", body, content_type), "/", route, limits)

    assert request(b"a=" + b"1" * 38, FORM).form()["a"] == "1" * 38
    assert request(b"[%b0]" % (b"0," * 10), "application/json").json() == [0] * 11
    assert status_of(request(b"[%b0]" % (b"0," * 12), "application/json").json) == 413
    route.max_body_bytes = 2_000
    multipart = "multipart/form-data; boundary=B"
    assert request(part % (b"1" * 1_000), multipart).form()["a"] == "1" * 1_000
    route.max_body_bytes = None
    assert status_of(request(part % (b"1" * 1_000), multipart).form) == 413


@pytest.mark.parametrize(
    "unit",
    [b"[1.25,3.5,100.125]", json.dumps(dict.fromkeys(map(str, range(10)), "x")).encode(), b'{"x":1,"y":2}'],
)
def test_json_as_dense_as_honest_senders_write_it_is_taken(unit: bytes) -> None:
    body = b"[" + b",".join([unit] * (49_000 // (unit.count(b",") + 2))) + b"]"
    assert make_request("POST", body, "application/json").json()[-1] == json.loads(unit)


@pytest.mark.parametrize(
    ("unit", "least"), [(b"1", 8_192), (b"[]", 3_900), (b"{}", 2_500), (b'{"a":1}', 4_000)]
)
def test_json_of_hardly_anything_but_values_is_refused(unit: bytes, least: int) -> None:
    assert make_request("POST", _array(unit, least), "application/json").json()[-1] == json.loads(unit)
    with pytest.raises(
        HTTPError, match=r"The JSON has more than \d+ (elements|arrays and objects|objects)"
    ) as caught:
        make_request("POST", _array(unit, 24_000), "application/json").json()
    assert caught.value.status == 413


def _array(unit: bytes, count: int) -> bytes:
    return b"[" + b",".join([unit] * count) + b"]"


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


def test_json_by_a_validator() -> None:
    person = v.object({"name": v.string(), "age": v.optional(v.number()), "n": v.optional(v.int64())})

    def read(body: bytes) -> Any:
        return make_request("POST", body=body, content_type="application/json").json(person)

    assert read(b'{"name": "Ada", "age": null, "n": 7}') == {"name": "Ada", "n": Int64(7)}
    with pytest.raises(HTTPError) as caught:
        read(b'{"age": "x", "more": 1}')
    assert caught.value.status == 400 and caught.value.message == (
        'The body does not match: `name` is missing; `age` must be v.number(), not "x";'
        " `more` is not one of its fields"
    )
    for body in (b"[]", b"null", b'"x"', b"7"):
        with pytest.raises(HTTPError, match="The body does not match: it must be "):
            read(body)
    with pytest.raises(HTTPError, match="Invalid JSON"):
        read(b"{")


def test_state_is_the_requests_own() -> None:
    one, two = make_request("GET"), make_request("GET")
    one.state["user"] = "ada"
    assert one.state == {"user": "ada"} and two.state == {}
