# SPDX-License-Identifier: MIT
"""`request`: sends a request through the app in this process, without a server.

Exit code 1 for a status of 400 or more. Jobs that it schedules are left for a worker.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

from ..app.options import changed
from ..errors import MinihttpError
from . import plain, print_rows
from ._admin import opened_alone
from ._arguments import option, switch, word
from ._settings import MisuseError

HELP = "send a request through the app, without a server"
ARGUMENTS = (
    word("method", "METHOD", "such as GET"),
    word("path", "PATH", "such as /api/items?limit=5"),
    option("-H", "--header", "FIELD", "such as 'X-A: b'", action="append", default=[]),
    option("-d", "BODY", "the body; @FILE reads a file, @- stdin", dest="body"),
    switch("-i", "--include", "print status and header fields too"),
    switch("--json", "one object: status, headers, the body as text"),
    *("app", "data", "files"),
)


def run(args: argparse.Namespace) -> int:
    environ = _environ(args)
    with opened_alone(args, "send it to the server that runs, with curl") as app:
        app.options = changed(app.options, {"workers": 0})  # what the request schedules is not begun here
        status, headers, body = _answer(app, environ)
        try:
            _print(args, status, headers, body)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()
    return 1 if int(status[:3]) >= 400 else 0


def _print(
    args: argparse.Namespace, status: str, headers: list[tuple[str, str]], body: Iterable[bytes]
) -> None:
    if args.json:
        text = b"".join(body).decode("utf-8", "replace")
        print_rows([{"status": int(status[:3]), "headers": headers, "body": text}], True)
        return
    if args.include:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        print("\n".join(map(plain, lines)) + "\n")
    sys.stdout.flush()
    if sys.stdout.isatty():
        print(b"".join(body).decode("utf-8", "replace"))
    else:
        sys.stdout.buffer.writelines(body)
    sys.stdout.flush()


def _answer(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return lambda data: None

    body = app(environ, start_response)
    return started[0], started[1], body


def _environ(args: argparse.Namespace) -> dict[str, Any]:
    body = _body(args.body)
    parts = urlsplit(args.path)
    if not args.path.startswith("/"):
        raise MisuseError(f"PATH must begin with /, not {args.path!r}")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": args.method.upper(),
        "PATH_INFO": _decoded(parts.path),
        "REQUEST_URI": args.path,
        "QUERY_STRING": parts.query,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    if body[:1] in (b"{", b"["):
        environ["CONTENT_TYPE"] = "application/json"
    for field in args.header:
        name, colon, value = field.partition(":")
        if not colon or not name.strip():
            raise MisuseError(f"-H takes a field such as 'Name: value', not {field!r}")
        key = name.strip().upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value.strip()
    setup_testing_defaults(environ)
    return environ


def _decoded(path: str) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path).decode("latin-1")


def _body(text: str | None) -> bytes:
    if text is None or not text.startswith("@"):
        return (text or "").encode()
    if text == "@-":
        return sys.stdin.buffer.read()
    try:
        with open(text[1:], "rb") as file:
            return file.read()
    except OSError as error:
        raise MinihttpError(f"cannot read {text[1:]}: {error.strerror}") from None
