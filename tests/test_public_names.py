# SPDX-License-Identifier: MIT
"""The public names: the same for the interpreter (on demand) and for type checkers (imported)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import minihttp


def test_type_checkers_see_what_is_loaded_on_demand() -> None:
    tree = ast.parse(Path(minihttp.__file__).read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {
        alias.asname: (node.module or "")
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert declared == {**minihttp._WHERE, **dict.fromkeys(minihttp._ROOMS, "")}
    for name in minihttp.__all__:
        assert getattr(minihttp, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'minihttp' has no attribute 'nope'"):
        minihttp.nope  # noqa: B018
