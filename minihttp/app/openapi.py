# SPDX-License-Identifier: MIT
"""An app as OpenAPI 3.1: its routes with their parameters and bodies, its public functions with theirs.

A function is shown as `POST /api/run/module/function`, with the names that clients use. What a handler reads
of the query is in its code and cannot be shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..data.json_schema import json_schema
from ..functions.registry import Function, Registry
from ..http.mutation_route import MutationRoute
from ..http.route import Route

Document = dict[str, Any]

_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_BEARER = "bearer"


def openapi(
    routes: Iterable[Route],
    registry: Registry | None,
    resolve: Callable[[Any], Function],
    *,
    title: str,
    version: str,
    server: str,
) -> Document:
    """The document.

    Args:
        routes: the user's.
        registry: of the functions; None where the function API is off.
        resolve: the function of a route that is a mutation.
        server: the app's origin; "" for wherever the document was got from.
    """
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(_path(route), {})[route.method.lower()] = _operation(route, resolve)
    for function in registry or ():
        if registry is not None and function.public and not function.name.startswith("_"):
            path = f"/api/run/{function.wire_name.replace(':', '/')}"
            paths[path] = {"post": _function_operation(function, registry.wire_args(function))}
    document: Document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"securitySchemes": {_BEARER: {"type": "http", "scheme": "bearer"}}},
    }
    return {**document, "servers": [{"url": server}]} if server else document


def _path(route: Route) -> str:
    return f"{route.pattern[:-1]}{{tail}}" if route.prefix_chars else route.pattern


def _operation(route: Route, resolve: Callable[[Any], Function]) -> Document:
    names = ["tail"] if route.prefix_chars else [name for name, _ in route.parameters]
    text = {"schema": {"type": "string"}, "in": "path", "required": True}
    operation: Document = {
        "operationId": f"{route.method.lower()} {route.pattern}",
        **_about(route.handler),
        "responses": {"200": {"description": "What the handler returns."}, "default": _response(_ERROR)},
    }
    if names:
        operation["parameters"] = [{"name": name, **text} for name in names]
    if route.body is not None:
        operation["requestBody"] = _body(json_schema(route.body))
    if isinstance(route.handler, MutationRoute):
        operation |= _mutation(resolve(route.handler.function), route.handler.status, names)
    if route.auth:
        operation["security"] = [{_BEARER: []}]
    return operation


def _mutation(function: Function, status: int, in_path: list[str]) -> Document:
    """What such a route takes and answers; arguments in the path are not in the body."""
    args = json_schema(function.args) or {"type": "object"}
    if "properties" in args:
        args["properties"] = {name: s for name, s in args["properties"].items() if name not in in_path}
        args["required"] = [name for name in args.get("required", ()) if name not in in_path]
    body = {**_body(args), "required": bool(args.get("required"))}
    responses = {str(status): _response(json_schema(function.returns)), "default": _response(_ERROR)}
    return {**_about(function), "requestBody": body, "responses": responses}


def _function_operation(function: Function, wire_args: Mapping[str, str]) -> Document:
    args = json_schema(function.args) or {"type": "object"}
    outer = {inner: outer for outer, inner in wire_args.items()}
    if "properties" in args:
        args["properties"] = {outer.get(name, name): schema for name, schema in args["properties"].items()}
        if "required" in args:
            args["required"] = [outer.get(name, name) for name in args["required"]]
    done = {"status": {"const": "success"}, "value": json_schema(function.returns)}
    failed = {"status": {"const": "error"}, "errorMessage": {"type": "string"}, "errorData": {}}
    outcome = [
        {"type": "object", "properties": done, "required": ["status", "value"]},
        {"type": "object", "properties": failed, "required": ["status", "errorMessage"]},
    ]
    sent = {"type": "object", "properties": {"args": args}, "required": ["args"]}
    return {
        "operationId": function.wire_name,
        **_about(function),
        "tags": [function.kind],
        "requestBody": _body(sent),
        "responses": {"200": _response({"oneOf": outcome})},
        "security": [{}, {_BEARER: []}],
    }


def _body(schema: Document) -> Document:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _response(schema: Document) -> Document:
    return {"description": "JSON.", "content": {"application/json": {"schema": schema}}}


def _about(thing: Any) -> Document:
    """`summary` and `description` from a docstring that is the thing's own."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    is_own = isinstance(thing, Function) or inspect.isroutine(thing)
    if not text or not is_own:
        return {}
    summary, _, rest = text.partition("\n\n")
    return {"summary": " ".join(summary.split()), **({"description": rest} if rest else {})}
