# SPDX-License-Identifier: MIT
"""A token is checked: Convex's matrix of tokens, the attacks on JWS, and what is remembered."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import auth
from minihttp.auth import authenticator as authenticator_module
from minihttp.auth.token import MAX_TOKEN_BYTES, encode_base64url
from minihttp.errors import AuthError, ConfigurationError, HTTPError
from tests.auth.makers import CLAIMS, ISSUER, JWKS, NOW, ONE, TWO, encode, make_token

SECRET = "a secret of the tests, 32 bytes or more"
BROKEN = "data:text/plain;charset=utf-8;base64,e30tLQ=="  # "{}--"


def providers() -> list[auth.IdentityProvider]:
    """As in Convex's own tests: one with an audience, one without, one broken, one of the app's own."""
    return [
        auth.jwt(issuer=ISSUER, jwks=JWKS, audience="App 1"),
        auth.jwt(issuer="https://no-aud.example.com", jwks=JWKS),
        auth.jwt(issuer="https://broken.example.com", jwks=BROKEN),
        auth.shared_secret("SECRET", "OLD_SECRET", issuer="https://me"),
    ]


class World:
    """An authenticator whose clock is set by hand."""

    def __init__(self, *more: Any) -> None:
        self.now = NOW
        self.authenticator = auth.Authenticator(
            [*providers(), *more],
            environment={"SECRET": SECRET, "OLD_SECRET": SECRET[::-1]},
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.now

    def refused(self, token: str) -> AuthError:
        with pytest.raises(AuthError) as caught:
            self.authenticator.identify(token)
        assert caught.value.status == 401
        return caught.value


@pytest.fixture
def world() -> World:
    return World()


def no_aud(**claims: Any) -> str:
    return make_token(iss="https://no-aud.example.com", **claims)


@pytest.mark.parametrize(
    "token",
    [
        make_token(),
        make_token(aud=["other", "App 1"]),
        make_token(iss=ISSUER + "/"),
        make_token(iss=ISSUER.removeprefix("https://")),
        make_token(header={"alg": "RS256", "kid": "two"}, key=TWO),
        no_aud(),
        no_aud(aud=None),
        make_token(iat=int(NOW) + 3),
        make_token(iat=None),
        make_token(iat=NOW + 4.5, exp=NOW + 5.5),
        make_token(nbf=NOW + 5),
        auth.sign({**CLAIMS, "iss": "https://me"}, SECRET),
        auth.sign({**CLAIMS, "iss": "https://me"}, SECRET[::-1]),
    ],
)
def test_good_tokens(world: World, token: str) -> None:
    identity = world.authenticator.identify(token)
    assert identity.subject == "alice" and identity.token_identifier == f"{identity.issuer}|alice"


NAMED = "[CustomJWT(issuer=https://issuer.example.com/1, app_id=App 1), CustomJWT(issuer=https://no-aud.example.com"
MATRIX = [
    (make_token(iss="https://unknown.example.com"), "NoAuthProvider", NAMED),
    (make_token(iss="https://unknown.example.com"), "NoAuthProvider", "app_id=none"),
    (make_token(iss=None), "InvalidAuthHeader", "issuer, the claim 'iss'"),
    (make_token(aud=None), "NoAuthProvider", "audience"),
    (make_token(aud="App 2"), "NoAuthProvider", "audience"),
    (make_token(aud=["App 2", "App 10"]), "NoAuthProvider", "audience"),
    (make_token(aud={"App 1": 1}), "NoAuthProvider", "audience"),
    (make_token(header={"alg": "RS256"}), "InvalidAuthHeader", "missing a 'kid'"),
    (make_token(header={"alg": "RS256", "kid": "three"}), "InvalidAuthHeader", "kid 'three'"),
    ("not.a.jwt", "InvalidAuthHeader", "three base64-encoded parts"),
    ("helloworld", "InvalidAuthHeader", "three base64-encoded parts"),
    (make_token(iss="https://broken.example.com"), "InvalidAuthHeader", "Invalid JWKS response body"),
    (make_token(iss="https://broken.example.com"), "InvalidAuthHeader", "not valid JSON"),
    (make_token(exp=NOW - 10), "InvalidAuthHeader", "Token expired 10 seconds ago"),
    (make_token(exp=NOW), "InvalidAuthHeader", "Token expired"),
    (make_token(iat=NOW + 10), "InvalidAuthHeader", "will be valid in 10 seconds"),
    (make_token(nbf=NOW + 6), "InvalidAuthHeader", "will be valid in 6 seconds"),
    (make_token(exp=None), "InvalidAuthHeader", "'exp'"),
    (make_token(sub=None), "InvalidAuthHeader", "'sub'"),
    (make_token(sub=7), "InvalidAuthHeader", "'sub'"),
]


@pytest.mark.parametrize(("token", "code", "text"), MATRIX)
def test_the_matrix_of_convex(world: World, token: str, code: str, text: str) -> None:
    error = world.refused(token)
    assert error.code == code and text in error.message
    challenge = dict(error.headers)["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="invalid_token", error_description="')
    assert challenge.count('"') == 4 and challenge.isascii() and challenge.isprintable()


PUBLIC_KEY = json.dumps(ONE.jwk()).encode()
HEAD = {"alg": "RS256", "kid": "one"}
HEADER, PAYLOAD, SIGNATURE = make_token().split(".")


def confused(secret: bytes) -> str:
    return auth.sign(CLAIMS, secret, kid="one")


ATTACKS = {
    "alg none": f"{encode({'alg': 'none', 'kid': 'one'})}.{PAYLOAD}.",
    "alg None": f"{encode({'alg': 'None', 'kid': 'one'})}.{PAYLOAD}.{SIGNATURE}",
    "alg nOnE and no signature": f"{encode({'alg': 'nOnE', 'kid': 'one'})}.{PAYLOAD}.",
    "no alg": make_token(header={"kid": "one"}),
    "alg is no text": make_token(header={"alg": ["RS256"], "kid": "one"}),
    "alg in small letters": make_token(header={"alg": "rs256", "kid": "one"}),
    "alg of a longer hash": make_token(header={"alg": "RS512", "kid": "one"}),
    "HS256 with the public key": confused(PUBLIC_KEY),
    "HS256 with the modulus": confused(ONE.n.to_bytes(256, "big")),
    "HS256 with an empty key": confused(b""),
    "RS256 where HS256 is declared": make_token(iss="https://me"),
    "crit": make_token(header={**HEAD, "crit": ["b64"], "b64": False}),
    "crit without names": make_token(header={**HEAD, "crit": []}),
    "alg twice": make_token(header='{"alg":"none","kid":"one","alg":"RS256"}'),
    "kid twice": make_token(header='{"kid":"two","alg":"RS256","kid":"one"}'),
    "sub twice": make_token(f'{{"iss":"{ISSUER}","aud":"App 1","exp":9e9,"sub":"bob","sub":"alice"}}'),
    "nested name twice": make_token(
        f'{{"iss":"{ISSUER}","aud":"App 1","exp":9e9,"sub":"a","x":{{"y":1,"y":2}}}}'
    ),
    "kid is a path": make_token(header={**HEAD, "kid": "../../dev/null"}),
    "kid is SQL": make_token(header={**HEAD, "kid": "one' OR '1'='1"}),
    "kid is a list": make_token(header={**HEAD, "kid": ["one"]}),
    "kid is null": make_token(header={**HEAD, "kid": None}),
    "kid with a NUL": make_token(header={**HEAD, "kid": "one\0"}),
    "jwk in the header": make_token(header={**HEAD, "jwk": TWO.jwk()}, key=TWO),
    "jku in the header": make_token(header={**HEAD, "jku": "http://127.0.0.1:9/"}, key=TWO),
    "x5u in the header": make_token(header={**HEAD, "x5u": "http://127.0.0.1:9/"}, key=TWO),
    "another key's signature": make_token(key=TWO),
    "a signature of other claims": f"{HEADER}.{encode({**CLAIMS, 'sub': 'bob'})}.{SIGNATURE}",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "two parts": f"{HEADER}.{PAYLOAD}",
    "four parts": f"{HEADER}.{PAYLOAD}.{SIGNATURE}.",
    "five parts, as in JWE": f"{HEADER}.{PAYLOAD}.{SIGNATURE}.{PAYLOAD}.{PAYLOAD}",
    "a short signature": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-4]}",
    "a signature with a zero before": f"{HEADER}.{PAYLOAD}.{encode_base64url(bytes(1) + ONE.sign(b''))}",
    "a long signature": f"{HEADER}.{PAYLOAD}.{SIGNATURE}AAAA",
    "a signature of zeros": f"{HEADER}.{PAYLOAD}.{encode_base64url(bytes(256))}",
    "a signature of ones": f"{HEADER}.{PAYLOAD}.{encode_base64url(bytes(255) + bytes([1]))}",
    "padding": f"{HEADER}.{PAYLOAD}.{SIGNATURE}==",
    "padding in the header": f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
    "the other base64": f"{HEADER}.{PAYLOAD}.+/{SIGNATURE[2:]}",
    "JSON serialization": json.dumps({"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE}),
    "a letter of neither base64": f"{HEADER[:-4]}#{HEADER[-4:]}.{PAYLOAD}.{SIGNATURE}",
    "a space in the signature": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:9]} {SIGNATURE[9:]}",
    "bits that stand for nothing": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}{chr(ord(SIGNATURE[-1]) + 1)}",
    "no header": f".{PAYLOAD}.{SIGNATURE}",
    "no payload": f"{HEADER}..{SIGNATURE}",
    "a line break": f"{HEADER}.{PAYLOAD}.{SIGNATURE}\n",
    "a space before": f" {HEADER}.{PAYLOAD}.{SIGNATURE}",
    "a letter that is not ASCII": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}Ａ",
    "a byte of latin-1": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}é",
    "a lone surrogate": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}\udc80",
    "UTF-16": make_token(encode_base64url("{}".encode("utf-16"))),
    "a byte order mark": make_token("\ufeff" + json.dumps(CLAIMS)),
    "text after the object": make_token(json.dumps(CLAIMS) + "{}"),
    "a list of claims": make_token(json.dumps([CLAIMS])),
    "claims are null": make_token("null"),
    "a lone surrogate in a claim": make_token(
        f'{{"iss":"{ISSUER}","aud":"App 1","exp":9e9,"sub":"\\ud800"}}'
    ),
    "exp NaN": make_token(f'{{"iss":"{ISSUER}","aud":"App 1","sub":"a","exp":NaN}}'),
    "exp Infinity": make_token(f'{{"iss":"{ISSUER}","aud":"App 1","sub":"a","exp":Infinity}}'),
    "exp 1e999": make_token(f'{{"iss":"{ISSUER}","aud":"App 1","sub":"a","exp":1e999}}'),
    "exp is enormous": make_token(exp=10**400),
    "exp is a text": make_token(exp="9999999999"),
    "exp is true": make_token(exp=True),
    "exp is a list": make_token(exp=[NOW + 9]),
    "nbf is a text": make_token(nbf="0"),
    "iat is enormous": make_token(iat=10**400),
    "deep JSON": make_token("[" * 5_000),
    "a long number": make_token('{"exp":' + "9" * 5_000 + "}"),
    "over 8 KiB": make_token(more="a" * MAX_TOKEN_BYTES),
    "empty": "",
    "dots": "..",
    "many dots": "." * 100_000,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_jws(world: World, name: str) -> None:
    error = world.refused(ATTACKS[name])
    assert error.code == "InvalidAuthHeader" and len(error.message) < 400


TOKEN = make_token(aud=["App 1"], email="alice@example.com")
WORLD = World()


@given(st.integers(0, len(TOKEN) - 1), st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_refused(at: int, bit: int) -> None:
    flipped = TOKEN[:at] + chr(ord(TOKEN[at]) ^ 1 << bit) + TOKEN[at + 1 :]
    WORLD.refused(flipped)
    assert WORLD.authenticator.identify(TOKEN).email == "alice@example.com"


@given(st.binary(max_size=80))
def test_hostile_claims_are_refused_or_read(data: bytes) -> None:
    signing_input = f"{encode({'alg': 'HS256'})}.{encode_base64url(data)}"
    signature = hmac.digest(SECRET.encode(), signing_input.encode(), "sha256")
    WORLD.refused(f"{signing_input}.{encode_base64url(signature)}")


def test_a_good_token_is_remembered_until_it_expires(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make_token(exp=NOW + 60)
    first = world.authenticator.identify(token)
    monkeypatch.setattr(authenticator_module, "_verify", None)  # a second check would fail
    world.now = NOW + 59.9
    assert world.authenticator.identify(token) is first
    monkeypatch.undo()
    world.now = NOW + 60
    assert "expired" in world.refused(token).message


def test_a_thousand_tokens_are_remembered_and_the_last_used_stay() -> None:
    world = World()
    kept = make_token()
    first = world.authenticator.identify(kept)
    for number in range(1_050):
        world.authenticator.identify(auth.sign({**CLAIMS, "iss": "https://me", "n": number}, SECRET))
        world.authenticator.identify(kept)
    assert world.authenticator.identify(kept) is first
    assert len(world.authenticator._remembered) == 1_000


def test_a_bad_token_is_not_remembered(world: World) -> None:
    token = make_token(iat=NOW + 10)
    world.refused(token)
    world.now += 5
    assert world.authenticator.identify(token).subject == "alice"


def test_two_providers_of_one_issuer() -> None:
    other = auth.jwt(issuer=ISSUER, jwks={"keys": [TWO.jwk("two")]}, audience="App 2")
    world = World(other)
    assert world.authenticator.identify(make_token()).subject == "alice"
    head = {"alg": "RS256", "kid": "two"}
    assert world.authenticator.identify(make_token(header=head, key=TWO, aud="App 2")).subject == "alice"
    assert "kid" in world.refused(make_token(aud="App 2")).message


def test_a_resolver_knows_what_no_other_provider_claims() -> None:
    asked: list[str] = []

    def opaque(token: str) -> auth.Identity | None:
        asked.append(token)
        return auth.Identity("https://keys", token, {"email": "a@b.c"}) if token.startswith("sk_") else None

    world = World(auth.resolver(opaque))
    assert world.authenticator.identify("sk_1").token_identifier == "https://keys|sk_1"
    assert world.authenticator.identify("sk_1").email == "a@b.c"
    assert world.refused("pk_1").code == "InvalidAuthHeader"
    unknown = make_token(iss="https://unknown.example.com")
    assert "Resolver(" in world.refused(unknown).message
    world.refused(make_token(exp=NOW - 10))  # of a known issuer: no resolver makes it good
    assert asked == ["sk_1", "sk_1", "pk_1", unknown]


def test_a_resolver_that_returns_something_else_is_the_programmers_mistake() -> None:
    wrong: Callable[[str], Any] = lambda token: {"sub": token}
    with pytest.raises(TypeError, match="must return an auth") as caught:
        World(auth.resolver(wrong)).authenticator.identify("x")
    assert caught.value.__context__ is None, "the log is about the resolver, not about the token"


def test_an_app_without_providers_knows_nobody() -> None:
    with pytest.raises(AuthError, match=r"configured provider \[none\]"):
        auth.Authenticator([]).identify(make_token())


def test_a_secret_that_is_not_there_is_503_and_a_short_one_stops_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = auth.shared_secret("SECRET", issuer="https://me")
    authenticator = auth.Authenticator([provider], environment={}, clock=lambda: NOW)
    assert authenticator.secret_names() == ["SECRET"]
    assert "SECRET is not set" in authenticator.problems()[0]
    with pytest.raises(HTTPError) as caught:
        authenticator.identify(auth.sign({**CLAIMS, "iss": "https://me"}, b"x"))
    assert caught.value.status == 503 and "SECRET" not in caught.value.message
    assert "SECRET is not set" in caplog.text
    with pytest.raises(ConfigurationError, match="SECRET has 5 bytes; a secret for HS256 has 32 or more"):
        auth.Authenticator([provider], environment={"SECRET": "short"})


def test_what_is_no_provider_is_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="takes providers such as"):
        auth.Authenticator(["https://issuer"])  # type: ignore[list-item]
