# SPDX-License-Identifier: MIT
"""Errors: whose fault, with which status, and what their messages help with and keep to themselves."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp import errors
from minihttp.errors import (
    ArgumentValidationError,
    AuthError,
    ConfigurationError,
    HTTPError,
    MinihttpError,
    MissingFieldError,
    RateLimitedError,
    Refusal,
    ValidationError,
    check_variable_name,
    did_you_mean,
    no_attribute,
    short,
)


def test_every_class_says_whose_fault_it_is() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    ours = [value for value in classes if issubclass(value, MinihttpError)]
    assert len(ours) > 20
    for each in ours:
        assert 400 <= each.status < 600 and each.code and each.__doc__
        assert each.status == 500 or each.status in (400, 404, 408, 503, 507)
    assert all(issubclass(each, MinihttpError) or not issubclass(each, Exception) for each in classes)


def test_a_status_comes_first_and_is_an_error() -> None:
    with pytest.raises(TypeError, match="the status comes first"):
        HTTPError("no such item", 404)  # type: ignore[arg-type]
    for status in (200, 399, 600):
        with pytest.raises(ValueError, match="outside the range"):
            HTTPError(status, "x")
    assert [HTTPError(status, "x").code for status in (404, 500)] == ["BadRequest", "InternalServerError"]


def test_a_missing_field_is_a_key_error_too() -> None:
    with pytest.raises(KeyError) as caught:
        raise MissingFieldError("name", "query parameter")
    assert str(caught.value) == "Missing required query parameter: name"


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (1.2, "2"), (60, "60")])
def test_a_rate_limit_says_when_to_come_again(seconds: float, header: str) -> None:
    assert RateLimitedError("k", seconds).headers == (("Retry-After", header),)


def test_a_challenge_holds_what_a_header_may_hold() -> None:
    [(name, value)] = AuthError("InvalidAuthHeader", 'no "\r\n\u2028' + "x" * 999).headers
    assert name == "WWW-Authenticate" and value.isprintable() and len(value) < 400
    assert value.startswith("Bearer error=\"invalid_token\", error_description=\"no '''")
    assert AuthError("Unauthenticated", "x").headers == (("WWW-Authenticate", "Bearer"),)


def test_a_refusal_goes_with_the_error_of_the_call() -> None:
    inner = ValidationError("is no number")
    inner.refusal = Refusal({"a": 1}, "a", "a: is no number")
    outer = ArgumentValidationError.of(inner)
    assert str(outer) == "ArgumentValidationError: is no number"
    refusal = outer.refusal
    assert refusal is not None and (refusal.value, refusal.field) == ({"a": 1}, "a")
    assert refusal.brief == "ArgumentValidationError: a: is no number"
    assert ArgumentValidationError.of(ValidationError("x")).refusal is None
    refused = ValidationError("x").refusing(5).refusal
    assert refused is not None and (refused.value, refused.field, refused.brief) == (5, None, "")


def test_what_was_meant() -> None:
    assert did_you_mean("colletc", ["collect", "take"]) == "; did you mean 'collect'?"
    assert did_you_mean("colletc", ["take"]) == ""
    assert did_you_mean("x" * 101, ["x" * 101]) == "", "the search costs the square of its length"


class Query:
    def with_index(self) -> None: ...


def test_javascripts_spelling_is_found() -> None:
    assert "did you mean 'with_index'?" in str(no_attribute(Query(), "withIndex"))
    assert str(no_attribute(Query(), "x", "write y")).endswith("'x': write y")
    assert "mean" not in str(no_attribute(Query(), "_with_index"))


def test_a_long_message_is_cut() -> None:
    assert short("x" * 5_000) == "x" * 4_000 + "… (5000 characters)"
    assert short("x") == "x"


@pytest.mark.parametrize(
    "name", ["whsec_abc", "sk_live_1", "A1B2C3D4E5F6G7H8I9", "with space", "1A", "", None, 5]
)
def test_a_secret_in_the_place_of_its_name_is_not_said_again(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes the name of an environment variable") as caught:
        check_variable_name(name, "here")
    assert not name or str(name) not in str(caught.value)
    assert check_variable_name("STRIPE_WEBHOOK_SECRET", "here") == "STRIPE_WEBHOOK_SECRET"
