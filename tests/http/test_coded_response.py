# SPDX-License-Identifier: MIT
"""Errors of the transport as Convex's clients read them."""

from __future__ import annotations

import logging

import pytest

from minihttp.errors import DocumentError, HTTPError, MinihttpError, NotReadyError, StorageFullError
from minihttp.http.coded_response import CODED, coded_response
from tests.http.environs import make_request


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (HTTPError(404, "no such file", code="FileNotFound"), 404, "FileNotFound", "no such file"),
        (DocumentError("BadHeader", "x is no header"), 400, "BadHeader", "x is no header"),
        (StorageFullError("disk /secret is full"), 507, "StorageFull", "No space left to store this"),
        (NotReadyError("40 %"), 503, "NotReady", NotReadyError.told),
    ],
)
def test_an_error_is_a_code_and_a_message(
    error: MinihttpError, status: int, code: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(error, CODED)
    with caplog.at_level(logging.ERROR):
        response = coded_response(error, make_request())
    assert response.status == status and response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.body == f'{{"code":"{code}","message":"{message}"}}'.encode()
    assert response.headers.get("Retry-After") == (None if status < 500 else "5")
    assert ("/secret" in caplog.text) == (status == 507), "what the machine failed of is for the log alone"


def test_an_errors_own_headers_are_sent() -> None:
    error = HTTPError(405, "read it", headers=[("Allow", "GET, HEAD")])
    assert coded_response(error, make_request()).headers["Allow"] == "GET, HEAD"
