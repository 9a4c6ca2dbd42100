# SPDX-License-Identifier: MIT
"""Functions: what the six decorators make, and the registry that names them `module:function`.

A function's kind and visibility are fixed where it is written; its name is fixed where the app is put
together. Knows nothing of transactions: `runner.py` calls functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, overload

from ..data.validators import Validator, v
from ..errors import (
    ArgumentValidationError,
    FunctionError,
    FunctionNotFoundError,
    ReturnsValidationError,
    ValidationError,
)

Args = Mapping[str, Validator] | Validator | None

_VAR_KEYWORDS = 0x08  # CO_VARKEYWORDS: the handler takes **anything
_NOT_PLAIN = 0x20 | 0x80 | 0x200  # generator, coroutine, async generator


class Function:
    """A query, mutation or action. Calling it with a context runs its code in that context's transaction,
    unchecked; `ctx.run_query(function, …)` and its siblings check arguments, permission and result.

    Attributes:
        kind: "query", "mutation" or "action".
        public: whether the function API serves it.
        name: "module:function" once an app has registered it, else the handler's own name.
        location: "file:line" of the handler.
    """

    def __init__(
        self, kind: str, public: bool, handler: Callable[..., Any], args: Args, returns: Validator | None
    ) -> None:
        code = getattr(handler, "__code__", None)
        if code is None:
            raise FunctionError(f"a {kind} must be a plain function, not {handler!r}")
        self.kind = kind
        self.public = public
        self.handler = handler
        self.name = handler.__name__
        self.location = f"{code.co_filename}:{code.co_firstlineno}"
        self.__doc__ = handler.__doc__
        self.args = v.object(dict(args)) if isinstance(args, Mapping) else args
        self.returns = returns
        if code.co_flags & _NOT_PLAIN:
            raise FunctionError(f"{self} must be a plain function, not async and not a generator")
        if isinstance(args, Mapping):
            self._check_parameters(args)

    def _check_parameters(self, args: Mapping[str, Validator]) -> None:
        """Refuse a handler whose parameters and `args` cannot fit each other: before the first call does."""
        code = self.handler.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[:count]
        if code.co_argcount == 0:
            raise FunctionError(f"{self} must take the context as its first parameter")
        takes = set(names[1:])
        unknown = [name for name in args if name not in takes]
        if unknown and not code.co_flags & _VAR_KEYWORDS:
            raise FunctionError(f"{self} has the validator {unknown[0]!r} in args but no such parameter")
        defaults = len(self.handler.__defaults__ or ())
        required = set(names[1 : code.co_argcount - defaults])
        required |= set(names[code.co_argcount :]) - set(self.handler.__kwdefaults__ or ())
        unfilled = sorted(required - set(args))
        if unfilled:
            raise FunctionError(f"{self} has the parameter {unfilled[0]!r} but no validator for it in args")

    def __repr__(self) -> str:
        return f"{self.kind} {self.name} ({self.location})"

    def __call__(self, ctx: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self.handler(ctx, *args, **kwargs)

    def check_args(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the handler gets them; ArgumentValidationError when they do not match."""
        if self.args is None:
            return dict(args)
        try:
            checked: dict[str, Any] = self.args.check(args)
        except ValidationError as error:
            raise ArgumentValidationError(f"ArgumentValidationError: {error}") from None
        return checked

    def check_result(self, value: Any) -> Any:
        """The result as the caller gets it; ReturnsValidationError when it does not match `returns`."""
        if self.returns is None:
            return value
        try:
            return self.returns.check(value)
        except ValidationError as error:
            raise ReturnsValidationError(f"ReturnsValidationError: {error}") from None


class _Decorator:
    """One of the six: `@query`, `@query(args={…}, returns=…)`."""

    __slots__ = ("kind", "public")

    def __init__(self, kind: str, public: bool) -> None:
        self.kind = kind
        self.public = public

    @overload
    def __call__(self, handler: Callable[..., Any], /) -> Function: ...
    @overload
    def __call__(
        self, /, *, args: Args = None, returns: Validator | None = None
    ) -> Callable[[Callable[..., Any]], Function]: ...
    def __call__(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        args: Args = None,
        returns: Validator | None = None,
    ) -> Any:
        """Make a function.

        Args:
            args: a dict of validators by parameter name, or an object validator; without it anything is
                accepted.
            returns: the validator of the result; without it anything is returned.

        Raises:
            FunctionError: for a handler that is async, or whose parameters do not fit `args`.
        """
        if handler is not None:
            return Function(self.kind, self.public, handler, args, returns)
        return lambda handler: Function(self.kind, self.public, handler, args, returns)


query = _Decorator("query", True)
mutation = _Decorator("mutation", True)
action = _Decorator("action", True)
internal_query = _Decorator("query", False)
internal_mutation = _Decorator("mutation", False)
internal_action = _Decorator("action", False)


def wire_name(module: ModuleType) -> str:
    """The name of a module in function names: `pkg.items` is `pkg/items`; a script is named like its file."""
    name = module.__name__
    if name == "__main__":
        spec = getattr(module, "__spec__", None)
        path = getattr(module, "__file__", None) or "main.py"
        name = spec.name if spec else path.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return name.replace(".", "/")


class Registry:
    """All functions of one app, by name."""

    __slots__ = ("_functions",)

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def add_module(self, module: ModuleType, name: str | None = None) -> None:
        """Register every function that is written in `module` (not those it imports).

        Args:
            module: an imported one.
            name: the wire name of the module, such as `admin/users`; by default its import name with `/` for
                `.`.
        """
        name = name or wire_name(module)
        for attribute, value in list(vars(module).items()):
            if isinstance(value, Function) and value.handler.__module__ == module.__name__:
                self.add(value, f"{name}:{attribute}")

    def add(self, function: Function, name: str) -> None:
        """Register one function under `module:function`.

        Raises:
            FunctionError: when another function has that name.
        """
        known = self._functions.setdefault(name, function)
        if known is not function:
            raise FunctionError(f"two functions are named {name!r}: {known.location} and {function.location}")
        function.name = name

    def add_methods(self, module: str, owner: object, names: Mapping[str, Iterable[str]]) -> None:
        """Register methods of the framework's own as internal functions `module:method`.

        Args:
            names: of the methods, by the kind of function that they are.
        """
        for kind, methods in names.items():
            for name in methods:
                self.add(Function(kind, False, getattr(owner, name), None, None), f"{module}:{name}")

    def __iter__(self) -> Iterator[Function]:
        return iter(self._functions.values())

    def __len__(self) -> int:
        return len(self._functions)

    def resolve(self, function: Function | str) -> Function:
        """The function of a name such as `items:get`, `items.js:get` or `admin/users:list`; `items` is
        `items:default`.

        Raises:
            FunctionNotFoundError: when there is none.
        """
        if isinstance(function, Function):
            return function
        if not isinstance(function, str):
            raise FunctionError(f"expected a function or its name, not {function!r}")
        module, _, name = function.partition(":")
        found = self._functions.get(f"{module.removesuffix('.js')}:{name or 'default'}")
        if found is None:
            raise FunctionNotFoundError(f"Could not find function for {function!r}.", function)
        return found

    def kind_of(self, name: str) -> str | None:
        """ "query", "mutation" or "action"; None where there is no function of that name."""
        try:
            return self.resolve(name).kind
        except FunctionNotFoundError:
            return None

    def named(self, function: Function | str) -> Function:
        """Like `resolve`, and sure to be found again by its name after a restart: what a scheduler may write
        down.
        """
        found = self.resolve(function)
        if self._functions.get(found.name) is not found:
            raise FunctionNotFoundError(f"{found} is not registered: name its module in App(modules=[…])")
        return found
