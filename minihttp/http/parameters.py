# SPDX-License-Identifier: MIT
"""`Parameter`: what a route declares of its query, its path and its form, and what a handler reads by.

It reads whatever has `get` as `Fields` has it. The router alone goes without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar, overload

from ..errors import RouteError
from .convert import rule_of

T = TypeVar("T")
C = TypeVar("C")
D = TypeVar("D")


class Parameter(Generic[T]):
    """A query parameter, a path parameter or a form field: a route declares it, a handler reads by it.

        LIMIT = Parameter("limit", int, default=10, min=0, max=100)

        @http.get("/items", query=[LIMIT])
        def items(ctx, request):
            limit = request.query[LIMIT]  # an int; `request.path_params` and `request.form()` take one, too

    Args:
        name: as clients send it.
        type, min, max: as in `request.query.get`; `FilePart` is a file of a form.
        default: its value where it was not sent; without one it is required.
        repeated: a list of all its values, which may be empty.
        description: for people who read the OpenAPI document.

    Raises:
        RouteError: for what cannot be.
    """

    __slots__ = ("default", "description", "max", "min", "name", "repeated", "type")

    @overload
    def __init__(
        self: Parameter[C], name: str, type: Callable[..., C], *,
        min: Any = ..., max: Any = ..., description: str = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Parameter[C | D], name: str, type: Callable[..., C], *, default: D,
        min: Any = ..., max: Any = ..., description: str = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Parameter[list[C]], name: str, type: Callable[..., C], *, repeated: Literal[True],
        min: Any = ..., max: Any = ..., description: str = ...,
    ) -> None: ...  # fmt: skip
    def __init__(
        self,
        name: str,
        type: Any,
        *,
        default: Any = ...,
        repeated: bool = False,
        min: Any = None,
        max: Any = None,
        description: str = "",
    ) -> None:
        if not isinstance(name, str) or not name or not callable(type):
            raise RouteError(f'write Parameter("limit", int), not Parameter({name!r:.60}, {type!r:.60})')
        members = getattr(type, "__members__", {}).values()
        if hasattr(type, "__origin__") or not all(isinstance(member.value, str) for member in members):
            hint = "write default=None for Optional, repeated=True for list, an Enum of texts for Literal"
            raise RouteError(f"the parameter {name!r} cannot be a {type!r:.60}: {hint}")
        if repeated and default is not ...:
            raise RouteError(f"the parameter {name!r} is repeated: where it was not sent it is an empty list")
        self.name = name
        self.type = type
        self.default = default
        self.repeated = repeated
        self.min = min
        self.max = max
        self.description = description

    def __repr__(self) -> str:
        return f"<Parameter {self.name}: {rule_of(self.type, self.min, self.max)}>"

    @property
    def is_required(self) -> bool:
        return self.default is ... and not self.repeated

    def read(self, fields: Any) -> T:
        """Its value among the fields of a request.

        Raises:
            HTTPError: 400, where it is missing or does not fit.
        """
        rule: dict[str, Any] = {"type": self.type, "min": self.min, "max": self.max}
        if self.repeated:
            return fields.get_all(self.name, **rule)  # type: ignore[no-any-return]
        if self.is_required:
            fields[self.name]
        return fields.get(self.name, None if self.is_required else self.default, **rule)  # type: ignore[no-any-return]
