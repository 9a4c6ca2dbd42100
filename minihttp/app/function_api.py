# SPDX-License-Identifier: MIT
"""The function API: `/api/query` and its siblings in Convex's wire format, so that Convex's own HTTP clients
work.

Serves public functions to anybody and internal ones to the holder of the admin key; to everybody else an
internal function looks exactly like one that does not exist. Errors of a function are a 200 with `status:
"error"`, errors of the transport a 4xx with `code` and `message` (`docs/convex.md` §7).
`system_routes.py` says which path is which operation, and loads this file when one is asked for. Knows no
engine and no router.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import struct
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from ..auth.caller import NOBODY
from ..errors import (
    ApplicationError,
    ArgumentValidationError,
    FunctionNotFoundError,
    HTTPError,
    MinihttpError,
    StorageUnavailableError,
    ValidationError,
    short,
)
from ..functions.calls import CallInfo
from ..functions.context import transaction_of
from ..http.coded_response import CODED, coded_response
from ..http.deferred import Deferred, Done, outcome
from ..http.response import Response, encode_json
from ..http.sent import Sent
from ..http.strict_json import JSONObject, parse_json
from ..shown import quoted
from ..tracebacks import error_text, is_on_purpose, shown_frames
from ..values import WireBounds, decode, encode_clean, encode_wire
from .idempotency import IdempotencyKeyInUseError
from .log_ring import LogLines

if TYPE_CHECKING:
    from ..functions.runner import CallOptions, Then
    from ..limits import Limits
    from .idempotency import Attempt
    from .request import AppRequest
    from .runtime import Runtime

log = logging.getLogger("minihttp")

_LOG_LINES = 256  # a call
_LOG_LINE_BYTES = 4_096


class _Encoded:
    """A value that is JSON text already, for `Response.json`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def json_text(self) -> str:
        return self._text


def _format(convert: Callable[[Any], Any]) -> Callable[[Any], _Encoded]:
    """Writes values in a format; a document that nobody has looked into is its text already."""

    def encode(value: Any) -> str:
        return encode_json(convert(value))

    return lambda value: _Encoded(encode_json(value, encode, "wire_text"))


_encode_clean, _encode_wire = _format(encode_clean), _format(encode_wire)
_FORMATS: dict[str, Callable[[Any], _Encoded]] = {
    "json": _encode_clean,
    "convex_clean_json": _encode_clean,
    "convex_encoded_json": _encode_wire,
    "convex_json": _encode_wire,
    "export_json": _encode_wire,
}
_MAX_QUERIES = 100  # of one batch: each may read as much as one by itself
_MAX_PATH_CHARACTERS = 1_000
_MAX_URL_ELEMENTS = 2_000  # of arguments in a URL: whoever has more sends a body
_MAX_GROWTH = 5  # a number of two bytes of JSON counts as nine
_PATH = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*(?::[A-Za-z_][A-Za-z0-9_]*)?"
)


class _ArgumentBounds(WireBounds):
    """Arguments are bounded as documents are, but may nest as deep as their JSON."""

    def __init__(self, limits: Limits) -> None:
        self.max_document_fields, self.max_array_length = limits.max_document_fields, limits.max_array_length


class _Called:
    """One call as it stands in a request: which function, with what, answered how.

    Attributes:
        has_begun: whether the function has its arguments, and may change them.
    """

    __slots__ = ("_decoded", "args", "encode", "has_begun", "path")

    def __init__(self, body: Mapping[str, Any], request: AppRequest) -> None:
        path = body.get("path")
        if not isinstance(path, str):
            raise HTTPError(400, "missing field `path`", code="BadJsonBody")
        if len(path) > _MAX_PATH_CHARACTERS or not _PATH.fullmatch(path):
            raise HTTPError(
                400, f"{quoted(path)} is not the path of a function", code="BadConvexFunctionIdentifier"
            )
        # Convex's clients name the format; a caller without their header gets plain JSON
        is_convex = request.headers.get("Convex-Client") is not None
        name = body.get("format") or ("convex_encoded_json" if is_convex else "json")
        if not isinstance(name, str) or name not in _FORMATS:
            raise HTTPError(
                400, f"format param must be one of [`json`]. Got {quoted(name)[1:-1]}", code="BadFormat"
            )
        self.path = path
        self.args = body.get("args", {})
        self._decoded: dict[str, Any] = {}
        self.has_begun = False
        self.encode = _FORMATS[name]

    def arguments(self, bounds: WireBounds) -> dict[str, Any]:
        """The arguments: an object, or the older list of exactly one object."""
        args = self.args
        if isinstance(args, list):
            if len(args) != 1:
                raise ArgumentValidationError(
                    "Expected to receive a single object as the function's argument."
                    f" Instead received {len(args)} arguments"
                ).refusing(args)
            args = args[0]
        if not isinstance(args, dict):
            raise ArgumentValidationError(
                "Expected to receive a single object as the function's argument."
                f" Instead received {quoted(args)}"
            ).refusing(args)
        self._decoded = JSONObject(decode(args, bounds))
        return self._decoded

    def sent(self) -> Sent:
        """What the caller sent."""
        if self.has_begun:
            self.arguments(WireBounds())  # decoded anew
        return Sent([self.path, self.args, self._decoded])

    def encoded(self, ctx: Any, value: Any) -> Any:
        """The result in the format that was asked for."""
        return self.encode(value)


class FunctionApi:
    """The operations of the function API of one app, each a method that answers its one request."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._bounds = _ArgumentBounds(runtime.limits)
        self._is_admin = False
        self._how: CallOptions = {}

    def answer(self, operation: str, request: AppRequest) -> Response | Deferred:
        """Answer by the method `operation`; errors of the transport are `{code, message}`, not minihttp's
        own `{error}`.
        """

        def run() -> Any:
            self._read_caller(request)  # before the body: a wrong key is seen from the head
            return getattr(self, operation)(request)

        result: Response | Deferred = self._answer_errors(run, request)
        if isinstance(result, Deferred):
            return result.within(lambda make: self._answer_errors(make, request))
        return result

    def _answer_errors(self, run: Callable[[], Any], request: AppRequest) -> Any:
        try:
            result = run()
        except CODED as error:  # of functions, errors are in the outcome
            return coded_response(error, request)
        if isinstance(result, Response):
            result.headers.set("X-Content-Type-Options", "nosniff")
        return result

    # ------------------------------------------------------------ operations

    def query(self, request: AppRequest) -> Response:
        return self._posted(request, "query")

    def mutation(self, request: AppRequest) -> Response | Deferred:
        return self._mutate(_Called(_body(request), request), request)

    def action(self, request: AppRequest) -> Response:
        return self._posted(request, "action")

    def _posted(self, request: AppRequest, kind: str) -> Response:
        return self._answer(_Called(_body(request), request), request, kind)

    def get_query(self, request: AppRequest) -> Response:
        body: dict[str, Any] = dict(request.query.items())
        limits = self._runtime.options.limits
        count = min(limits.max_json_elements, _MAX_URL_ELEMENTS)
        try:
            body["args"] = parse_json(
                (body.get("args") or "{}").encode("utf-8", "surrogatepass"),
                limits.max_json_depth,
                most=(count, count, count),
            )
        except HTTPError as error:
            raise HTTPError(error.status, f"args: {error.message}", code="BadJsonBody") from None
        return self._answer(_Called(body, request), request, "query")

    def run_path(self, request: AppRequest) -> Response | Deferred:
        module, _, name = request.tail.rpartition("/")
        if not module or not name:
            raise HTTPError(
                400,
                "Path or function name not provided in path, e.g. /api/run/messages/list",
                code="MissingIdentifier",
            )
        called = _Called({**_body(request), "path": f"{module}:{name}"}, request)
        functions = self._runtime.runner.registry
        is_mutation = functions.kind_of(called.path) == "mutation"
        return self._mutate(called, request) if is_mutation else self._answer(called, request, None)

    def function(self, request: AppRequest) -> Response:
        if not self._is_admin:
            raise HTTPError(401, "This needs the admin key", code="InvalidAuthHeader")
        body = _body(request)
        if body.get("componentPath"):
            raise HTTPError(
                400, f"There is no component {quoted(body['componentPath'])}", code="ComponentNotFound"
            )
        return self._answer(_Called(body, request), request, None)

    def query_batch(self, request: AppRequest) -> Response:
        queries = _body(request).get("queries")
        if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
            raise HTTPError(400, "missing field `queries`", code="BadJsonBody")
        if len(queries) > _MAX_QUERIES:
            message = f"{len(queries)} queries are in one batch, the limit is {_MAX_QUERIES}"
            raise HTTPError(400, message, code="BadJsonBody")
        calls = [_Called(query, request) for query in queries]
        return Response.json({"results": self._queries(calls, request, None)})

    def query_ts(self, request: AppRequest) -> Response:
        timestamp = self._runtime.database.pin()
        return Response.json({"ts": base64.b64encode(struct.pack("<Q", timestamp)).decode()})

    def query_at_ts(self, request: AppRequest) -> Response:
        body = _body(request)
        try:
            (timestamp,) = struct.unpack("<Q", base64.b64decode(body.get("ts"), validate=True))  # type: ignore[arg-type]
        except (TypeError, ValueError, struct.error):
            raise HTTPError(
                400, f"ts {quoted(body.get('ts'), 50)} is not a timestamp", code="BadJsonBody"
            ) from None
        [result] = self._queries([_Called(body, request)], request, timestamp)
        return Response.json(result)

    # ------------------------------------------------------------ running

    def _queries(self, calls: list[_Called], request: AppRequest, at: int | None) -> list[_Encoded]:
        """Several queries on one snapshot."""
        runner = self._runtime.runner

        def run(transaction: Any) -> list[_Encoded]:
            def answered(called: _Called) -> _Encoded:
                def run() -> Any:
                    how = self._options(called, request, "query", called.encoded)
                    args = called.arguments(self._bounds)
                    called.has_begun = True
                    return runner.run_in(transaction, called.path, args, **how)

                return _Encoded(encode_json(self._outcome(called, request, run)))

            return [answered(called) for called in calls]

        return self._runtime.database.read(
            run, time_limit_seconds=self._runtime.options.limits.query_seconds, at=at
        )

    def _options(self, called: _Called, request: AppRequest, kind: str | None, then: Then) -> CallOptions:
        """How a call is made; one that would not run is refused before its arguments are decoded."""
        call, public = self._how["call"], self._how["public"]
        self._runtime.runner.find(called.path, kind, call, public)
        is_small = len(request.bytes()) <= self._runtime.limits.max_args_bytes // _MAX_GROWTH
        return {**self._how, "kind": kind, "then": then, "sized": is_small}

    def _answer(self, called: _Called, request: AppRequest, kind: str | None) -> Response:
        runner = self._runtime.runner

        def run(then: Any) -> Any:
            how = self._options(called, request, kind, then)
            bound = runner.bind(called.path, called.arguments(self._bounds), **how)
            called.has_begun = True
            return bound()

        is_mutation = runner.registry.kind_of(called.path) == "mutation"
        if request.headers.get("Idempotency-Key") is None or not is_mutation:
            return Response.json(self._outcome(called, request, lambda: run(called.encoded)))

        def respond(attempt: Attempt) -> Response:
            def then(ctx: Any, value: Any) -> Any:
                encoded = called.encode(value)
                response = Response.json({"status": "success", "value": encoded})
                attempt.keep_in(transaction_of(ctx), response)
                return encoded

            return Response.json(self._outcome(called, request, lambda: run(then)))

        return self._runtime.services.idempotency.answer(request, respond)

    def _mutate(self, called: _Called, request: AppRequest) -> Response | Deferred:
        """Run a mutation; where nobody wants its log lines or has a key, no thread waits for the disk."""
        if self._runtime.options.development or request.headers.get("Idempotency-Key") is not None:
            return self._answer(called, request, "mutation")

        def start(done: Done) -> None:
            def end(value: Any, error: BaseException | None) -> None:
                called.has_begun = True
                done(value, error)

            how = self._options(called, request, "mutation", called.encoded)
            self._runtime.runner.submit(called.path, called.arguments(self._bounds), end, **how)

        def respond(value: Any, error: BaseException | None) -> Response:
            return Response.json(self._outcome(called, request, partial(outcome, value, error)))

        return Deferred(start, respond)

    def _outcome(self, called: _Called, request: AppRequest, run: Callable[[], Any]) -> dict[str, Any]:
        """Run and say how it went; only faults of the machine go on as errors of the transport."""
        lines = LogLines(_log_line, _LOG_LINES) if self._runtime.options.development else None
        try:
            with lines or nullcontext():
                outcome = {"status": "success", "value": run()}
        except (StorageUnavailableError, IdempotencyKeyInUseError):
            raise
        except (Exception, SystemExit) as error:
            outcome = self._failure(error, called, request)
        if lines is not None and lines.lines:
            outcome["logLines"] = lines.lines
        return outcome

    def _failure(self, error: BaseException, called: _Called, request: AppRequest) -> dict[str, Any]:
        """The outcome of a call that failed."""
        data: dict[str, Any] = {}
        if isinstance(error, ApplicationError):
            try:
                data["errorData"] = called.encode(error.data)
            except ValidationError as problem:
                problem.__cause__, problem.refusal = error, None
                error = problem
        return {"status": "error", "errorMessage": short(self._message(error, called, request)), **data}

    def _message(self, error: BaseException, called: _Called, request: AppRequest) -> str:
        head = f"[Request ID: {request.id}] Server Error"
        if isinstance(error, FunctionNotFoundError) and error.path == called.path:  # not one that it calls
            return (
                f"{head}\nCould not find public function for {quoted(called.path)}{self._hint(called.path)}"
            )
        message = called.sent().message(error)
        if message is not None:
            return f"{head}\n{message}"
        # The framework's own
        is_for_operator = called.path.startswith("_") and isinstance(error, MinihttpError)
        if is_for_operator or isinstance(error, HTTPError) or is_on_purpose(error):
            return f"{head}\n{error}"
        self._runtime.failures.log(log, error, "function %s failed request_id=%s", called.path, request.id)
        if isinstance(error, MinihttpError) and error.public:
            return f"{head}\n{error}"
        if not self._runtime.options.development:
            return head
        frames = "".join(f"    at {frame}\n" for frame in shown_frames(error))
        if isinstance(error, ApplicationError):
            data = error.data
            said = data if isinstance(data, str) else json.dumps(encode_wire(data), ensure_ascii=False)
            return f"{head}\nUncaught ConvexError: {said}\n{frames}"
        return f"{head}\nUncaught {error_text(error)}\n{frames}"

    def _hint(self, path: str) -> str:
        """The public function that was meant, where only a `.` or `/` stands for the colon."""
        meant = ":".join(re.split(r"[./:](?=[^./:]*$)", path))
        try:
            is_meant = self._runtime.runner.resolve(meant).public
        except FunctionNotFoundError:
            is_meant = False
        return (
            f"; did you mean {quoted(meant)}?" if is_meant else ". Is its module named in App(modules=[…])?"
        )

    def _read_caller(self, request: AppRequest) -> None:
        """Find out whether the request holds the admin key, and who calls.

        Raises:
            AuthError: 401 for a header that proves nothing, as in Convex.
        """
        header = request.headers.get("Authorization")
        auth = NOBODY
        if header is not None:
            self._is_admin, auth = self._runtime.read_authorization(header, request.remote_addr)
        origin = self._runtime.options.origin or (lambda: request.origin)
        call = CallInfo(auth, origin=origin, request_id=request.id)
        self._how = {"call": call, "public": not self._is_admin, "wire": True}


def _body(request: AppRequest) -> dict[str, Any]:
    try:
        body: JSONObject = request.json(dict)  # type: ignore[assignment]
    except HTTPError as error:
        if error.status in (413, 503):
            raise
        message = (
            "Expected request with `Content-Type: application/json`" if error.status == 415 else error.message
        )
        raise HTTPError(400, message, code="BadJsonBody") from None
    return body.decoded()


_LEVELS = {logging.DEBUG: "DEBUG", logging.INFO: "INFO", logging.WARNING: "WARN", logging.ERROR: "ERROR"}


def _log_line(record: logging.LogRecord) -> str:
    """A line as Convex's clients show it, at the level that its console has."""
    return f"[{_LEVELS.get(record.levelno, 'LOG')}] {record.getMessage()!r}"[:_LOG_LINE_BYTES]
