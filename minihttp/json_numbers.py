# SPDX-License-Identifier: MIT
"""The numbers of JSON (RFC 8259 §6), read and written. Python also takes NaN and Infinity for some, and 1e400
for infinity.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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

# Looking for circles costs a fifth of the encoding; without it one ends in a RecursionError.
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


def _make_chunks() -> Callable[[Any, int], Iterable[str]]:
    """What `_encoder.encode` makes anew in each call: that costs as much as a small value does."""
    in_c: Any = getattr(json.encoder, "c_make_encoder", None)
    if in_c is None:
        return lambda value, level: (_encoder.encode(value),)
    escape = json.encoder.encode_basestring
    chunks: Callable[[Any, int], Iterable[str]]
    chunks = in_c(None, _encoder.default, escape, None, ":", ",", False, False, False)
    return chunks


_chunks = _make_chunks()


def compact(value: Any) -> str:
    """A value as JSON text without white space; a ValueError for a number that is not finite."""
    return "".join(_chunks(value, 0))
