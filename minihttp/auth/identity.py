# SPDX-License-Identifier: MIT
"""An identity: who a checked token speaks of, with its claims under Python's and Convex's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

# The standard claims (OpenID Connect Core §5.1) whose names differ in Convex.
_CONVEX_NAMES = {
    "given_name": "givenName",
    "family_name": "familyName",
    "middle_name": "middleName",
    "preferred_username": "preferredUsername",
    "profile": "profileUrl",
    "picture": "pictureUrl",
    "website": "websiteUrl",
    "email_verified": "emailVerified",
    "birthdate": "birthday",
    "zoneinfo": "timezone",
    "locale": "language",
    "phone_number": "phoneNumber",
    "phone_number_verified": "phoneNumberVerified",
    "updated_at": "updatedAt",
}
_OF_THE_TOKEN = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti"))  # RFC 7519 §4.1


class Identity(Mapping[str, Any]):
    """Who calls.

    Standard claims are attributes in snake_case, None where the token lacks them; every other claim is
    `identity["claim"]`, a nested one `identity["a.b"]`. As a mapping it is what `getUserIdentity()` gives in
    Convex: `dict(identity)` has camelCase names.

    Args:
        issuer: who vouches for the identity, such as "https://clerk.example.com".
        subject: the issuer's id of the user.
        claims: further claims, under their names in tokens or in Convex.

    Attributes:
        token_identifier: "issuer|subject": one user of one issuer, to be stored with what belongs to them.
    """

    __slots__ = ("_claims", "_fields")

    token_identifier: str
    issuer: str
    subject: str
    name: str | None
    given_name: str | None
    family_name: str | None
    middle_name: str | None
    nickname: str | None
    preferred_username: str | None
    profile_url: str | None
    picture_url: str | None
    website_url: str | None
    email: str | None
    email_verified: bool | None
    gender: str | None
    birthday: str | None
    timezone: str | None
    language: str | None
    phone_number: str | None
    phone_number_verified: bool | None
    address: Any
    updated_at: Any

    def __init__(self, issuer: str, subject: str, claims: Mapping[str, Any] | None = None) -> None:
        self._claims = dict(claims or {})
        shown = {name: value for name, value in self._claims.items() if name not in _OF_THE_TOKEN}
        standard = {_CONVEX_NAMES[name]: shown.pop(name) for name in _CONVEX_NAMES if name in shown}
        token_identifier = f"{issuer}|{subject}"
        who = {"tokenIdentifier": token_identifier, "issuer": issuer, "subject": subject}
        self._fields: dict[str, Any] = {**shown, **standard, **who}

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            if name in _CONVEX_NAMES or name in Identity.__annotations__:  # what is declared above
                first, *others = name.split("_")
                camel_case = first + "".join(map(str.capitalize, others))
                return self._fields.get(_CONVEX_NAMES.get(name, camel_case))
            raise AttributeError(
                f'an identity has no attribute {name!r}; other claims are identity["{name}"]'
            )

    def __getitem__(self, name: str) -> Any:
        if name in self._fields:
            return self._fields[name]
        if name in self._claims:
            return self._claims[name]
        value: Any = self._fields
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                raise KeyError(name)
            value = value[part]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        return hash(self._fields["tokenIdentifier"])

    def __repr__(self) -> str:
        return f"Identity({self._fields['tokenIdentifier']!r})"
