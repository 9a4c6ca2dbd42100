# SPDX-License-Identifier: MIT
"""WSGI environs for the tests of http/, and what a reply sends."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from minihttp.http.request import Request
from minihttp.http.response import Response
from minihttp.limits import Limits


def make_environ(
    method: str = "POST",
    body: bytes = b"",
    content_type: str | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """An environ that passes wsgiref.validate; keywords replace its keys, None removes one."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "wsgi.input": io.BytesIO(body), "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    if content_type is not None:
        environ["CONTENT_TYPE"] = content_type
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
    environ |= {key.replace("__", "."): value for key, value in more.items()}
    return {key: value for key, value in environ.items() if value is not None}


def make_request(*args: Any, limits: dict[str, float] | None = None, **keywords: Any) -> Request:
    return Request(make_environ(*args, **keywords), "/", None, Limits(**(limits or {})))


class Sent:
    """What a reply sends, watched by wsgiref.validate."""

    def __init__(self, response: Response, method: str = "GET", **more: Any) -> None:
        iterable = validator(response)(make_environ(method, **more), self._start)  # type: ignore[arg-type]
        try:
            self.body = b"".join(iterable)
        finally:
            iterable.close()  # type: ignore[attr-defined]

    def _start(self, status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
        self.status = status
        self.headers = headers
        self.header = {name.lower(): value for name, value in headers}
        return lambda data: None
