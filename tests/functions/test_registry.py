# SPDX-License-Identifier: MIT
"""What the decorators make and refuse, and how functions are found by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from minihttp import internal_query, mutation, query, v
from minihttp.errors import (
    ArgumentValidationError,
    FunctionError,
    FunctionNotFoundError,
    ReturnsValidationError,
)
from minihttp.functions.registry import Function, Registry, wire_name


def module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    for key, member in members.items():
        if isinstance(member, Function):
            member.handler.__module__ = name
        setattr(made, key, member)
    return made


def test_calling_a_function_runs_its_code() -> None:
    @query(args={"n": v.number()})
    def double(ctx: Any, n: float) -> float:
        return 2 * n

    assert double("any context", 4) == 8


def bad_parameter() -> Any:
    return query(args={"name": v.string()})(lambda ctx: None)


def bad_validator() -> Any:
    def get(ctx: Any, id: str) -> None: ...

    return query(args={})(get)


def no_context() -> Any:
    def get() -> None: ...

    return query(args={})(get)


def asynchronous() -> Any:
    async def get(ctx: Any) -> None: ...

    return query(args={})(get)


def generator() -> Any:
    def get(ctx: Any) -> Any:
        yield 1

    return query(args={})(get)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bad_parameter, ["'name'", "no such parameter"]),
        (bad_validator, ["'id'", "no validator"]),
        (no_context, ["context", "first parameter"]),
        (asynchronous, ["async"]),
        (generator, ["generator"]),
        (lambda: query("not a function"), ["plain function", "'not a function'"]),  # type: ignore[call-overload]
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(make: Callable[[], Any], words: list[str]) -> None:
    with pytest.raises(FunctionError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_arguments_and_results_are_checked() -> None:
    @query(args={"name": v.string(), "note": v.optional(v.string())}, returns=v.number())
    def length(ctx: Any, name: str, note: str | None = None) -> int:
        return len(name)

    assert length.check_args({"name": "x", "note": None}) == {"name": "x"}, "None for an optional is absent"
    with pytest.raises(ArgumentValidationError, match="missing the required field `name`"):
        length.check_args({})
    with pytest.raises(ArgumentValidationError, match="extra field `size`"):
        length.check_args({"name": "x", "size": 1})
    with pytest.raises(
        ArgumentValidationError, match=r"(?s)Value does not match.*Path: \.name.*Value: 1.*v\.string"
    ):
        length.check_args({"name": 1})
    assert length.check_result(3) == 3
    with pytest.raises(ReturnsValidationError, match=r"Value: \"3\""):
        length.check_result("3")


def test_functions_are_found_by_module_and_name() -> None:
    @query
    def listing(ctx: Any) -> None: ...

    @query
    def default(ctx: Any) -> None: ...

    registry = Registry()
    registry.add_module(module("shop.admin.users", listing=listing, default=default))
    assert registry.resolve("shop/admin/users:listing") is listing
    assert registry.resolve("shop/admin/users.js:listing") is listing
    assert registry.resolve("shop/admin/users") is default
    assert registry.resolve(listing) is listing
    assert listing.name == "shop/admin/users:listing"
    for unknown in ("shop/admin/users:nope", "users:listing", "", ":", "shop/admin/users:listing:x"):
        with pytest.raises(FunctionNotFoundError):
            registry.resolve(unknown)


def test_an_imported_function_belongs_to_the_module_that_wrote_it() -> None:
    @query
    def get(ctx: Any) -> None: ...

    items = module("items", get=get)
    http = ModuleType("http")
    http.get = items.get  # type: ignore[attr-defined]
    registry = Registry()
    registry.add_module(items)
    registry.add_module(http)
    assert [function.name for function in registry] == ["items:get"]


def test_two_functions_of_one_name_are_refused_with_both_places() -> None:
    @query
    def one(ctx: Any) -> None: ...

    @mutation
    def two(ctx: Any) -> None: ...

    registry = Registry()
    registry.add(one, "items:get")
    registry.add(one, "items:get")
    with pytest.raises(FunctionError) as caught:
        registry.add(two, "items:get")
    assert one.location in str(caught.value)
    assert two.location in str(caught.value)


def test_only_a_registered_function_can_be_written_down() -> None:
    @internal_query
    def stray(ctx: Any) -> None: ...

    registry = Registry()
    with pytest.raises(FunctionNotFoundError, match="name its module"):
        registry.named(stray)
    registry.add(stray, "m:stray")
    assert registry.named(stray) is stray


def test_the_name_of_a_script() -> None:
    script = ModuleType("__main__")
    script.__file__ = "/somewhere/app.py"
    script.__spec__ = None
    assert wire_name(script) == "app"
    assert wire_name(sys.modules["collections.abc"]) == "collections/abc"
