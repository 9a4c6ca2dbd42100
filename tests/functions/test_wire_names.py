# SPDX-License-Identifier: MIT
"""Names of one's own in the function API: Python stays snake_case, clients have their camelCase."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from webtest import TestApp

from minihttp import App, ConfigurationError, QueryCtx, internal_query, mutation, query, testing, v
from minihttp.errors import FunctionError
from minihttp.functions.registry import Registry, camel_case


@query(
    name="getUserByEmail", args={"clerk_id": v.string(), "from_": v.number()}, aliases={"clerkId": "clerk_id"}
)
def get_user_by_email(ctx: QueryCtx, clerk_id: str, from_: float) -> Any:
    return {"clerk_id": clerk_id, "from_": from_}


@query(name="list", aliases={"class": "class_"})
def list_items(ctx: QueryCtx, class_: str = "none", **more: Any) -> Any:
    return {"class_": class_, "more": more}


@query(args={"user_id": v.optional(v.string()), "plain": v.number()})
def get_things(ctx: QueryCtx, plain: float, user_id: str | None = None) -> Any:
    return [plain, user_id]


@internal_query(args={"user_id": v.string()})
def hidden_thing(ctx: QueryCtx, user_id: str) -> str:
    return user_id


@mutation(args={"user_id": v.string()})
def save_thing(ctx: Any, user_id: str) -> Any:
    return ctx.run_query(get_things, plain=1, user_id=user_id)


def client_of(**options: Any) -> Iterator[TestApp]:
    app = testing.in_memory(App(modules={"users": sys.modules[__name__]}, **options), admin_key="key")
    yield TestApp(app)
    app.close()


@pytest.fixture
def own() -> Iterator[TestApp]:
    yield from client_of()


@pytest.fixture
def camel() -> Iterator[TestApp]:
    yield from client_of(wire_names="camelCase")


def call(client: TestApp, name: str, args: dict[str, Any], kind: str = "query", **headers: str) -> Any:
    body = {"path": f"users:{name}", "args": args}
    return client.post_json(f"/api/{kind}", body, headers=headers).json


def test_own_names(own: TestApp) -> None:
    sent = {"clerkId": "c", "from_": 1}
    assert call(own, "getUserByEmail", sent)["value"] == {"clerk_id": "c", "from_": 1}
    assert call(own, "get_user_by_email", sent)["value"] == {"clerk_id": "c", "from_": 1}
    assert call(own, "list", {"class": "a", "x": 1})["value"] == {"class_": "a", "more": {"x": 1}}
    assert own.post_json("/api/run/users/getUserByEmail", {"args": sent}).json["status"] == "success"
    batch = own.post_json("/api/query_batch", {"queries": [{"path": "users:getUserByEmail", "args": sent}]})
    assert batch.json["results"][0]["value"]["clerk_id"] == "c"


def test_errors_speak_of_the_names_that_the_client_knows(own: TestApp) -> None:
    assert "missing the required field `clerkId`" in call(own, "getUserByEmail", {"from_": 1})["errorMessage"]
    wrong = call(own, "getUserByEmail", {"clerkId": 7, "from_": 1})["errorMessage"]
    assert "Path: .clerkId" in wrong and "clerk_id" not in wrong
    extra = call(own, "getUserByEmail", {"clerk_id": "c", "clerkId": "c", "from_": 1})["errorMessage"]
    assert "extra field `clerk_id`" in extra
    assert "both its names" in call(own, "list", {"class": "a", "class_": "b"})["errorMessage"]


def test_camel_case_everywhere(camel: TestApp) -> None:
    assert call(camel, "getThings", {"plain": 1, "userId": "u"})["value"] == [1, "u"]
    assert call(camel, "get_things", {"plain": 1, "userId": "u"})["value"] == [1, "u"]
    assert call(camel, "getUserByEmail", {"clerkId": "c", "from": 2})["value"]["from_"] == 2
    assert call(camel, "saveThing", {"userId": "u"}, "mutation")["value"] == [1, "u"]
    assert "extra field `user_id`" in call(camel, "getThings", {"plain": 1, "user_id": "u"})["errorMessage"]


def test_an_internal_function_stays_hidden_under_both_names(camel: TestApp) -> None:
    for name in ("hiddenThing", "hidden_thing"):
        for args in ({}, {"userId": "u"}):
            assert "Could not find public function" in call(camel, name, args)["errorMessage"]
        found = call(camel, name, {"userId": "u"}, Authorization="Convex key")
        assert found["value"] == "u"


def test_python_keeps_its_names() -> None:
    app = testing.in_memory(App(modules={"users": sys.modules[__name__]}, wire_names="camelCase"))
    assert app.run_query(get_things, plain=1, user_id="u") == [1, "u"]
    assert app.run_query("users:get_things", plain=1, user_id="u") == [1, "u"]
    assert app.run_query(get_things, 1, "u") == [1, "u"]
    with pytest.raises(TypeError, match="plain, user_id in order, and 3 were given"):
        app.run_query(get_things, 1, "u", 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="its arguments need names too"):
        app.run_query("users:get_things", 1)  # type: ignore[call-overload]
    rows = {row["name"]: row for row in app.run_query("_app:functions")}
    assert rows["users:get_user_by_email"]["wireName"] == "users:getUserByEmail"
    assert rows["users:get_user_by_email"]["wireArgs"] == {"clerkId": "clerk_id", "from": "from_"}
    assert len([name for name in rows if "list" in name]) == 1
    app.close()


@pytest.mark.parametrize(
    ("name", "camel"),
    [
        ("get_user", "getUser"),
        ("from_", "from"),
        ("a_b_c", "aBC"),
        ("plain", "plain"),
        ("_x", "_x"),
        ("getUser", "getUser"),
    ],
)
def test_camel_case(name: str, camel: str) -> None:
    assert camel_case(name) == camel


def module_of(**functions: Any) -> ModuleType:
    module = ModuleType("made")
    for name, function in functions.items():
        function.handler.__module__ = "made"
        setattr(module, name, function)
    return module


def test_two_functions_of_one_name() -> None:
    registry = Registry()
    with pytest.raises(FunctionError, match="two functions are named 'made:get'"):
        registry.add_module(module_of(get=query(lambda ctx: 1), get_it=query(name="get")(lambda ctx: 2)))
    with pytest.raises(FunctionError, match="two functions are named 'made:getIt'"):
        Registry("camelCase").add_module(module_of(get_it=query(lambda ctx: 1), getIt=query(lambda ctx: 2)))
    with pytest.raises(ConfigurationError, match="wire_names"):
        Registry("kebab-case")


def test_names_that_cannot_be() -> None:
    for name in ("get user", "", "a-b", "é", 7):
        with pytest.raises(FunctionError, match="is not one like 'getUserByEmail'"):
            query(name=name)(lambda ctx: 1)  # type: ignore[arg-type]
    with pytest.raises(FunctionError, match="which is not in its args"):
        query(args={"a": v.string()}, aliases={"b": "c"})(lambda ctx, a: 1)
    for args, aliases in (
        ({"a": v.string(), "b": v.string()}, {"b": "a"}),
        ({"a": v.string()}, {"x": "a", "y": "a"}),
    ):
        function = query(args=args, aliases=aliases)(lambda ctx, a="", b="": 1)
        with pytest.raises(FunctionError, match="two aliases, or two arguments with one name"):
            Registry().add(function, "m:f")
    camel = query(args={"user_id": v.string(), "userId": v.string()})(lambda ctx, user_id, userId: 1)
    with pytest.raises(FunctionError, match="two arguments with one name"):
        Registry("camelCase").add(camel, "m:f")
