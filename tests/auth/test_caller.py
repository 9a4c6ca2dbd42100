# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from minihttp import auth
from minihttp.auth.caller import NOBODY, Caller
from minihttp.errors import AuthError


def test_a_caller_is_found_out_once() -> None:
    asked = []
    caller = Caller(lambda: asked.append(1) or auth.Identity("i", "s"))  # type: ignore[func-returns-value]
    caller.prepare()
    assert caller.get_user_identity() is caller.get_user_identity()
    assert asked == [1]
    assert NOBODY.get_user_identity() is None


def test_what_fails_is_raised_when_somebody_asks_and_each_time() -> None:
    def fail() -> Any:
        raise AuthError("InvalidAuthHeader", "no")

    caller = Caller(fail)
    caller.prepare()
    for _ in range(2):
        with pytest.raises(AuthError, match="no"):
            caller.get_user_identity()
