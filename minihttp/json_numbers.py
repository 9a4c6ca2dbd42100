# SPDX-License-Identifier: MIT
"""The numbers of JSON (RFC 8259 §6). Python's decoder also takes NaN and Infinity, and 1e400 for infinity."""

from __future__ import annotations

from typing import Any, Final


def _finite(text: str) -> float:
    value = float(text)
    if value - value:  # infinity less infinity is not a number; asked for each float of a body
        raise ValueError(f"number {text[:40]} is out of range")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


STRICT: Final[dict[str, Any]] = {"parse_float": _finite, "parse_constant": _refuse}
"""Keywords of `json.JSONDecoder`: then anything but a finite number is a ValueError."""
