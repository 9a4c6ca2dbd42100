# SPDX-License-Identifier: MIT
"""Limits: one number replaced by its name, and what cannot replace one."""

from __future__ import annotations

from typing import Any

import pytest

from minihttp.errors import ConfigurationError
from minihttp.limits import DEFAULT_LIMITS, Limits


def test_a_keyword_replaces_one_number_of_one_app() -> None:
    limits = Limits(max_json_depth=3).changed(query_seconds=0.5)
    changed = {name: value for name, value in limits.items() if dict(DEFAULT_LIMITS.items())[name] != value}
    assert changed == {"max_json_depth": 3, "query_seconds": 0.5}
    assert (Limits().max_json_depth, DEFAULT_LIMITS.max_json_depth) == (64, 64)


def test_a_name_that_is_no_limit_gets_a_suggestion() -> None:
    with pytest.raises(
        ConfigurationError, match="'max_body_byte' is not a limit; did you mean 'max_body_bytes'"
    ):
        Limits(max_body_byte=1)


@pytest.mark.parametrize("value", [0, -1, True, "5", None, float("nan")], ids=repr)
def test_a_limit_can_be_neither_switched_off_nor_something_else(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="limit max_json_depth must be a positive number"):
        Limits(max_json_depth=value)


@pytest.mark.parametrize("name", ["max_json_depth", "max_document_depth"])
def test_values_nest_no_deeper_than_python_can_follow(name: str) -> None:
    assert getattr(Limits(**{name: 250}), name) == 250
    with pytest.raises(ConfigurationError, match=f"limit {name} must be at most 250, not 251"):
        Limits(**{name: 251})
