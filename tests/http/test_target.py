# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.errors import HTTPError
from minihttp.http.target import check_host, percent_decode, percent_encode, raw_path

SAME = [
    "/",
    "/a",
    "/a/",
    "//",
    "//a//b",
    "/a%2Fb",
    "/%C3%A9",
    "/a.b/.c/..d/e..",
    "/a;b=1,2/@:!$&'()*+",
    "/-._~",
    "/%25",
]


@pytest.mark.parametrize("path", SAME)
def test_the_path_is_kept_as_sent(path: str) -> None:
    for target in (path, f"{path}?a=/../b", f"http://host:80{path}?x"):
        assert raw_path({"REQUEST_URI": target, "PATH_INFO": "/other", "SCRIPT_NAME": ""}) == path
        assert raw_path({"RAW_URI": target, "PATH_INFO": "/other"}) == path


@pytest.mark.parametrize(
    ("path_info", "path"),
    [
        ("/a b", "/a%20b"),
        ("/\xc3\xa9", "/%C3%A9"),
        ("/100%", "/100%25"),
        ("/a", "/a"),
        ("/{x}", "/%7Bx%7D"),
        ("/?", "/%3F"),
    ],
)
def test_without_a_raw_target_path_info_is_encoded_again(path_info: str, path: str) -> None:
    assert raw_path({"PATH_INFO": path_info}) == path


def test_what_clients_should_have_encoded_is_encoded() -> None:
    assert (
        raw_path({"REQUEST_URI": '/{a}|"b"'}) == "/%7Ba%7D%7C%22b%22" == raw_path({"PATH_INFO": '/{a}|"b"'})
    )


@pytest.mark.parametrize(
    ("target", "script_name", "path"),
    [
        ("/app/x%2Fy?q", "/app", "/x%2Fy"),
        ("/caf%C3%A9/x", "/caf\xc3\xa9", "/x"),
        ("http://h/app/x", "/app", "/x"),
        ("/elsewhere", "/app", "/info"),  # rewritten by a middleware: PATH_INFO is what it means
        ("/apple", "/app", "/info"),
        ("http://host", "", "/"),
        ("/app", "/app", "/"),  # the mount itself, without a slash
        ("/app?q", "/app", "/"),
    ],
)
def test_mounted_below_script_name(target: str, script_name: str, path: str) -> None:
    assert raw_path({"REQUEST_URI": target, "SCRIPT_NAME": script_name, "PATH_INFO": "/info"}) == path


BAD = {
    "": "does not start", "health": "does not start", "*": "does not start", "host:80": "does not start",
    "/a/../b": "segment", "/..": "segment", "/./a": "segment", "/a/.": "segment", "/a/%2e%2E/b": "segment",
    "/.%2e": "segment", "/%2e": "segment", "/a\r\nb": "control", "/a\0": "control", "/a\x7f": "control",
    "/\xe9": "not ASCII", "/a%00": "control", "/a%0d%0a": "control", "/a%7F": "control", "/a%": "hex", "/a%zz": "hex",  # noqa: E501
    "/a%e": "hex", "/a/..%2Fb": "segment", "/a%2f.": "segment", "/%FF": "UTF-8", "/%C3": "UTF-8", "/%ED%A0%80": "UTF-8", "/a#b": "#", "/a b": "space",  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("target", BAD)
def test_bad_paths_are_400(target: str) -> None:
    with pytest.raises(HTTPError, match=BAD[target]) as caught:
        raw_path({"REQUEST_URI": target} if target else {"PATH_INFO": ""})
    assert caught.value.status == 400


@pytest.mark.parametrize("path_info", ["/a/../b", "/a\r\n", "/\xff", "*", "80", "/a\0b"])
def test_bad_path_info_is_400(path_info: str) -> None:
    with pytest.raises(HTTPError):
        raw_path({"PATH_INFO": path_info})


@given(st.text(st.characters(max_codepoint=0x10FFFF, exclude_categories=["Cs"])))
def test_encoding_and_decoding_are_inverse(text: str) -> None:
    assert percent_decode(percent_encode(text, encode_percent=True)) == text
    assert percent_decode(quote(text)) == text


@given(st.text(st.characters(max_codepoint=255)))
def test_any_target_is_a_safe_path_or_a_400(target: str) -> None:
    environ: dict[str, Any]
    for environ in ({"REQUEST_URI": "/" + target}, {"PATH_INFO": "/" + target}):
        try:
            path = raw_path(environ)
        except HTTPError as error:
            assert error.status == 400
        else:
            assert path.isascii() and path.isprintable() and path.startswith("/") and " " not in path
            decoded = unquote_to_bytes(path).decode()
            assert not {".", ".."} & set(decoded.split("/"))
            assert raw_path({"REQUEST_URI": path}) == path


@pytest.mark.parametrize(
    "host", ["example.com", "a_b.example:8080", "127.0.0.1:1", "[::1]:80", "xn--bcher-kva", "h."]
)
def test_valid_hosts(host: str) -> None:
    assert check_host({"HTTP_HOST": host}) == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a, b",
        "a,b",
        "a@b",
        "a/b",
        "a?b",
        "a#b",
        "a b",
        "a:b",
        "a:123456",
        "localhost:99999",
        "a:65536",
        ":",
        ":80",
        "[::1",
        "é",
        "a\r\n",
        "x" * 300,
    ],
)
def test_what_is_not_one_host_is_400(host: str) -> None:
    with pytest.raises(HTTPError) as caught:
        check_host({"HTTP_HOST": host})
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("host", "scheme", "authority"),
    [
        ("localhost:", "http", "localhost"),  # RFC 3986 §3.2.3 allows an empty port
        ("a.example:80", "http", "a.example"),
        ("a.example:80", "https", "a.example:80"),
        ("a.example:443", "https", "a.example"),
        ("[::1]:", "http", "[::1]"),
        ("[::1]:0443", "https", "[::1]"),
        ("a.example:65535", "http", "a.example:65535"),
    ],
)
def test_a_port_that_says_nothing_is_left_out(host: str, scheme: str, authority: str) -> None:
    assert check_host({"HTTP_HOST": host, "wsgi.url_scheme": scheme}) == authority


def test_host_is_required_by_http_1_1_only() -> None:
    server = {"SERVER_NAME": "localhost", "SERVER_PORT": "8080"}
    assert check_host({**server, "SERVER_PROTOCOL": "HTTP/1.0"}) == "localhost:8080"
    assert check_host({**server, "SERVER_NAME": "::1", "SERVER_PROTOCOL": "HTTP/1.0"}) == "[::1]:8080"
    with pytest.raises(HTTPError, match="Missing Host"):
        check_host({**server, "SERVER_PROTOCOL": "HTTP/1.1"})
