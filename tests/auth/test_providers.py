# SPDX-License-Identifier: MIT
"""Mistakes in a provider are found when it is made."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minihttp import auth
from minihttp.auth import crypto
from minihttp.auth.providers import named_provider
from minihttp.errors import AuthError, ConfigurationError
from tests.auth.makers import JWKS, NOW, make_token

MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "http": (lambda: auth.oidc("http://issuer.example.com", audience="a"), "is not an https URL"),
    "http of keys": (lambda: auth.jwt(issuer="i", jwks="http://example.com/j"), "is not an https URL"),
    "a path": (lambda: auth.jwt(issuer="i", jwks="keys.json"), "is not an https URL"),
    "no audience": (lambda: auth.oidc("https://i", audience=None), "needs an audience"),  # type: ignore[arg-type]
    "empty audience": (lambda: auth.oidc("https://i", audience=[]), "a text or several"),
    "odd audience": (lambda: auth.oidc("https://i", audience=7), "a text or several"),  # type: ignore[arg-type]
    "no issuer": (lambda: auth.jwt(issuer="", jwks=JWKS), "issuer of an auth provider"),
    "HS256": (lambda: auth.jwt(issuer="i", jwks=JWKS, algorithm="HS256"), "use auth.shared_secret"),
    "none": (lambda: auth.jwt(issuer="i", jwks=JWKS, algorithm="none"), "algorithm is one of RS256"),
    "nearly": (lambda: auth.jwt(issuer="i", jwks=JWKS, algorithm="RS255"), "did you mean 'RS256'"),
    "no keys": (lambda: auth.jwt(issuer="i", jwks={}), "not valid JSON of a JWK Set"),
    "other keys": (lambda: auth.jwt(issuer="i", jwks={"keys": []}), "it has no key for RS256"),
    "no file": (lambda: auth.jwks_file("/nowhere/keys.json"), "No such file"),
    "no secret": (lambda: auth.shared_secret(issuer="i"), "name of an environment variable"),
    "no function": (lambda: auth.resolver("x"), "auth.resolver takes a function"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_stops_the_start(name: str) -> None:
    make, text = MISTAKES[name]
    with pytest.raises(ConfigurationError, match=text):
        make()


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_without_cryptography_the_error_says_what_to_install(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=f"{algorithm} needs the package cryptography: pip install"):
        auth.oidc("https://issuer.example.com", audience="a", algorithm=algorithm)


def test_keys_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(JWKS), "utf-8")
    believed = auth.jwt(issuer="https://me", jwks=auth.jwks_file(path))
    authenticator = auth.Authenticator([believed], clock=lambda: NOW)
    assert authenticator.identify(make_token(iss="https://me")).subject == "alice"
    path.write_text("{", "utf-8")
    with pytest.raises(ConfigurationError, match=r"auth\.jwks_file\('.*keys\.json'\): "):
        auth.jwks_file(path)


BASE64 = base64.b64encode(json.dumps(JWKS).encode()).decode()


@pytest.mark.parametrize(
    "uri",
    [
        f"data:application/json;base64,{BASE64}",
        f"data:text/plain;charset=utf-8;base64,{BASE64}",
        f"data:,{json.dumps(JWKS)}",
    ],
)
def test_keys_of_a_data_uri(uri: str) -> None:
    authenticator = auth.Authenticator([auth.jwt(issuer="https://me", jwks=uri)], clock=lambda: NOW)
    assert authenticator.identify(make_token(iss="https://me")).subject == "alice"


@pytest.mark.parametrize("uri", ["data:", "data:;base64,!!!", "data:,{", "data:;base64,e30=", "data:,%ff"])
def test_a_broken_data_uri_refuses_its_tokens_and_is_reported(uri: str) -> None:
    authenticator = auth.Authenticator([auth.jwt(issuer="https://me", jwks=uri)], clock=lambda: NOW)
    assert "Invalid JWKS response body" in authenticator.problems()[0]
    with pytest.raises(AuthError, match="Invalid JWKS response body"):
        authenticator.identify(make_token(iss="https://me"))


def test_a_domain_may_leave_out_https() -> None:
    assert str(auth.oidc("issuer.example.com", audience=["a", "b"])) == (
        "OIDC(domain=https://issuer.example.com, app_id=a, b)"
    )


def test_a_provider_that_settings_name(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(JWKS), "utf-8")
    by_file = named_provider("https://me", None, str(path))
    authenticator = auth.Authenticator([by_file], clock=lambda: NOW)
    assert authenticator.identify(make_token(iss="https://me", aud=None)).subject == "alice"
    assert (
        str(named_provider("me.example.com", "app", None))
        == "OIDC(domain=https://me.example.com, app_id=app)"
    )
    assert "app_id=app" in str(named_provider("https://me", "app", "https://me.example.com/jwks.json"))


@pytest.mark.parametrize(
    "named", [(None, "app", None), (None, None, "x"), ("https://me", None, None), ("", "a", "")]
)
def test_settings_that_name_no_provider(named: Any) -> None:
    with pytest.raises(ConfigurationError, match="auth_issuer"):
        named_provider(*named)
