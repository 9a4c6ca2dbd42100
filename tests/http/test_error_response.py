# SPDX-License-Identifier: MIT
"""Errors as responses: status, headers, and what of the message a stranger sees."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from minihttp import ApplicationError, HTTPError, WebhookError
from minihttp.errors import (
    DeadlineError,
    DocumentError,
    FunctionError,
    LimitError,
    StorageFullError,
    StorageUnavailableError,
    ValidationError,
)
from tests.app.asked import call, raising


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (HTTPError(418, "I'm a teapot"), 418, "I'm a teapot"),
        (ValidationError("no such shape"), 400, "no such shape"),
        (DocumentError("InvalidCursor", "not a cursor of ours"), 400, "not a cursor of ours"),
        (LimitError("TooMany", "7 of 6"), 400, "7 of 6"),
        (DeadlineError("took too long"), 408, "took too long"),
        (WebhookError("mismatch", "secret detail"), 400, "Webhook verification failed"),
        (StorageFullError("disk detail"), 507, "No space left to store this"),
        (StorageUnavailableError("lock detail"), 503, "Storage is not available now"),
        (RuntimeError("secret detail"), 500, "Internal server error"),
        (KeyError("x"), 500, "Internal server error"),
        (SystemExit(3), 500, "Internal server error"),
        (RecursionError("deep"), 500, "Internal server error"),
        (MemoryError(), 500, "Internal server error"),
        (FunctionError("detail"), 500, "Internal server error"),
        (HTTPError(400, "\ud800"), 400, "?"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_become_replies(
    error: BaseException, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = call(raising(error), "GET", "/x")
    assert (reply.status, reply.json()) == (status, {"error": message})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    request_id = reply.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", request_id)
    if status >= 500 or isinstance(error, WebhookError):
        assert request_id in caplog.text, "the log has it under the same id"
    assert ("retry-after" in reply.headers) == (status in (503, 507))


def test_headers_of_an_http_error_are_sent() -> None:
    reply = call(raising(HTTPError(401, "who?", headers=[("WWW-Authenticate", "Bearer")])), "GET", "/x")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_the_data_of_an_application_error_reaches_the_client() -> None:
    reply = call(raising(ApplicationError({"code": "SOLD_OUT"})), "GET", "/x")
    assert (reply.status, reply.json()) == (500, {"error": "Application error", "data": {"code": "SOLD_OUT"}})


def test_a_copy_of_the_router_sends_only_what_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minihttp.values", None)  # as where it was left out
    inside_itself: list[Any] = []
    inside_itself.append(inside_itself)
    for data in (float("nan"), inside_itself, object()):
        reply = call(raising(ApplicationError(data)), "GET", "/x")
        assert reply.status == 500 and reply.json() == {"error": "Internal server error"}
    assert call(raising(ApplicationError([1])), "GET", "/x").json()["data"] == [1]
