# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from minihttp.auth.fetch import fetch_json, is_allowed
from tests.auth.fake_provider import FakeProvider


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example.com/x",
        "https://10.0.0.1",
        "http://127.0.0.1:8/x",
        "http://127.9.9.9",
        "http://[::1]/",
        "http://localhost",
    ],
)
def test_addresses_that_may_be_fetched(url: str) -> None:
    assert is_allowed(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "file:///etc/passwd",
        "ftp://localhost/",
        "data:,{}",
        "//a.example.com",
        "a.example.com",
        "https://",
        "https://a:b/",
        "",
    ],
)
def test_addresses_that_may_not(url: str) -> None:
    assert not is_allowed(url)
    with pytest.raises(OSError, match="is not an https URL"):
        fetch_json(url)


def test_a_reply_that_is_no_http(provider: FakeProvider) -> None:
    provider.closed = True
    with pytest.raises(OSError):
        fetch_json(f"{provider.url}/jwks.json")


def test_an_object_and_its_age(provider: FakeProvider) -> None:
    provider.jwks, provider.headers = {"a": 1}, {"Cache-Control": "public, max-age=600"}
    assert fetch_json(f"{provider.url}/x") == ({"a": 1}, 600.0)
