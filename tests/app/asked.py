# SPDX-License-Identifier: MIT
"""What the tests of an app share: a request through `wsgiref.validate`, and apps of one handler."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from minihttp import App, HttpRouter
from tests.live import Reply


def call(app: Any, method: str, path: str, body: bytes = b"", **environ: str) -> Reply:
    """One request through `wsgiref.validate`."""
    base: dict[str, Any] = {}
    setup_testing_defaults(base)
    path, _, query = path.partition("?")
    base |= {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, **environ}
    base |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        seen.append((int(status[:3]), {name.lower(): value for name, value in headers}))
        return lambda data: None

    result = validator(app)(base, start_response)
    try:
        content = b"".join(result)
    finally:
        result.close()  # type: ignore[attr-defined]
    [(status, fields)] = seen
    return Reply(status, fields, content)


def answering(handler: Any, **route: Any) -> App:
    http = HttpRouter()
    http.route(**{"path": "/x", "method": "GET", "handler": handler, **route})
    return App(http)


def raising(error: BaseException) -> App:
    def handler(ctx: Any, request: Any) -> None:
        raise error

    return answering(handler)
