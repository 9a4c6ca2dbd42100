# SPDX-License-Identifier: MIT
"""What a token costs: its first check and the ones after it, beside PyJWT with cryptography, in one run.

    python benchmarks/tokens.py

Each figure is the best of many interleaved rounds, in microseconds of processor time a token. PyJWT remembers
no token, so its figure stands beside both of ours. Peers that are not installed are left out. RS256 is there
twice where `cryptography` is installed: by OpenSSL, and by Python's own arithmetic.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from minihttp import auth
from minihttp.auth import crypto
from tests.auth.makers import JWKS, NOW, make_token

ROUNDS, CALLS = 200, 20
ISSUER = "https://issuer.example.com/1"
SECRET = "a secret of the benchmark, 32 bytes or more"


def main() -> None:
    rs256 = make_token()
    claims = {"iss": "https://me", "sub": "alice", "aud": "App 1", "exp": NOW * 2}
    hs256 = auth.sign(claims, SECRET)
    providers = [
        auth.jwt(issuer=ISSUER, jwks=JWKS, audience="App 1"),
        auth.shared_secret("SECRET", issuer="https://me", audience="App 1"),
    ]
    authenticator = auth.Authenticator(providers, environment={"SECRET": SECRET}, clock=lambda: NOW)
    crypto.is_installed = lambda: False
    plain = auth.Authenticator([auth.jwt(issuer=ISSUER, jwks=JWKS, audience="App 1")], clock=lambda: NOW)
    plain.identify(rs256)  # reads its keys

    def first(token: str, by: auth.Authenticator = authenticator) -> None:
        by._remembered.clear()
        by.identify(token)

    cases: dict[str, Callable[[], Any]] = {
        "RS256 minihttp without cryptography, first check": lambda: first(rs256, plain),
        "RS256 minihttp, first check": lambda: first(rs256),
        "RS256 minihttp, remembered": lambda: authenticator.identify(rs256),
        "HS256 minihttp, first check": lambda: first(hs256),
        "HS256 minihttp, remembered": lambda: authenticator.identify(hs256),
    }
    try:
        import jwt
    except ImportError:
        pass
    else:
        key = jwt.PyJWK(JWKS["keys"][0]).key
        options: dict[str, Any] = {"audience": "App 1", "options": {"verify_exp": False, "verify_iat": False}}
        cases["RS256 PyJWT"] = lambda: jwt.decode(rs256, key, algorithms=["RS256"], **options)
        cases["HS256 PyJWT"] = lambda: jwt.decode(hs256, SECRET, algorithms=["HS256"], **options)
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(ROUNDS):
        for name, check in cases.items():
            best[name] = min(best[name], measure(check))
    for name in sorted(best, reverse=True):
        print(f"{name:50} {best[name] * 1e6:8.1f} µs")
    print(json.dumps({"python": sys.version.split()[0]}))


def measure(check: Callable[[], Any]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        check()
    return (time.process_time() - began) / CALLS


if __name__ == "__main__":
    main()
