# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from minihttp import auth

CLAIMS = {
    "iss": "https://me",
    "sub": "alice",
    "aud": "app",
    "exp": 9,
    "iat": 1,
    "email": "alice@example.com",
    "email_verified": True,
    "given_name": "Alice",
    "picture": "https://me/alice.png",
    "birthdate": "2000-01-01",
    "zoneinfo": "Europe/Berlin",
    "locale": "de",
    "roles": ["admin"],
    "org": {"id": "o1", "plan": {"name": "pro"}},
    "a.b": "with a dot",
}


@pytest.fixture
def identity() -> auth.Identity:
    return auth.Identity("https://me", "alice", CLAIMS)


def test_standard_claims_are_attributes(identity: auth.Identity) -> None:
    assert identity.token_identifier == "https://me|alice"
    assert (identity.issuer, identity.subject) == ("https://me", "alice")
    assert (identity.email, identity.email_verified, identity.given_name) == (
        "alice@example.com",
        True,
        "Alice",
    )
    assert (identity.picture_url, identity.birthday) == ("https://me/alice.png", "2000-01-01")
    assert (identity.timezone, identity.language) == ("Europe/Berlin", "de")
    assert identity.name is None and identity.phone_number_verified is None
    with pytest.raises(
        AttributeError, match=r"has no attribute 'roles'; other claims are identity\[\"roles\"\]"
    ):
        identity.roles  # noqa: B018


def test_other_claims_are_items(identity: auth.Identity) -> None:
    assert (
        identity["roles"] == ["admin"] and identity["org.plan.name"] == "pro" and identity["org.id"] == "o1"
    )
    assert identity["a.b"] == "with a dot" and identity["exp"] == 9 and identity["given_name"] == "Alice"
    assert identity.get("org.plan.price") is None and identity.get("roles.0") is None
    assert "email" in identity and "nickname" not in identity
    with pytest.raises(KeyError, match=r"org\.size"):
        identity["org.size"]


def test_as_a_dict_it_has_the_names_of_convex(identity: auth.Identity) -> None:
    assert dict(identity) == {
        "tokenIdentifier": "https://me|alice",
        "issuer": "https://me",
        "subject": "alice",
        "email": "alice@example.com",
        "emailVerified": True,
        "givenName": "Alice",
        "pictureUrl": "https://me/alice.png",
        "birthday": "2000-01-01",
        "timezone": "Europe/Berlin",
        "language": "de",
        "roles": ["admin"],
        "org": {"id": "o1", "plan": {"name": "pro"}},
        "a.b": "with a dot",
    }
    again = auth.Identity("https://me", "alice", dict(identity))
    assert again == identity and hash(again) == hash(identity) and again.given_name == "Alice"


def test_no_claim_takes_the_place_of_what_was_checked() -> None:
    claims = {
        "issuer": "x",
        "subject": "x",
        "tokenIdentifier": "x",
        "emailVerified": True,
        "email_verified": False,
    }
    identity = auth.Identity("https://me", "alice", claims)
    assert identity.token_identifier == "https://me|alice" and identity["subject"] == "alice"
    assert identity["issuer"] == "https://me" and identity.email_verified is False


def test_its_repr_shows_no_claims(identity: auth.Identity) -> None:
    assert repr(identity) == "Identity('https://me|alice')"
