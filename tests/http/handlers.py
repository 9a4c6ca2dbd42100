# SPDX-License-Identifier: MIT
"""Handlers that fit, and functions that are none."""

from __future__ import annotations

from typing import Any

from minihttp import internal_mutation, internal_query, v


def fits(ctx: Any, request: Any) -> dict[str, Any]:
    return {}


@internal_mutation(args={"delivery": v.any()})
def on_event(ctx: Any, delivery: Any) -> None: ...


@internal_query(args={"delivery": v.any()})
def look(ctx: Any, delivery: Any) -> None: ...
