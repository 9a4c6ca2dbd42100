# SPDX-License-Identifier: MIT
"""Functions: what the six decorators make, and the registry that names them `module:function`.

A function's kind and visibility are fixed where it is written; its name is fixed where the app is put
together. Knows nothing of transactions: `runner.py` calls functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar

from ..data.validators import Object, Record, Union, Validator, check_tables, owned, v
from ..errors import (
    ArgumentValidationError,
    ConfigurationError,
    FunctionError,
    FunctionNotFoundError,
    ReturnsValidationError,
    ValidationError,
    did_you_mean,
)

Args = Mapping[str, Validator] | Validator | None
P = ParamSpec("P")
R = TypeVar("R")

_VAR_POSITIONAL, _VAR_KEYWORDS = 0x04, 0x08  # CO_VARARGS, CO_VARKEYWORDS: the handler takes *any, **anything
_is_wire_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII).fullmatch
_NOT_PLAIN = 0x20 | 0x80 | 0x200  # generator, coroutine, async generator


class Function:
    """A query, mutation or action. Calling it with a context runs its code in that context's transaction,
    unchecked; `ctx.run_query(function, …)` and its siblings check arguments, permission and result.

    Attributes:
        kind: "query", "mutation" or "action".
        public: whether the function API serves it.
        system: whether it is the framework's own, and so is given a `SystemCtx`.
        name: "module:function" once an app has registered it, else the handler's own name.
        wire_name: "module:function" as clients of the function API call it, once it is registered.
        aliases: its arguments' names there, each with the name here.
        location: "file:line" of the handler.
    """

    kind = ""

    def __init__(
        self,
        public: bool,
        handler: Callable[..., Any],
        args: Args,
        returns: Validator | None,
        *,
        name: str | None = None,
        aliases: Mapping[str, str] | None = None,
        system: bool = False,
    ) -> None:
        code = getattr(handler, "__code__", None)
        if code is None:
            raise FunctionError(f"a {self.kind} must be a plain function, not {handler!r}")
        self.public = public
        self.system = system
        self.handler = handler
        self.name = handler.__name__
        self.own_wire_name = name
        self.wire_name = name or handler.__name__
        self.aliases = dict(aliases or {})
        self.location = f"{code.co_filename}:{code.co_firstlineno}"
        self.__doc__ = handler.__doc__
        self.args = v.object(dict(args)) if isinstance(args, Mapping) else args
        self._args_of_decoded: Validator | None = None
        self.returns = returns
        if code.co_flags & _NOT_PLAIN:
            raise FunctionError(f"{self} must be a plain function, not async and not a generator")
        if code.co_argcount == 0 and not code.co_flags & _VAR_POSITIONAL:
            raise FunctionError(f"{self} must take the context as its first parameter")
        for option, given in (("args", self.args), ("returns", returns)):
            if given is not None and not isinstance(given, Validator):
                raise FunctionError(
                    f"{self} has {option}={given!r:.60}, which is no validator such as v.string()"
                )
        if isinstance(args, Mapping):
            self._check_parameters(args)
        if name is not None and not (isinstance(name, str) and _is_wire_name(name)):
            raise FunctionError(f"{self} has the name {name!r}, which is not one like 'getUserByEmail'")
        for outer, inner in self.aliases.items():
            if isinstance(self.args, Object) and inner not in self.args.fields:
                raise FunctionError(f"{self} has the alias {outer!r} of {inner!r}, which is not in its args")

    def _check_parameters(self, args: Mapping[str, Validator]) -> None:
        """Refuse a handler whose parameters and `args` cannot fit each other: before the first call does."""
        code = self.handler.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[:count]
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

    def has_parameter(self, name: str) -> bool:
        """Whether the handler can be called with an argument of that name."""
        code = self.handler.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        return name in names or bool(code.co_flags & _VAR_KEYWORDS)

    def __repr__(self) -> str:
        return f"{self.kind} {self.name} ({self.location})"

    def __call__(self, ctx: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self.handler(ctx, *args, **kwargs)

    def named_args(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments without names under the names of the handler's parameters, beside those with one."""
        code = self.handler.__code__
        first = 2 if hasattr(self.handler, "__self__") else 1
        names = code.co_varnames[first : code.co_argcount]
        given = list(args)
        twice = [name for name in names[: len(given)] if name in kwargs]
        if len(given) > len(names) or twice:
            expected = ", ".join(names) or "nothing"
            raise TypeError(f"{self} takes {expected} in order, and {len(given)} were given")
        return {**dict(zip(names, given, strict=False)), **kwargs}

    def takes_as_args(self, given: Mapping[str, Any]) -> bool:
        """Whether one dict without a name is all arguments, as in Convex, and not the first of them."""
        code = self.handler.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if not isinstance(self.args, Object) or code.co_argcount < 2:
            return code.co_argcount < 2 or set(given) <= set(names)
        first = self.args.fields.get(names[1])
        takes_dict = isinstance(first, (Object, Record, Union)) or str(first) == "v.any()"
        return not takes_dict or set(given) <= set(self.args.fields)

    def check_args(self, args: Mapping[str, Any], *, is_decoded: bool = False) -> dict[str, Any]:
        """The arguments as the handler gets them; ArgumentValidationError when they do not match.

        Args:
            is_decoded: whether they were decoded for this call, so that nobody else has them.
        """
        if self.args is None:
            return dict(args)
        if is_decoded and self._args_of_decoded is None:
            self._args_of_decoded = owned(self.args)
        return check_args(self._args_of_decoded if is_decoded else self.args, args)  # type: ignore[arg-type]

    def check_result(self, value: Any) -> Any:
        """The result as the caller gets it; ReturnsValidationError when it does not match `returns`."""
        if self.returns is None:
            return value
        try:
            return self.returns.check(value)
        except ValidationError as error:
            message = f"ReturnsValidationError: {error}\nFunction: {self}"
            raise ReturnsValidationError(message) from None


class TypedFunction(Function, Generic[P, R]):
    """A function whose arguments and result a type checker knows."""

    def __call__(self, ctx: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.handler(ctx, *args, **kwargs)  # type: ignore[no-any-return]


class QueryFunction(TypedFunction[P, R]):
    """What `query` and `internal_query` make; `P` and `R` are its arguments and its result."""

    kind = "query"


class MutationFunction(TypedFunction[P, R]):
    """What `mutation` and `internal_mutation` make."""

    kind = "mutation"


class ActionFunction(TypedFunction[P, R]):
    """What `action` and `internal_action` make."""

    kind = "action"


_KINDS: dict[str, type[Function]] = {
    made.kind: made for made in (QueryFunction, MutationFunction, ActionFunction)
}


def wire_name(module: ModuleType) -> str:
    """The name of a module in function names: `pkg.items` is `pkg/items`; a script is named like its file."""
    name = module.__name__
    if name == "__main__":
        spec = getattr(module, "__spec__", None)
        path = getattr(module, "__file__", None) or "main.py"
        name = spec.name if spec else path.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return name.replace(".", "/")


class Registry:
    """All functions of one app, by name.

    Args:
        wire_names: "camelCase" gives functions and arguments such names in the function API, where they have
            none of their own: `get_user(clerk_id, from_)` is `getUser` with `clerkId` and `from`.
    """

    __slots__ = ("_functions", "_is_camel", "_wire_args")

    def __init__(self, wire_names: str | None = None) -> None:
        if wire_names not in (None, "camelCase"):
            raise ConfigurationError(f'wire_names is "camelCase" or None, not {wire_names!r}')
        self._is_camel = wire_names is not None
        self._functions: dict[str, Function] = {}  # by both names
        self._wire_args: dict[Function, WireArgs] = {}

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
        """Register one function under `module:function`, and under the name that clients use.

        Raises:
            FunctionError: when another function has that name.
        """
        module, _, inner = name.partition(":")
        outer = function.own_wire_name or (camel_case(inner) if self._is_camel else inner)
        for each in (name, f"{module}:{outer}"):
            known = self._functions.setdefault(each, function)
            if known is not function:
                raise FunctionError(
                    f"two functions are named {each!r}: {known.location} and {function.location}"
                )
        function.name, function.wire_name = name, f"{module}:{outer}"
        wire_args = WireArgs(function, self._is_camel)
        if wire_args.names:
            self._wire_args[function] = wire_args

    def wire_args(self, function: Function) -> Mapping[str, str]:
        """The names of a function's arguments here, by those of the function API, where they differ."""
        found = self._wire_args.get(function)
        return found.names if found else {}

    def from_wire(self, function: Function, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arguments by the handler's names, from those by the names of the function API.

        Raises:
            ArgumentValidationError: when they do not match, by the names that the client knows.
        """
        found = self._wire_args.get(function)
        return found.rename(args) if found else args

    def add_methods(self, module: str, owner: object, names: Mapping[str, Iterable[str]]) -> None:
        """Register methods of the framework's own as internal functions `module:method`.

        Args:
            names: of the methods, by the kind of function that they are.
        """
        for kind, methods in names.items():
            for name in methods:
                made = _KINDS[kind](False, getattr(owner, name), None, None, system=True)
                self.add(made, f"{module}:{name}")

    def check_tables(self, tables: Collection[str]) -> None:
        """Refuse a function whose arguments or result have the id of a table that there is not.

        Args:
            tables: those of the schema.

        Raises:
            SchemaError: naming the function and where it is written.
        """
        for function in self:
            for what, validator in (("args", function.args), ("returns", function.returns)):
                if validator is not None:
                    check_tables(validator, tables, f"{what} of {function}")

    def __iter__(self) -> Iterator[Function]:
        return (function for name, function in self._functions.items() if name == function.name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def resolve(self, function: Function | str) -> Function:
        """The function of a name such as `items:get`, `items.js:get` or `admin/users:list`; `items` is
        `items:default`.

        Raises:
            FunctionNotFoundError: when there is none.
        """
        if isinstance(function, Function):
            return function
        if not isinstance(function, str):
            name = getattr(function, "__name__", "")
            hint = f"; write @query, @mutation or @action above def {name}" if name.isidentifier() else ""
            raise FunctionError(f"expected a function or its name, not {function!r}{hint}")
        module, _, name = function.partition(":")
        found = self._functions.get(f"{module.removesuffix('.js')}:{name or 'default'}")
        if found is None:
            message = f"Could not find function for {function!r}"
            raise FunctionNotFoundError(
                message, function, lambda: did_you_mean(function, self._functions, least=0.8) or "."
            )
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


class WireArgs:
    """The names of one function's arguments in the function API.

    Attributes:
        names: the name here, by the name there, of each argument whose names differ.
    """

    __slots__ = ("_validator", "names")

    def __init__(self, function: Function, is_camel: bool) -> None:
        own = {inner: outer for outer, inner in function.aliases.items()}
        fields = function.args.fields if isinstance(function.args, Object) else dict.fromkeys(own, v.any())
        outer_of = {name: own.get(name, camel_case(name) if is_camel else name) for name in fields}
        if len(set(outer_of.values())) < len(fields) or len(own) < len(function.aliases):
            raise FunctionError(
                f"{function} has an argument with two aliases, or two arguments with one name"
            )
        self.names = {outer: inner for inner, outer in outer_of.items() if outer != inner}
        has_rule = self.names and isinstance(function.args, Object)
        self._validator = (
            Object({outer_of[name]: owned(fields[name]) for name in fields}) if has_rule else None
        )

    def rename(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments under the handler's names, checked before under the client's."""
        if self._validator is not None:
            args = check_args(self._validator, args)
        elif not self.names.keys().isdisjoint(args) and not set(self.names.values()).isdisjoint(args):
            said = "ArgumentValidationError: an argument came under both its names"
            raise ArgumentValidationError(said).refusing(args)
        return {self.names.get(name, name): value for name, value in args.items()}


def camel_case(name: str) -> str:
    """`get_user` as `getUser`, `from_` as `from`; a name without an underscore as it is."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest) if first else name


def check_args(validator: Validator, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a validator stores them; ArgumentValidationError when they do not match."""
    try:
        checked: dict[str, Any] = validator.check(args)
    except ValidationError as error:
        raise ArgumentValidationError.of(error) from None
    return checked
