# SPDX-License-Identifier: MIT
"""Decorators: what a function keeps of what they were told."""

from __future__ import annotations

from typing import Any

from minihttp import internal_mutation, query, v


def test_a_decorator_keeps_what_it_was_told() -> None:
    @internal_mutation(args={"name": v.string()}, returns=v.null())
    def create(ctx: Any, name: str) -> None:
        """Makes one."""

    assert (create.kind, create.public, create.name) == ("mutation", False, "create")
    assert create.__doc__ == "Makes one."
    assert create.location.startswith(f"{__file__}:")


def test_a_decorator_without_arguments() -> None:
    @query
    def ping(ctx: Any, **anything: Any) -> Any:
        return anything

    assert (ping.kind, ping.public) == ("query", True)
    assert ping.check_args({"a": 1}) == {"a": 1}
