# SPDX-License-Identifier: MIT
"""What a page is asked for by: the options that Convex's clients send, checked (`docs/convex.md`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import DocumentError, Refusal
from ..values import show

_NAMES = ("numItems", "cursor", "endCursor", "maximumRowsRead", "maximumBytesRead", "id")


class PageOptions(NamedTuple):
    """Which page.

    Attributes:
        num_items: how many documents; it does not count where there is an `end_cursor`.
        cursor: where the page begins; None at the start.
        end_cursor: where it ends, inclusive; None for a page of `count` documents.
        max_rows, max_bytes: after reading so much the page ends early.
    """

    num_items: int
    cursor: Any
    end_cursor: Any
    max_rows: int
    max_bytes: int


def page_options(options: Any) -> PageOptions:
    """The options by Convex's names, those of a value None left out; DocumentError for a wrong one.

    `id`, by which clients tell pages apart, says nothing here.
    """
    if not isinstance(options, Mapping):
        message = f"`options` must be an object with `numItems`. Received `{show(options)}`."
        raise DocumentError("InvalidArgument", message).refusing(options)
    unknown = [name for name in options if name not in _NAMES]
    if unknown:
        raise DocumentError(
            "InvalidArgument", f"{show(unknown[0])} is not one of `options`: {', '.join(_NAMES)}"
        ).refusing(unknown[0])
    count = _positive(options, "numItems")
    if count == 0:
        message = "Must request at least 1 document while paginating"
        raise DocumentError("InvalidArgument", message).refusing(options["numItems"])
    limits = [
        _positive(options, name) or 1 if options.get(name) is not None else sys.maxsize
        for name in ("maximumRowsRead", "maximumBytesRead")
    ]
    return PageOptions(count, options.get("cursor"), options.get("endCursor"), limits[0], limits[1])


def _positive(options: Mapping[str, Any], name: str) -> int:
    value = options.get(name)
    shown = show(value) if name in options else "undefined"
    try:
        return whole_number(value, 0, f"`options.{name}` must be a positive number. Received `{shown}`.")
    except DocumentError as error:
        if name not in options:
            error.refusal = Refusal(options, name)
        raise


def whole_number(value: Any, least: int, message: str) -> int:
    """A whole number, perhaps a float's, of `least` or more; DocumentError with the message for another."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or value < least:
        raise DocumentError("InvalidArgument", message).refusing(value)
    return min(int(value), sys.maxsize)
