# SPDX-License-Identifier: MIT
"""What a token costs: its first check and the ones after it, beside PyJWT with cryptography, in one run.

    python benchmarks/tokens.py

Each figure is the best of several interleaved rounds, in microseconds a token. PyJWT remembers no token, so
its figure stands beside both of ours. Peers that are not installed are left out.
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
from tests.auth.makers import JWKS, NOW, make_token

ROUNDS, SECONDS = 5, 0.3
SECRET = "a secret of the benchmark, 32 bytes or more"


def main() -> None:
    rs256 = make_token()
    claims = {"iss": "https://me", "sub": "alice", "aud": "App 1", "exp": NOW * 2}
    hs256 = auth.sign(claims, SECRET)
    providers = [
        auth.jwt(issuer="https://issuer.example.com/1", jwks=JWKS, audience="App 1"),
        auth.shared_secret("SECRET", issuer="https://me", audience="App 1"),
    ]
    authenticator = auth.Authenticator(providers, environment={"SECRET": SECRET}, clock=lambda: NOW)

    def first(token: str) -> None:
        authenticator._remembered.clear()
        authenticator.identify(token)

    cases: dict[str, Callable[[], Any]] = {
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
        print(f"{name:30} {best[name] * 1e6:8.1f} µs")
    print(json.dumps({"python": sys.version.split()[0]}))


def measure(check: Callable[[], Any]) -> float:
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        check()
        count += 1
    return (time.perf_counter() - began) / count


if __name__ == "__main__":
    main()
