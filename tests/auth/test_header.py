# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import auth
from minihttp.auth.admin import AdminKey
from minihttp.auth.header import proves_nothing, read_header
from minihttp.errors import AuthError
from tests.auth.makers import JWKS, NOW, make_token

AUTHENTICATOR = auth.Authenticator(
    [auth.jwt(issuer="https://issuer.example.com/1", jwks=JWKS, audience="App 1")], clock=lambda: NOW
)


def read(header: str) -> tuple[bool, Any]:
    is_admin, caller = read_header(header, AUTHENTICATOR, AdminKey("an-admin-key"), "192.0.2.1")
    return is_admin, caller.get_user_identity()


def acting(fields: Any) -> str:
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return f"Convex an-admin-key:{base64.b64encode(text).decode()}"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer ", " Bearer"])
def test_a_bearer_token(scheme: str) -> None:
    is_admin, identity = read(f"{scheme} {make_token()}")
    assert is_admin is False and identity.subject == "alice"


def test_the_admin_key_alone_and_as_somebody() -> None:
    assert read("Convex an-admin-key") == (True, None)
    fields = {
        "issuer": "https://me",
        "subject": "é😀",
        "emailVerified": True,
        "tokenIdentifier": "x",
        "org": {"id": "o"},
    }
    is_admin, identity = read(acting(fields))
    assert is_admin is True and identity.token_identifier == "https://me|é😀"
    assert identity.email_verified is True and identity["org.id"] == "o"


WRONG = [
    ("", "InvalidHeaderFailure"),
    ("a", "InvalidHeaderFailure"),
    ("Bearer", "InvalidHeaderFailure"),
    ("Bearer ", "InvalidHeaderFailure"),
    ("Bearer helloworld", "InvalidAuthHeader"),
    (f"Bearer {make_token(iss='https://other')}", "NoAuthProvider"),
    ("Basic YTpi", "InvalidAuthHeader"),
    (make_token() + " Bearer", "InvalidAuthHeader"),
    ("Convex wrong", "InvalidAuthHeader"),
    ("Convex an-admin-ke\xff", "InvalidAuthHeader"),
    ("Convex an-admin-key2", "InvalidAuthHeader"),
    ("Convex wrong:e30=", "InvalidAuthHeader"),
    (acting({}), "InvalidAuthHeader"),
    (acting([]), "InvalidAuthHeader"),
    (acting({"issuer": 1, "subject": "a"}), "InvalidAuthHeader"),
    (acting(b"{"), "InvalidAuthHeader"),
    ("Convex an-admin-key:!!!", "InvalidAuthHeader"),
    ("Convex an-admin-key:é", "InvalidAuthHeader"),
]


@pytest.mark.parametrize(("header", "code"), WRONG)
def test_a_header_that_proves_nothing(header: str, code: str) -> None:
    with pytest.raises(AuthError) as caught:
        read(header)
    assert (caught.value.status, caught.value.code) == (401, code)


@given(st.text(max_size=40))
def test_any_header(header: str) -> None:
    with pytest.raises(AuthError):
        read(header)


@pytest.mark.parametrize(
    "header", ["", "a", "Basic YTpi", "Convex wrong", "Convex wrong:e30=", "Convex :e30="]
)
def test_what_is_refused_from_the_head(header: str) -> None:
    assert proves_nothing(header, AdminKey("an-admin-key"))


@pytest.mark.parametrize("header", ["Bearer x", "Convex an-admin-key", "convex  an-admin-key:e30="])
def test_what_has_to_be_looked_into(header: str) -> None:
    assert not proves_nothing(header, AdminKey("an-admin-key"))


def test_without_an_admin_key_nobody_is_admin() -> None:
    for header in ("Convex x", "Convex :e30=", "Convex :"):
        with pytest.raises(AuthError):
            read_header(header, AUTHENTICATOR, AdminKey(""), "192.0.2.1")


def test_an_identity_beside_the_admin_key_is_read_when_somebody_asks() -> None:
    is_admin, caller = read_header(acting({"a": 1}), AUTHENTICATOR, AdminKey("an-admin-key"), "192.0.2.1")
    assert is_admin
    with pytest.raises(AuthError, match="no issuer and subject"):
        caller.get_user_identity()
