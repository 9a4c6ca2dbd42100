# SPDX-License-Identifier: MIT
"""The one place where errors become responses: JSON `{"error": …}`, nosniff, and the request's id.

A `MinihttpError` says its own status and whether its message is for strangers; anything else is a 500 whose
traceback goes to the log only, under the same request id. Knows no routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from ..errors import (
    ApplicationError,
    HTTPError,
    MinihttpError,
    NotReadyError,
    StorageUnavailableError,
    ValidationError,
    WebhookError,
    short,
)
from ..json_numbers import compact
from ..loggers import get_logger
from .request import Request, request_id
from .response import Response

if TYPE_CHECKING:
    from logging import Logger

    class Failures(Protocol):
        """What an app has for errors (`tracebacks.RepeatFilter`); the router on its own goes without."""

        are_shown: bool

        def log(self, logger: Logger, error: BaseException, message: str, *args: object) -> None: ...
        def is_on_purpose(self, error: BaseException) -> TypeGuard[MinihttpError]: ...
        def text(self, error: BaseException) -> str: ...
        def frames(self, error: BaseException) -> list[str]: ...


log = get_logger("minihttp")

_JSON = ("Content-Type", "application/json")
RETRY = ("Retry-After", "5")
NOSNIFF = ("X-Content-Type-Options", "nosniff")


def error_response(
    status: int,
    message: str,
    environ: dict[str, Any],
    headers: Iterable[tuple[str, str]] = (),
    /,
    **more: Any,
) -> Response:
    """`{"error": message, …}` with the headers that every error response has."""
    response = _with_body(_body(message, more), status, environ)
    for name, value in headers:
        response.headers.append(name, value)
    return response


def _body(message: str, more: dict[str, Any]) -> bytes:
    return compact({"error": short(message), **more}).encode("utf-8", "replace")


def _with_body(body: bytes, status: int, environ: dict[str, Any]) -> Response:
    return Response.prepared(body, status, [_JSON, NOSNIFF, ("X-Request-Id", request_id(environ))])


_NOT_FOUND = _body("Not found", {})


def not_found(environ: dict[str, Any]) -> Response:
    """The 404 of a path that nothing answers, which strangers ask for all the time: its body is made once."""
    return _with_body(_NOT_FOUND, 404, environ)


def response_for(error: BaseException, environ: dict[str, Any], request: Request | None = None) -> Response:
    """The response for an exception that a handler let out; what the author must know is logged.

    Args:
        request: where a refused value may have come from, if the handler got one.
    """
    if isinstance(error, HTTPError):
        return error_response(error.status, error.message, environ, error.headers)
    if isinstance(error, WebhookError):
        log.warning("webhook refused: %s (%s) request_id=%s", error.reason, error, request_id(environ))
        return error_response(error.status, "Webhook verification failed", environ)
    if isinstance(error, StorageUnavailableError):
        log_fault(error, request_id(environ))
        return error_response(error.status, error.told, environ, [RETRY])
    if isinstance(error, MinihttpError) and error.refusal is not None and request is not None:
        from .sent import sent_with  # no room of the router refuses values so

        told = sent_with(request).message(error)
        if told is not None:
            return error_response(error.status, told, environ)
    failures: Failures | None = environ.get("minihttp.failures")
    if failures is not None and failures.is_on_purpose(error):
        return error_response(error.status, str(error), environ)
    label = environ.get("REQUEST_METHOD"), environ.get("minihttp.route", "?"), type(error).__name__
    message = "%s %s failed: %s request_id=%s"
    if failures is None:
        log.error(message, *label, request_id(environ), exc_info=error)
    else:
        failures.log(log, error, message, *label, request_id(environ))
    if isinstance(error, MinihttpError) and error.public:
        return error_response(error.status, str(error), environ)
    more: dict[str, Any] = {}
    if failures is not None and failures.are_shown:
        more = {"message": failures.text(error), "frames": failures.frames(error)}
    if isinstance(error, ApplicationError):
        try:
            return error_response(500, "Application error", environ, data=_as_json(error.data), **more)
        except (ValidationError, TypeError, ValueError, RecursionError) as problem:
            log.error("the data of an ApplicationError cannot be sent: %s %s", problem, request_id(environ))
    return error_response(500, "Internal server error", environ, **more)


def _as_json(data: Any) -> Any:
    """The data of an ApplicationError; a copy of the router alone sends what `json` takes."""
    try:
        from ..values import encode_clean
    except ImportError:
        return data
    return encode_clean(data)


def log_fault(error: StorageUnavailableError, id: str) -> None:
    """Say in the log what the machine failed of."""
    if not isinstance(error, NotReadyError):  # which is no fault, and the log says how far it is
        log.error("%s request_id=%s", error, id)
