# SPDX-License-Identifier: MIT
"""The routes of one method, as they are looked up: a few dictionary look-ups however many there are.

Exact paths by the path, patterns by their literal segments (one dictionary for each shape), prefixes by the
slashes of the path. Works on raw, percent-encoded paths.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import itemgetter
from typing import Any

from .route import Route


@lru_cache(maxsize=16)  # the table of each method is asked
def normal(path: str) -> str:
    """The path with `%c3` as `%C3`, which is the same (RFC 3986 §6.2.2.1): curl encodes é as `%c3%a9`."""
    for small in set(re.findall("%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])", path)) if "%" in path else ():
        path = path.replace(small, small.upper())
    return path


class _Shape:
    """The patterns of one method that have their parameters in the same places."""

    __slots__ = ("literals", "mask", "parameters", "routes")

    def __init__(self, mask: tuple[bool, ...]) -> None:
        self.mask = mask
        self.parameters = [number for number, is_parameter in enumerate(mask) if is_parameter]
        self.literals = itemgetter(*[number for number, is_parameter in enumerate(mask) if not is_parameter])
        self.routes: dict[Any, Route] = {}


class MethodTable:
    """All routes of one method.

    Attributes:
        exact: those of one whole path, by the path.
    """

    __slots__ = ("exact", "last_segment", "longest_prefix_chars", "most_segments", "prefixes", "shapes")

    def __init__(self) -> None:
        self.exact: dict[str, Route] = {}
        self.last_segment: dict[str, Route] = {}  # "/users/{id}", the commonest shape, by "/users"
        self.prefixes: dict[str, Route] = {}  # without the slash at the end
        self.shapes: dict[int, list[_Shape]] = {}  # by the number of segments
        self.longest_prefix_chars = 0
        self.most_segments = 0

    def shape(self, mask: tuple[bool, ...]) -> _Shape:
        """The shape with these parameters, made if need be; an earlier literal is tried earlier."""
        shapes = self.shapes.setdefault(len(mask), [])
        for shape in shapes:
            if shape.mask == mask:
                return shape
        shapes.append(_Shape(mask))
        shapes.sort(key=lambda shape: shape.mask)
        self.most_segments = max(self.most_segments, len(mask))
        return self.shape(mask)

    def find(self, path: str) -> Route | None:
        """The route of a raw path: exact, else a pattern, else the longest prefix."""
        route = self.exact.get(path)
        if route is not None:
            return route
        if "%" in path:
            path = normal(path)
            route = self.exact.get(path)
            if route is not None:
                return route
        head, slash, last = path.rpartition("/")
        route = self.last_segment.get(head)
        if route is not None and last and slash:
            return route
        if self.most_segments:
            segments = path.split("/", self.most_segments)
            for shape in self.shapes.get(len(segments), ()):
                route = shape.routes.get(shape.literals(segments))
                if route is None:
                    continue
                # A parameter can only be empty beside two slashes or behind the last one.
                if (last and "//" not in path) or all(map(segments.__getitem__, shape.parameters)):
                    return route
        # Only as far as the longest prefix reaches: a path of 100,000 slashes costs no more than another.
        if len(head) > self.longest_prefix_chars:
            head = path[: self.longest_prefix_chars + 1].rpartition("/")[0]
        while head:
            route = self.prefixes.get(head)
            if route is not None:
                return route
            head = head.rpartition("/")[0]
        return self.prefixes.get("") if path[:1] == "/" else None
