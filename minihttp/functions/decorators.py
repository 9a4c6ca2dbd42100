# SPDX-License-Identifier: MIT
"""`query`, `mutation`, `action` and their internal siblings: decorators that make functions.

`@query`, or `@query(args={…}, returns=…)`. What they return keeps the types of the handler's arguments and of
its result, so that `ctx.run_query(get, id=…)` is checked by a type checker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from .registry import ActionFunction, Args, MutationFunction, QueryFunction

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec, Protocol, TypeVar, overload

    from typing_extensions import Unpack

    from ..data.validators import Validator
    from .protocols import ActionCtx, MutationCtx, QueryCtx

    P = ParamSpec("P")
    R = TypeVar("R")


class FunctionOptions(TypedDict, total=False):
    """What each of the decorators takes.

    Attributes:
        args: a dict of validators by parameter name, or an object validator; without it anything is accepted.
        returns: the validator of the result; without it anything is returned.
        name: what clients of the function API call it, such as "getUserByEmail"; by default its own name.
        aliases: what clients call its arguments, with their names here: `{"clerkId": "clerk_id"}`.
    """

    args: Args
    returns: Validator | None
    name: str | None
    aliases: Mapping[str, str] | None


class _Decorator:
    __slots__ = ("make", "public")

    def __init__(self, make: Any, public: bool) -> None:
        self.make = make
        self.public = public

    def __call__(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        args: Args = None,
        returns: Validator | None = None,
        **names: Any,
    ) -> Any:
        """Make a function.

        Raises:
            FunctionError: for a handler that is async, or whose parameters do not fit `args`; for a name that
                cannot be, and an alias of no argument.
        """

        def make(handler: Callable[..., Any]) -> Any:
            return self.make(self.public, handler, args, returns, **names)

        return make if handler is None else make(handler)


if TYPE_CHECKING:  # what a type checker knows of them

    class _QueryDecorator(Protocol):
        @overload
        def __call__(self, handler: Callable[Concatenate[QueryCtx, P], R], /) -> QueryFunction[P, R]: ...
        @overload
        def __call__(
            self, /, **options: Unpack[FunctionOptions]
        ) -> Callable[[Callable[Concatenate[QueryCtx, P], R]], QueryFunction[P, R]]: ...

    class _MutationDecorator(Protocol):
        @overload
        def __call__(
            self, handler: Callable[Concatenate[MutationCtx, P], R], /
        ) -> MutationFunction[P, R]: ...
        @overload
        def __call__(
            self, /, **options: Unpack[FunctionOptions]
        ) -> Callable[[Callable[Concatenate[MutationCtx, P], R]], MutationFunction[P, R]]: ...

    class _ActionDecorator(Protocol):
        @overload
        def __call__(self, handler: Callable[Concatenate[ActionCtx, P], R], /) -> ActionFunction[P, R]: ...
        @overload
        def __call__(
            self, /, **options: Unpack[FunctionOptions]
        ) -> Callable[[Callable[Concatenate[ActionCtx, P], R]], ActionFunction[P, R]]: ...


query: _QueryDecorator = _Decorator(QueryFunction, True)
mutation: _MutationDecorator = _Decorator(MutationFunction, True)
action: _ActionDecorator = _Decorator(ActionFunction, True)
internal_query: _QueryDecorator = _Decorator(QueryFunction, False)
internal_mutation: _MutationDecorator = _Decorator(MutationFunction, False)
internal_action: _ActionDecorator = _Decorator(ActionFunction, False)
