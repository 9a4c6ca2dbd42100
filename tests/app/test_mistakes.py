# SPDX-License-Identifier: MIT
"""The programmer's mistakes are the programmer's: 500 with the fixed body, one log entry with their frames;
in development the response says it too.
"""

from __future__ import annotations

import datetime
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import webtest

from minihttp import (
    App,
    ApplicationError,
    HttpRouter,
    Limits,
    RateLimit,
    Response,
    Schema,
    Table,
    ValidationError,
    action,
    internal_mutation,
    internal_query,
    mutation,
    query,
    testing,
    v,
)
from minihttp.errors import SchemaError
from minihttp.tracebacks import describe

SECRET = "hunter2"
schema = Schema(
    users=Table({"name": v.string(), "hash": v.string(), "age": v.optional(v.number())}).index(
        "by_name", ["name"]
    )
)
FUNCTIONS: dict[str, Any] = {}


def case(make: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[handler.__name__] = make(handler)
        return handler

    return register


@internal_mutation(args={"name": v.string()}, returns=v.id("users"))
def create(ctx: Any, name: str) -> Any:
    return ctx.db.insert("users", {"name": name, "hash": SECRET})


@internal_query(args={"name": v.string()})
def by_name(ctx: Any, name: str) -> Any:
    return ctx.db.query("users").with_index("by_name", lambda q: q.eq("name", name)).first()


def some(ctx: Any) -> Any:
    """A document with a secret in it."""
    return ctx.db.get(ctx.run_mutation(create, name="Ada"))


@case(mutation)
def a_key_of_a_rate_limit_that_is_no_text(ctx: Any, name: str) -> None:
    RateLimit(rate=1, period_seconds=60).require(ctx, 5)  # type: ignore[arg-type]


@case(query)
def a_page_without_a_size(ctx: Any, name: str) -> Any:
    return ctx.db.query("users").paginate({})


@case(mutation)
def insert_with_an_extra_field(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"name": name, "hash": SECRET, "nick": "x"})


@case(mutation)
def insert_without_a_field(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"hash": SECRET})


@case(mutation)
def insert_of_another_type(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"name": name, "hash": SECRET, "age": name})


@case(mutation)
def insert_of_no_document(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", [name, SECRET])


@case(mutation)
def insert_into_no_table(ctx: Any, name: Any) -> None:
    ctx.db.insert("userz", {"name": name, "hash": SECRET})


@case(mutation)
def insert_into_a_system_table(ctx: Any, name: Any) -> None:
    ctx.db.insert("_storage", {"name": SECRET})


@case(mutation)
def insert_of_a_naive_datetime(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"name": name, "hash": datetime.datetime(2026, 1, 1)})


@case(mutation)
def insert_of_a_system_field(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"name": name, "hash": SECRET, "_id": "x"})


@case(mutation)
def insert_with_too_few_arguments(ctx: Any, name: Any) -> None:
    ctx.db.insert("users")


@case(mutation)
def patch_of_another_type(ctx: Any, name: Any) -> None:
    ctx.db.patch(some(ctx)["_id"], {"hash": 5})


@case(mutation)
def patch_of_the_id(ctx: Any, name: Any) -> None:
    ctx.db.patch(some(ctx)["_id"], {"_id": SECRET})


@case(mutation)
def patch_of_none(ctx: Any, name: Any) -> None:
    ctx.db.patch(None, {"name": name})


@case(mutation)
def replace_without_a_field(ctx: Any, name: Any) -> None:
    ctx.db.replace(some(ctx)["_id"], {"hash": SECRET})


@case(mutation)
def delete_of_what_is_gone(ctx: Any, name: Any) -> None:
    id = some(ctx)["_id"]
    ctx.db.delete(id)
    ctx.db.delete(id)


@case(mutation)
def get_of_a_whole_document(ctx: Any, name: Any) -> None:
    ctx.db.get(some(ctx))


@case(query)
def get_of_none(ctx: Any, name: Any) -> None:
    ctx.db.get(None)


@case(query)
def get_of_no_id(ctx: Any, name: Any) -> None:
    ctx.db.get("not an id")


@case(mutation)
def get_of_another_table(ctx: Any, name: Any) -> None:
    ctx.db.get("orders", some(ctx)["_id"])


@case(query)
def query_of_no_table(ctx: Any, name: Any) -> None:
    ctx.db.query("userz").collect()


@case(query)
def query_of_a_system_table(ctx: Any, name: Any) -> None:
    ctx.db.query("_storage").collect()


@case(query)
def an_unknown_index(ctx: Any, name: Any) -> None:
    ctx.db.query("users").with_index("by_nam").collect()


@case(query)
def a_field_of_no_index(ctx: Any, name: Any) -> None:
    ctx.db.query("users").with_index("by_name", lambda q: q.eq("hash", SECRET)).collect()


@case(query)
def order_down(ctx: Any, name: Any) -> None:
    ctx.db.query("users").order("down")


@case(query)
def take_of_a_text(ctx: Any, name: Any) -> None:
    ctx.db.query("users").take("many")


@case(query)
def a_page_of_none(ctx: Any, name: Any) -> None:
    ctx.db.query("users").paginate(num_items=0)


@case(query)
def a_made_up_cursor(ctx: Any, name: Any) -> None:
    ctx.db.query("users").paginate(num_items=1, cursor="made up")


@case(query)
def a_filter_without_a_field(ctx: Any, name: Any) -> None:
    ctx.db.query("users").filter(lambda q: q.eq("hash", SECRET)).collect()


@case(mutation)
def a_filter_on_another_type(ctx: Any, name: Any) -> None:
    some(ctx)
    ctx.db.query("users").filter(lambda q: q.add(q.field("hash"), 1)).collect()


@case(mutation)
def unique_of_two(ctx: Any, name: Any) -> None:
    some(ctx), some(ctx)
    ctx.db.query("users").unique()


@case(query)
def write_in_a_query(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"name": name, "hash": SECRET})


@case(query)
def no_such_method(ctx: Any, name: Any) -> None:
    ctx.db.qurey("users")


@case(query(args={"name": v.any()}, returns=v.string()))
def a_result_of_another_type(ctx: Any, name: Any) -> Any:
    return {"hash": SECRET}


@case(mutation)
def a_result_that_cannot_be_encoded(ctx: Any, name: Any) -> Any:
    return {"hash": SECRET, "at": datetime.datetime(2026, 1, 1)}


@case(mutation)
def a_result_with_a_large_integer(ctx: Any, name: Any) -> Any:
    return {"hash": SECRET, "n": 2**60}


@case(mutation)
def a_result_with_a_strange_key(ctx: Any, name: Any) -> Any:
    return {"größe": SECRET}


@case(mutation)
def a_result_that_is_a_set(ctx: Any, name: Any) -> Any:
    return {SECRET}


@case(mutation)
def nested_with_a_wrong_argument(ctx: Any, name: Any) -> None:
    ctx.run_mutation(create, name={"hash": SECRET})


@case(mutation)
def nested_with_a_value_of_a_document(ctx: Any, name: Any) -> None:
    ctx.run_mutation(create, name=some(ctx))


@case(mutation)
def nested_with_an_unknown_argument(ctx: Any, name: Any) -> None:
    ctx.run_mutation(create, nam=name)


@case(mutation)
def nested_without_arguments(ctx: Any, name: Any) -> None:
    ctx.run_mutation(create)


@case(mutation)
def nested_by_an_unknown_name(ctx: Any, name: Any) -> None:
    ctx.run_mutation("m.create", name=name)


@case(mutation)
def nested_as_another_kind(ctx: Any, name: Any) -> None:
    ctx.run_query(create, name=name)


@case(mutation)
def nested_with_both_forms(ctx: Any, name: Any) -> None:
    ctx.run_mutation(create, {"name": name}, name=name)


@case(mutation)
def schedule_of_a_query(ctx: Any, name: Any) -> None:
    ctx.scheduler.run_after(0, by_name, name=name)


@case(mutation)
def schedule_in_the_past(ctx: Any, name: Any) -> None:
    ctx.scheduler.run_after(-1, create, name=name)


@case(mutation)
def schedule_after_a_text(ctx: Any, name: Any) -> None:
    ctx.scheduler.run_after("soon", create, name=name)


@case(mutation)
def schedule_at_a_naive_datetime(ctx: Any, name: Any) -> None:
    ctx.scheduler.run_at(datetime.datetime(2026, 1, 1), create, name=name)


@case(mutation)
def schedule_with_no_value(ctx: Any, name: Any) -> None:
    ctx.scheduler.run_after(0, create, name={SECRET})


@case(mutation)
def schedule_with_a_wrong_option(ctx: Any, name: Any) -> None:
    ctx.scheduler.with_options(retry=3).run_after(0, create, name=name)


@case(mutation)
def cancel_of_no_job(ctx: Any, name: Any) -> None:
    ctx.scheduler.cancel(some(ctx)["_id"])


@case(mutation)
def store_of_text(ctx: Any, name: Any) -> None:
    ctx.storage.store(SECRET)


@case(mutation)
def store_with_a_bad_type(ctx: Any, name: Any) -> None:
    ctx.storage.store(b"", content_type=f"{SECRET}\n")


@case(mutation)
def store_with_no_digest(ctx: Any, name: Any) -> None:
    ctx.storage.store(b"", sha256=SECRET)


@case(mutation)
def delete_of_no_file(ctx: Any, name: Any) -> None:
    ctx.storage.delete("no file")


@case(query)
def a_url_that_never_expires(ctx: Any, name: Any) -> None:
    file = ctx.storage.get_url("x", expires_in=-5)
    assert file, "no file"


@case(query)
def read_beyond_the_limits(ctx: Any, name: Any) -> None:
    for _ in range(5_000):
        ctx.db.query("users").first()


@case(mutation)
def write_beyond_the_limits(ctx: Any, name: Any) -> None:
    ctx.db.insert("users", {"name": "x" * 2_000_000, "hash": SECRET})


@case(query)
def a_key_error(ctx: Any, name: Any) -> Any:
    return {"a": SECRET}["b"]


@case(query)
def an_error_without_a_text(ctx: Any, name: Any) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raise Odd


globals().update(FUNCTIONS)
HANDLERS: dict[str, Callable[[Any, Any], Any]] = {
    "a handler that returns a text": lambda ctx, request: SECRET,
    "a handler that returns nothing": lambda ctx, request: None,
    "a handler that asks for ctx.db": lambda ctx, request: ctx.db.get("x"),
    "an answer that JSON cannot say": lambda ctx, request: {"hash": {SECRET}},
    "a status that is none": lambda ctx, request: Response(SECRET, status=99),
    "a header that is none": lambda ctx, request: Response("", headers={"X-A": f"{SECRET}\r\n"}),
    "a secret's name that is none": lambda ctx, request: ctx.secret("whsec_0123456789abcdef0123"),
    "a wrong argument": lambda ctx, request: ctx.run_mutation(create, name=[SECRET]),
    "a naive datetime": lambda ctx, request: ctx.scheduler.run_at(datetime.datetime(2026, 1, 1), create),
    "a bad content type": lambda ctx, request: ctx.storage.store(b"", content_type="\n"),
    "no id of a file": lambda ctx, request: ctx.storage.delete(SECRET),
    "no source of a file": lambda ctx, request: ctx.storage.store(SECRET),
    "no id of a job": lambda ctx, request: ctx.scheduler.cancel(SECRET),
    "an unknown function": lambda ctx, request: ctx.run_query("m.by_name", name="x"),
    "a path parameter that is none": lambda ctx, request: request.path_params["nam"],
    "a body that is read twice": lambda ctx, request: [request.body.read(1), request.json()],
}


def app_of(name: str, *, development: bool = False) -> App:
    http = HttpRouter()
    function = FUNCTIONS.get(name)
    handler = HANDLERS.get(name)
    if function is not None:
        run = {"query": "run_query", "mutation": "run_mutation"}[function.kind]
        handler = lambda ctx, request: {"result": getattr(ctx, run)(function, name=request.json()["name"])}
    assert handler is not None
    http.route(path="/x", method="POST", handler=handler)
    limits = Limits(query_seconds=60, mutation_seconds=60)  # a busy machine is no mistake
    settings: Any = {"schema": schema, "modules": {"m": __name__}, "limits": limits}
    return App(http, **settings, data=":memory:", development=development)


# Python callers get Python values: only the function API has no form for these.
ONLY_IN_THE_API = ("a_result_with_a_large_integer", "a_result_with_a_strange_key")


@pytest.fixture(params=[name for name in (*FUNCTIONS, *HANDLERS) if name not in ONLY_IN_THE_API])
def mistake(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    found: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == threading.get_ident() == here:  # not what another app's threads say meanwhile
                found.append(record)

    here = threading.get_ident()
    handler = Kept(level=logging.WARNING)
    logging.getLogger("minihttp").addHandler(handler)
    yield found
    logging.getLogger("minihttp").removeHandler(handler)


def post(app: App, path: str, body: Any) -> Any:
    with testing.in_memory(app) as copy:
        return webtest.TestApp(copy).post_json(path, body, expect_errors=True)


def assert_logged_once(errors: list[logging.LogRecord]) -> None:
    [record] = errors
    assert record.levelno == logging.ERROR and record.exc_info
    error = record.exc_info[1]
    assert error is not None
    assert __file__ in describe(error).partition("  through:")[0]


def test_on_a_route_it_is_a_500_and_one_log_entry(mistake: str, errors: list[logging.LogRecord]) -> None:
    response = post(app_of(mistake), "/x", {"name": "Ada"})
    assert response.status_int == 500
    assert response.json == {"error": "Internal server error"}
    assert_logged_once(errors)


def test_in_development_the_response_has_message_and_frames(mistake: str) -> None:
    response = post(app_of(mistake, development=True), "/x", {"name": "Ada"})
    assert response.status_int == 500
    said = response.json
    assert said["error"] == "Internal server error"
    assert re.match(r"[A-Z]\w+(: |$)", said["message"])
    assert (
        any("test_mistakes.py:" in frame for frame in said["frames"]) or "handler of POST" in said["message"]
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_the_function_api_it_is_a_server_error(name: str, errors: list[logging.LogRecord]) -> None:
    call = {"path": f"m:{name}", "args": {"name": "Ada"}, "format": "json"}
    response = post(app_of(name), f"/api/{FUNCTIONS[name].kind}", call)
    assert response.status_int == 200
    assert re.fullmatch(r"\[Request ID: \w{16}\] Server Error", response.json["errorMessage"])
    assert_logged_once(errors)
    shown = post(app_of(name, development=True), f"/api/{FUNCTIONS[name].kind}", call).json["errorMessage"]
    assert "Uncaught " in shown
    assert "test_mistakes.py:" in shown


# ---------------------------------------------------------------- what stays the caller's


@internal_mutation(args={"text": v.string()})
def publish(ctx: Any, text: str) -> None:
    if len(text) < 3:
        raise ValidationError("the text is too short")
    ctx.db.insert("users", {"name": text, "hash": ""})


@mutation
def add_public(ctx: Any, name: Any) -> Any:
    return ctx.run_mutation(create, name=name)


@query(args={"id": v.string()})
def get_public(ctx: Any, id: str) -> Any:
    return ctx.db.get(id)


@query(args={"page": v.any()})
def page_public(ctx: Any, page: Any) -> Any:
    return ctx.db.query("users").paginate(**page)


@query(args={"options": v.any()})
def options_public(ctx: Any, options: Any) -> Any:
    return ctx.db.query("users").paginate(options)


@mutation(args={"key": v.any(), "count": v.any()})
def take_public(ctx: Any, key: Any, count: Any) -> None:
    RateLimit(rate=1, period_seconds=60).require(ctx, key, count)


@query(args={"secret": v.literal("sesame")})
def guarded(ctx: Any, secret: str) -> None: ...


@pytest.mark.parametrize(
    ("kind", "name", "args", "said"),
    [
        ("mutation", "add_public", {"name": 5}, "Path: .name\nValue: 5.0\nValidator: v.string()"),
        ("mutation", "add_public", {}, "missing 1 required positional argument"),
        ("query", "get_public", {"id": 5}, "ArgumentValidationError: Value does not match validator."),
        ("query", "get_public", {}, "missing the required field `id`"),
        ("query", "get_public", {"id": "x", "more": 1}, "extra field `more`"),
        ("query", "get_public", {"id": "no id"}, "Unable to decode ID"),
        ("query", "page_public", {"page": {"num_items": 0}}, "at least 1 document"),
        ("query", "page_public", {"page": {"num_items": 1, "cursor": "forged"}}, 'Cursor "forged"'),
        ("query", "options_public", {"options": {}}, "`options.numItems` must be a positive number"),
        ("query", "options_public", {"options": {"cursor": None}}, "Received `undefined`"),
        ("query", "options_public", {"options": {"numItems": None}}, "Received `null`"),
        ("query", "options_public", {"options": 5}, "`options` must be an object with `numItems`"),
        ("query", "options_public", {"options": "x"}, "`options` must be an object with `numItems`"),
        ("query", "options_public", {"options": [1]}, "`options` must be an object with `numItems`"),
        ("mutation", "take_public", {"key": 5, "count": 1}, "key of a rate limit must be a text, not 5"),
        ("mutation", "take_public", {"key": {}, "count": 1}, "key of a rate limit must be a text, not {}"),
        (
            "mutation",
            "take_public",
            {"key": "k", "count": 2},
            "count must be a number from 0 to the capacity",
        ),
        ("query", "add_public", {"name": "x"}, "Trying to execute m:add_public as Query"),
        ("query", "guarded", {"secret": "x"}, "does not match literal validator"),
        ("query", "nowhere", {}, "Could not find public function for 'm:nowhere'. Is its module"),
    ],
)
def test_arguments_of_the_function_api_are_the_callers(
    kind: str, name: str, args: Any, said: str, errors: list[logging.LogRecord]
) -> None:
    call = {"path": f"m:{name}", "args": args, "format": "json"}
    response = post(app_of("order_down"), f"/api/{kind}", call)
    assert response.status_int == 200
    if "positional argument" in said:  # a function without `args` that is called without an argument
        assert re.fullmatch(r"\[Request ID: \w{16}\] Server Error", response.json["errorMessage"])
        return
    assert said in response.json["errorMessage"]
    assert not errors


@query(args={"options": v.any()})
def spoiled_query(ctx: Any, options: Any) -> Any:
    options["numItems"] = SECRET
    return ctx.db.query("users").paginate(options)


@mutation(args={"options": v.any()})
def spoiled_mutation(ctx: Any, options: Any) -> Any:
    return spoiled_query(ctx, options)


@action(args={"options": v.any()})
def spoiled_action(ctx: Any, options: Any) -> Any:
    options["name"] = [SECRET]
    return ctx.run_mutation(create, name=options["name"])


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_what_a_function_puts_into_its_arguments_is_not_the_callers(
    kind: str, errors: list[logging.LogRecord]
) -> None:
    call: Any = {"path": f"m:spoiled_{kind}", "args": {"options": {"numItems": 1}}, "format": "json"}
    answers = [post(app_of("order_down"), f"/api/{kind}", call).json]
    if kind == "query":
        batch = post(app_of("order_down"), "/api/query_batch", {"queries": [call]})
        answers += batch.json["results"]
    for answer in answers:
        assert re.fullmatch(r"\[Request ID: \w{16}\] Server Error", answer["errorMessage"])
    assert len(errors) == len(answers)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"options": {}}, "`options.numItems` must be a positive number"),
        ({"options": [1]}, "`options` must be an object with `numItems`"),
        ({"key": 5}, "the key of a rate limit must be a text, not 5"),
        ({"key": "k", "count": "1"}, "count must be a number from 0 to the capacity 1, not '1'"),
    ],
)
def test_a_value_of_the_request_that_a_function_refuses_is_the_callers(
    body: Any, said: str, errors: list[logging.LogRecord]
) -> None:
    def handler(ctx: Any, request: Any) -> Any:
        sent = request.json()
        if "options" in sent:
            return ctx.run_query(options_public, options=sent["options"])
        return ctx.run_mutation(take_public, key=sent["key"], count=sent.get("count", 1))

    HANDLERS["passes on"] = handler
    try:
        response = post(app_of("passes on"), "/x", body)
    finally:
        del HANDLERS["passes on"]
    assert response.status_int == 400
    assert said in response.json["error"]
    assert not errors


@mutation(args={"value": v.any()})
def keep_public(ctx: Any, value: Any) -> Any:
    return ctx.run_query(echo_public, value=value)


@query(args={"value": v.any()})
def echo_public(ctx: Any, value: Any) -> Any:
    return value


DEEP_HANDLERS: list[Callable[[Any, Any], Any]] = [
    lambda ctx, request: Response.json(request.json()),
    lambda ctx, request: Response.json([request.json(v.any())]),
    lambda ctx, request: Response.json({**request.json(dict)}),
    lambda ctx, request: Response.json(ctx.run_mutation(keep_public, value=request.json())),
    lambda ctx, request: Response.json(ctx.run_mutation(keep_public, value=json.loads(request.text()))),
]


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 249, 250, 251, 500, 900])
@pytest.mark.parametrize("limit", [64, 250])
def test_json_of_any_depth_is_answered_or_the_callers(depth: int, limit: int) -> None:
    http = HttpRouter()
    for number, handler in enumerate(DEEP_HANDLERS):
        http.route(path=f"/{number}", method="POST", handler=handler)
    http.mutation("/function", keep_public)
    limits = Limits(max_json_depth=limit)
    app = App(http, modules={"m": __name__}, data=":memory:", limits=limits)  # type: ignore[dict-item]
    objects, arrays = '{"a":' * depth + "1.0" + "}" * depth, "[" * depth + "1.0" + "]" * depth
    with testing.in_memory(app, limits=limits) as copy:
        client = webtest.TestApp(copy)
        post = partial(client.post, content_type="application/json", expect_errors=True)
        for text in (objects, arrays):
            for number in range(len(DEEP_HANDLERS)):
                assert post(f"/{number}", text).status_int in ((200, 400) if depth <= limit else (400,))
            assert post("/function", f'{{"value":{text}}}').status_int in (200, 400)
            for format in ("json", "convex_encoded_json"):
                call = f'{{"path":"m:echo_public","format":"{format}","args":{{"value":{text}}}}}'
                response = post("/api/query", call)
                assert response.status_int in (200, 400)
                assert not response.json.get("errorMessage", "\n").endswith("Server Error")


@pytest.mark.parametrize("written", ["m.get_public", "m/get_public"])
def test_a_wrong_separator_gets_a_suggestion(written: str) -> None:
    response = post(app_of("order_down"), "/api/query", {"path": written, "args": {}, "format": "json"})
    assert response.json["errorMessage"].endswith("; did you mean 'm:get_public'?")
    hidden = post(app_of("order_down"), "/api/query", {"path": "m.by_name", "args": {}, "format": "json"})
    assert "did you mean" not in hidden.json["errorMessage"]


def test_an_error_that_the_app_raises_on_purpose_is_shown(errors: list[logging.LogRecord]) -> None:
    HANDLERS["on purpose"] = lambda ctx, request: ctx.run_mutation(publish, text=request.json()["name"])
    try:
        response = post(app_of("on purpose"), "/x", {"name": "ab"})
    finally:
        del HANDLERS["on purpose"]
    assert (response.status_int, response.json) == (400, {"error": "the text is too short"})
    assert not errors


def test_an_application_error_reaches_the_caller_even_if_its_data_cannot(
    errors: list[logging.LogRecord],
) -> None:
    @mutation
    def sold_out(ctx: Any, name: Any) -> None:
        raise ApplicationError(
            {"code": "SOLD_OUT"} if name == "Ada" else {"at": datetime.datetime(2026, 1, 1)}
        )

    FUNCTIONS["sold_out"] = globals()["sold_out"] = sold_out
    try:
        app = app_of("sold_out")
        response = post(app, "/x", {"name": "Ada"})
        assert (response.status_int, response.json["data"]) == (500, {"code": "SOLD_OUT"})
        call = {"path": "m:sold_out", "args": {"name": "Ada"}, "format": "json"}
        assert post(app, "/api/mutation", call).json["errorData"] == {"code": "SOLD_OUT"}
        call["args"] = {"name": "Eva"}
        assert re.fullmatch(r".*Server Error", post(app, "/api/mutation", call).json["errorMessage"])
        assert post(app, "/x", {"name": "Eva"}).json == {"error": "Internal server error"}
    finally:
        del FUNCTIONS["sold_out"], globals()["sold_out"]


def test_a_document_that_the_callers_value_makes_too_large_is_the_callers() -> None:
    HANDLERS["large"] = lambda ctx, request: ctx.run_mutation(publish, text=request.json()["name"])
    try:
        response = post(app_of("large"), "/x", {"name": "x" * 1_200_000})
    finally:
        del HANDLERS["large"]
    assert response.status_int == 400
    assert response.json["error"].startswith("Document is too large")


def test_what_is_asked_of_a_context_that_lacks_it_says_what_to_write() -> None:
    said = {
        "a handler that asks for ctx.db": "ctx.run_query(f, …)",
        "write_in_a_query": "a query only reads",
        "no_such_method": "did you mean 'query'?",
        "nested_by_an_unknown_name": "did you mean 'm:create'?",
        "an_unknown_index": "did you mean 'by_name'?",
        "query_of_no_table": 'did you mean "users"?',
        "nested_with_both_forms": "takes name in order, and 1 were given",
    }
    for name, hint in said.items():
        response = post(app_of(name, development=True), "/x", {"name": "Ada"})
        assert hint in response.json["message"], name
        assert "whsec_" not in response.text


def test_ids_of_tables_that_there_are_not_are_refused_at_start() -> None:
    with pytest.raises(SchemaError, match=r'Table "a": v.id\("b"\) names a table that is not in the schema'):
        Schema(a=Table({"b": v.optional(v.array(v.id("b")))}))
    Schema(a=Table({"b": v.id("_storage"), "c": v.id("a")}))
    Schema(schema_validation=False, a=Table({"b": v.id("b")}))

    @query(args={"ids": v.array(v.union(v.id("users"), v.id("userz")))})
    def look(ctx: Any, ids: Any) -> None: ...

    globals()["look"] = look
    try:
        with pytest.raises(SchemaError, match='not in the schema; did you mean "users"') as caught:
            testing.in_memory(app_of("order_down")).open()
    finally:
        del globals()["look"]
    assert look.location in str(caught.value)


def test_white_space_around_a_secret_is_not_part_of_it() -> None:
    http = HttpRouter(secrets=["KEY"])
    http.get("/x")(lambda ctx, request: {"key": ctx.secret("KEY")})
    for value, status in (("  abc\n", 200), (" \n", 503), ("", 503)):
        app = App(http, data=":memory:", environment={"KEY": value, "MINIHTTP_ADMIN_KEY": "admin\n"})
        with testing.in_memory(app) as copy:
            client = webtest.TestApp(copy)
            response = client.get("/x", expect_errors=True)
            assert response.status_int == status
            assert copy.missing_secrets() == ([] if status == 200 else [("", "KEY")])
            if status == 200:
                assert response.json == {"key": "abc"}
            call = {"path": "_jobs:list", "args": {}, "format": "json"}
            headers = {"Authorization": "Convex admin"}
            assert client.post_json("/api/function", call, headers=headers).json["status"] == "success"


@pytest.mark.parametrize(
    ("path", "near"), [("/x/", "/x"), ("/users", "/users/"), ("/usres/", "/users/"), ("/nothing/near/it", "")]
)
def test_a_404_names_the_path_that_was_meant_in_development_only(path: str, near: str) -> None:
    router = HttpRouter()
    router.route(path="/x", method="POST", handler=lambda ctx, request: {})
    router.route(path="/users/", method="GET", handler=lambda ctx, request: {})
    said = f"Not found; did you mean {near!r}?" if near else "Not found"
    for development, error in ((True, said), (False, "Not found")):
        with testing.in_memory(App(router), development=development) as app:
            assert webtest.TestApp(app).get(path, status=404).json == {"error": error}
