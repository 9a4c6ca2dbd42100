# SPDX-License-Identifier: MIT
from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from minihttp import auth
from minihttp.auth.caller import Caller
from minihttp.errors import AuthError


def ctx_of(identity: auth.Identity | None) -> Any:
    return SimpleNamespace(auth=Caller(lambda: identity))


@auth.required
def get(ctx: Any, id: str, *, limit: int = 10) -> tuple[str, int]:
    """Reads."""
    return id, limit


def test_it_runs_for_a_caller_who_is_known_only() -> None:
    assert get(ctx_of(auth.Identity("i", "s")), "x", limit=2) == ("x", 2)
    with pytest.raises(AuthError) as caught:
        get(ctx_of(None), "x")
    assert (caught.value.status, caught.value.code) == (401, "Unauthenticated")
    assert caught.value.headers == (("WWW-Authenticate", "Bearer"),)


def test_it_looks_like_what_it_wraps() -> None:
    assert (get.__name__, get.__doc__) == ("get", "Reads.")
    assert list(inspect.signature(get).parameters) == ["ctx", "id", "limit"]
