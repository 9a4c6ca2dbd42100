# SPDX-License-Identifier: MIT
"""Where the verb `webhooks` finds the inbox: in the app's database, or in a running server.

A database in SQLite belongs to one process, so beside a running server the server is asked: over its function
API, with the admin key. Both ways call the same functions, `_webhooks:…`.
"""

from __future__ import annotations

import argparse
import errno
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ConfigurationError, DataDirectoryError, MinihttpError
from ..values import decode, encode_wire
from . import named_app, opened_app
from ._posting import post

if TYPE_CHECKING:
    from ..app import App


class Access(Protocol):
    """Calls a function of the inbox; `endpoints` are the app's `http.webhook`s."""

    def endpoints(self) -> list[Any]: ...
    def query(self, name: str, **args: Any) -> Any: ...
    def mutation(self, name: str, **args: Any) -> Any: ...


class _Opened:
    def __init__(self, app: App) -> None:
        self._app = app

    def endpoints(self) -> list[Any]:
        return self._app.http.webhooks

    def query(self, name: str, **args: Any) -> Any:
        return self._app.run_query(f"_webhooks:{name}", **args)

    def mutation(self, name: str, **args: Any) -> Any:
        return self._app.run_mutation(f"_webhooks:{name}", **args)


class _Remote:
    def __init__(self, args: argparse.Namespace) -> None:
        admin_key = args.environ.get("MINIHTTP_ADMIN_KEY")
        if not admin_key:
            raise ConfigurationError(
                "to ask a running server, MINIHTTP_ADMIN_KEY must be set, there and here"
            )
        self._args = args
        self._url = args.server.rstrip("/")
        self._headers = {"Authorization": f"Convex {admin_key}", "Content-Type": "application/json"}

    def endpoints(self) -> list[Any]:
        return named_app(self._args).http.webhooks

    def query(self, name: str, **args: Any) -> Any:
        return self._call("query", name, args)

    def mutation(self, name: str, **args: Any) -> Any:
        return self._call("mutation", name, args)

    def _call(self, kind: str, name: str, args: dict[str, Any]) -> Any:
        body = {"path": f"_webhooks:{name}", "args": encode_wire(args), "format": "convex_encoded_json"}
        try:
            url, sent = f"{self._url}/api/{kind}", json.dumps(body).encode()
            posted = post(url, sent, self._headers, max_reply_bytes=None)
            answer = {**json.loads(posted.body)}
        except OSError as error:
            raise MinihttpError(str(error)) from None
        except (ValueError, TypeError):
            raise MinihttpError(f"{self._url} did not answer in JSON") from None
        if answer.get("status") != "success":
            said = answer.get("errorMessage") or answer.get("message") or f"HTTP {posted.status}"
            raise MinihttpError(said.partition(" Server Error\n")[2] or said)  # behind the request's id
        return decode(answer["value"])


@contextmanager
def inbox_access(args: argparse.Namespace) -> Iterator[Access]:
    """The inbox that `--server` or TARGET and `--data` name."""
    if args.server:
        yield _Remote(args)
        return
    with ExitStack() as stack:
        try:
            app = stack.enter_context(opened_app(args))
        except DataDirectoryError as error:
            if getattr(error.__cause__, "errno", None) != errno.EAGAIN:
                raise
            raise DataDirectoryError(f"{error}; --server URL asks the server that runs") from None
        if not app.http.webhooks:
            raise ConfigurationError("this app has no webhooks: see http.webhook(path, provider, handler)")
        yield _Opened(app)
