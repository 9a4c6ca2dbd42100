# SPDX-License-Identifier: MIT
"""HTML by type: what is `Safe` is markup, any other value is text and is escaped.

`tag` builds one element; there is no other way to make markup, so nothing that a stranger sent becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\0": "\ufffd"}
)
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))


class Safe(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(value: object) -> Safe:
    """A value as markup that shows it."""
    return value if isinstance(value, Safe) else Safe(str(value).translate(_ESCAPES))


def join(children: Iterable[Any]) -> Safe:
    """Children one after another; None is left out, a list is joined."""
    return Safe("".join([_child(child) for child in children]))


def _child(child: Any) -> str:
    if child is None:
        return ""
    return join(child) if isinstance(child, (list, tuple)) else escape(child)


def tag(element: str, /, *children: Any, **attributes: Any) -> Safe:
    """One element: `tag("a", "Jobs", href="jobs", class_="on")`.

    Args:
        children: Safe markup, or values that are escaped; None is left out, lists are joined.
        attributes: a trailing `_` is cut, `_` inside is `-`; None and False are left out, True has no value.
    """
    parts = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Safe(opening if element in _VOID else f"{opening}{join(children)}</{element}>")
