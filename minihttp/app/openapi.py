# SPDX-License-Identifier: MIT
"""An app as OpenAPI 3.1: its routes with what they declare, its webhooks, and its public functions.

What stands here is checked when a request comes: by `http/declared.py`, by guards, by providers and by
functions. What a handler does beyond that is in its code and is not shown. A function is
`POST /api/run/module/function`, with the names that clients use.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..data.json_schema import OF_ARGUMENTS, OF_RESULTS, OF_ROUTES, json_schema
from ..data.validators import Validator
from ..functions.registry import Function, Registry
from ..http.convert import is_file
from ..http.declared import Declared
from ..http.hooks import Guard, require_identity
from ..http.mutation_route import MutationRoute
from ..http.parameters import Parameter
from ..http.route import Route
from ..http.target import percent_encode
from ..http.webhook_route import Webhook

Document = dict[str, Any]

_SCHEMAS: Document = {
    "Error": {
        "type": "object",
        "properties": {"error": {"type": "string", "description": "What is wrong, for people."}},
        "required": ["error"],
    },
    "FunctionApiError": {
        "type": "object",
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        "required": ["code", "message"],
    },
}
_WRONG = {"400": "The request is not as it is declared.", "413": "The body is too large."}
_REFUSALS = {  # what is asked of a request -> the statuses of the framework's refusals
    "parameters": {"400": _WRONG["400"]},
    "json": {**_WRONG, "415": "The body is not application/json."},
    "form": {**_WRONG, "415": "The body is not a form."},
    "credential": {"401": "There is no credential, or an identity that is not valid."},
    "key": {"403": "The credential is another."},
}
_TYPES: dict[Any, Document] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
_TEXT: Document = {"type": "string"}
_FILE: Document = {"type": "string", "format": "binary"}
_version_segment = re.compile(r"api|v[0-9]+").fullmatch


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
    writer = _Writer(resolve)
    for route in routes:
        writer.add_route(route)
    for function in registry or ():
        if registry is not None and function.public and not function.name.startswith("_"):
            writer.add_function(function, registry.wire_args(function))
    document: Document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "tags": [{"name": name} for name in sorted(writer.tags)],
        "paths": writer.paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": writer.schemes},
    }
    return {**document, "servers": [{"url": server}]} if server else document


class _Writer:
    """Collects paths, tags and security schemes."""

    def __init__(self, resolve: Callable[[Any], Function]) -> None:
        self.paths: dict[str, Document] = {}
        self.tags: set[str] = set()
        self.schemes: dict[str, Document] = {}
        self._resolve = resolve
        self._ids: set[str] = set()
        self._templates: dict[str, str] = {}  # by the path without the names of its parameters

    def add_route(self, route: Route) -> None:
        segments = route.pattern.split("/")
        names = [name for name, _ in route.parameters]
        if route.prefix_chars:
            segments[-1], names = "{tail}", ["tail"]
        path = "/".join(segment if segment[:1] == "{" else percent_encode(segment) for segment in segments)
        shape = re.sub(r"\{.*?\}", "{}", path)
        template = self._templates.setdefault(shape, path)
        methods = self.paths.setdefault(template, {})
        method = route.method.lower()
        if method in methods:  # a pattern beats a prefix of its shape, and stands before it
            return
        here = re.findall(r"\{(.*?)\}", template)
        webhook = isinstance(route.handler, Webhook)
        operation = (
            self._webhook(route) if webhook else self._route(route, dict(zip(names, here, strict=True)))
        )
        about = {} if webhook else _about(route.handler)
        handler = getattr(getattr(route.handler, "function", None), "handler", route.handler)
        named = "" if webhook else getattr(handler, "__name__", "").strip("_")
        literals = [s for s in route.pattern.split("/") if s and s[0] not in "{*" and not _version_segment(s)]
        tag = "webhooks" if webhook else literals[0] if literals else "root"
        methods[method] = {
            "operationId": self._id(named if named.isidentifier() else f"{method}_{path}"),
            **about,
            "tags": [self._tag(tag)],
            **operation,
        }

    def add_function(self, function: Function, wire_args: Mapping[str, str]) -> None:
        outer = {inner: outer for outer, inner in wire_args.items()}
        args = _arguments(function.args, OF_ARGUMENTS, lambda name: outer.get(name, name))
        done = {"status": {"const": "success"}, "value": json_schema(function.returns, OF_RESULTS)}
        failed = {"status": {"const": "error"}, "errorMessage": _TEXT, "errorData": {}}
        logs = {"logLines": {"type": "array", "items": _TEXT}}
        outcome = [
            {"type": "object", "properties": {**done, **logs}, "required": ["status", "value"]},
            {"type": "object", "properties": {**failed, **logs}, "required": ["status", "errorMessage"]},
        ]
        sent: Document = {"type": "object", "properties": {"args": args}}
        if args.get("required"):
            sent["required"] = ["args"]
        is_guarded = getattr(function.handler, "requires_identity", False)
        bearer = self._security([require_identity])
        methods = self.paths.setdefault(f"/api/run/{function.wire_name.replace(':', '/')}", {})
        if "post" in methods:  # a route of the user's, which wins
            return
        methods["post"] = {
            "operationId": self._id(function.wire_name),
            **_about(function),
            "tags": [self._tag(function.kind)],
            "requestBody": _json_body(sent),
            "responses": {
                "200": _json("What the function returned, or why it failed.", {"oneOf": outcome}),
                "401": _json("The token is not valid.", _ref("FunctionApiError")),
                "default": _json("The request did not reach the function.", _ref("FunctionApiError")),
            },
            "security": bearer if is_guarded else [{}, *bearer],
        }

    def _route(self, route: Route, here: Mapping[str, str]) -> Document:
        """What a route says.

        Args:
            here: the name of each parameter of its path in the template.
        """
        declared: Declared | None = route.declared
        handler = route.handler
        in_path = {name: {"schema": _TEXT} for name in here}
        asks, operation = [], Document()
        query: tuple[Parameter[Any], ...] = ()
        responses = {"default": {"description": "What the handler returns, or an error."}}
        if isinstance(handler, MutationRoute):
            function = self._resolve(handler.function)
            args = _arguments(function.args, OF_ROUTES, without=here)
            if function is handler.function:  # of one that is given by its name they stay texts
                in_path |= _path_arguments(function.args, here)
            operation = {
                **_about(function),
                "requestBody": _json_body(args, required=bool(args.get("required"))),
            }
            responses = _success(handler.status, function.returns)
            asks = ["json"]
        elif declared is not None:
            in_path |= {p.name: _parameter(p) for p in declared.path_params}
            query = declared.query
            asks = ["parameters"] if query or declared.path_params else []
            if declared.body is not None:
                operation["requestBody"] = _json_body(json_schema(declared.body, OF_ROUTES))
                asks.append("json")
            if declared.form:
                operation["requestBody"] = _form_body(declared.form)
                asks.append("form")
            if declared.returns is not None or declared.status == 204:
                responses = _success(declared.status, declared.returns)
        listed = [{"name": here[n], "in": "path", "required": True, **said} for n, said in in_path.items()]
        listed += [{"name": p.name, "in": "query", "required": p.is_required, **_parameter(p)} for p in query]
        if listed:
            operation["parameters"] = listed
        guards = list(_guards(route))
        if guards:
            operation["security"] = self._security(guards)
            asks += ["credential"] if all(g is require_identity for g in guards) else ["credential", "key"]
        refusals = {status: said for ask in asks for status, said in _REFUSALS[ask].items()}
        responses |= {status: _json(said, _ref("Error")) for status, said in refusals.items()}
        return {**operation, "responses": dict(sorted(responses.items()))}

    def _webhook(self, route: Route) -> Document:
        """An endpoint of the inbox; of a GET, by which a provider tests it, nothing more is known."""
        provider = route.handler.provider
        scheme = getattr(provider, "scheme", None)
        said: Document = {"summary": f"Deliveries of {provider.name}"}
        responses: Document = {"default": {"description": "Whatever the provider wants to be answered."}}
        if route.method == "POST":
            said["requestBody"] = {"required": True, "content": {"*/*": {"schema": {}}}}
            signature = [] if scheme is None else [Guard(_nothing, scheme.signature_header)]
            guards = [*_guards(route), *signature]
            if guards:
                said["security"] = self._security(guards)
        return {**said, "responses": responses}

    def _security(self, guards: Iterable[Guard]) -> list[Document]:
        """All of these at once."""
        needed: Document = {}
        for guard in guards:
            name = _words(guard.scheme.get("name", "bearer"))
            self.schemes[name] = guard.scheme
            needed[name] = []
        return [needed]

    def _tag(self, name: str) -> str:
        self.tags.add(name)
        return name

    def _id(self, text: str) -> str:
        """An operationId that is a name in every language, and that no other operation has."""
        name = _words(text)
        unique, number = name, 1
        while unique in self._ids:
            number += 1
            unique = f"{name}_{number}"
        self._ids.add(unique)
        return unique


def _nothing(ctx: Any, request: Any) -> None:
    """A provider checks, not this hook."""


def _words(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "root"


def _guards(route: Route) -> Iterator[Guard]:
    """The guards of a route and of its routers."""
    for router in route.routers:
        yield from (hook for hook in router.before_hooks if isinstance(hook, Guard))
    if route.guard is not None:
        yield route.guard
    if getattr(route.handler, "requires_identity", False):
        yield require_identity


def _arguments(
    args: Validator | None,
    writing: Any,
    named: Callable[[str], str] = str,
    without: Iterable[str] = (),
) -> Document:
    """The arguments of a function, under the names that clients use."""
    schema = json_schema(args, writing) or {"type": "object"}
    if "properties" in schema:
        fields = {named(name): field for name, field in schema["properties"].items() if name not in without}
        required = [named(name) for name in schema.pop("required", ()) if name not in without]
        schema |= {"properties": fields, **({"required": required} if required else {})}
    return schema


def _path_arguments(args: Validator | None, names: Iterable[str]) -> dict[str, Document]:
    fields: Mapping[str, Validator] = getattr(args, "fields", {})
    return {name: {"schema": json_schema(fields[name], OF_ROUTES)} for name in names if name in fields}


def _parameter(parameter: Parameter[Any]) -> Document:
    return {"schema": _schema(parameter), **_described(parameter)}


def _described(parameter: Parameter[Any]) -> Document:
    return {"description": parameter.description} if parameter.description else {}


def _schema(parameter: Parameter[Any]) -> Document:
    """Of a function that takes a text no more is known than that."""
    type_ = parameter.type
    members = getattr(type_, "__members__", None)
    schema = dict(_FILE if is_file(type_) else _TYPES.get(type_, _TEXT))
    if members and all(isinstance(member.value, str) for member in members.values()):
        schema["enum"] = [member.value for member in members.values()]
    elif schema == _TEXT and type_ is not str:
        known = {"uuid.UUID": "uuid", "datetime.date": "date"}
        of = getattr(type_, "__self__", type_)
        format_ = known.get(f"{getattr(of, '__module__', '')}.{getattr(of, '__qualname__', '')}")
        schema |= {"format": format_} if format_ else {}
    bounds = ("minLength", "maxLength") if type_ is str else ("minimum", "maximum")
    if type_ in _TYPES or type_ is str:
        limits = zip(bounds, (parameter.min, parameter.max), strict=True)
        schema |= {name: bound for name, bound in limits if bound is not None}
    if parameter.repeated:
        return {"type": "array", "items": schema}
    default = getattr(parameter.default, "value", parameter.default)  # of an Enum
    if isinstance(default, (str, int, float)):
        schema["default"] = default
    return schema


def _form_body(form: Iterable[Parameter[Any]]) -> Document:
    fields = {p.name: {**_schema(p), **_described(p)} for p in form}
    required = [parameter.name for parameter in form if parameter.is_required]
    schema = {"type": "object", "properties": fields, **({"required": required} if required else {})}
    types = ["multipart/form-data"]
    if not any(is_file(parameter.type) for parameter in form):
        types.insert(0, "application/x-www-form-urlencoded")
    return {"required": True, "content": {name: {"schema": schema} for name in types}}


def _json_body(schema: Document, *, required: bool = True) -> Document:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _json(description: str, schema: Document) -> Document:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _success(status: int, returns: Validator | None) -> dict[str, Document]:
    done: Document = {"description": "There is no content."}
    if status != 204:
        done = _json("What was asked for.", json_schema(returns, OF_ROUTES))
    return {str(status): done, "default": _json("An error.", _ref("Error"))}


def _about(thing: Any) -> Document:
    """`summary` and `description` from a docstring that is the thing's own."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    is_own = isinstance(thing, Function) or inspect.isroutine(thing)
    if not text or not is_own:
        return {}
    summary, _, rest = text.partition("\n\n")
    return {"summary": " ".join(summary.split()), **({"description": rest} if rest else {})}
