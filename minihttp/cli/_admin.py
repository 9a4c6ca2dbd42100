# SPDX-License-Identifier: MIT
"""Where a verb finds what it is to look at: in the app's database, or in a running server.

A database in SQLite belongs to one process, so beside a running server the server is asked: over its function
API, with the admin key. Both ways call the same internal functions.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Protocol

from .. import hashing
from ..errors import ConfigurationError, DataDirectoryError, FunctionNotFoundError, MinihttpError
from ..values import decode, encode_wire
from . import named_app, opened_app
from ._settings import MisuseError

if TYPE_CHECKING:
    from ..app.wsgi import App
    from ..data.migration import Tick

_SECONDS = {"query": 30.0, "mutation": 30.0, "action": 660.0}  # an action may take 10 minutes
_LEAST_POLL_SECONDS, _POLL_SECONDS = 0.02, 0.5
_SILENT_SECONDS, _FAREWELL_SECONDS = 60.0, 5.0
_NOT_THERE = "Could not find public function"  # of Convex's wire format, which has no codes


class Access(Protocol):
    """Calls functions such as `_jobs:list`; `endpoints` are the app's `http.webhook`s."""

    def endpoints(self) -> list[Any]: ...
    def run_query(self, name: str, /, **args: Any) -> Any: ...
    def run_mutation(self, name: str, /, **args: Any) -> Any: ...
    def run_action(self, name: str, /, **args: Any) -> Any: ...
    def check(self, tick: Tick) -> list[dict[str, Any]]: ...


class _Opened:
    def __init__(self, app: App) -> None:
        self._app = app
        self.run_query, self.run_mutation, self.run_action = app.run_query, app.run_mutation, app.run_action

    def check(self, tick: Tick) -> list[dict[str, Any]]:
        return self._app.services.operations.findings(tick)

    def endpoints(self) -> list[Any]:
        return self._app.http.webhooks


class Remote:
    """A running server."""

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

    def run_query(self, name: str, /, **args: Any) -> Any:
        return self._call("query", name, args)

    def run_mutation(self, name: str, /, **args: Any) -> Any:
        return self._call("mutation", name, args)

    def run_action(self, name: str, /, **args: Any) -> Any:
        return self._call("action", name, args)

    def check(self, tick: Tick) -> list[dict[str, Any]]:
        return list(self.watched("_app:begin_check", tick))

    def url_of_file(self, url: str) -> str:
        """A URL of the server's file store as it is here: the server may know itself by another origin."""
        return f"{self._url}{url[url.index('/api/storage/') :]}"

    def watched(self, name: str, tick: Tick, /, **args: Any) -> Any:
        """A long task of the server's: begun by this action, then asked after until it has ended.

        Raises:
            MinihttpError: what it failed of; or nobody has answered for a while who knows of it.
        """
        task = hashing.token_hex(8)
        try:
            process = self.run_action(name, task=task, **args)["process"]
            return self._outcome(task, process, tick)
        except KeyboardInterrupt:
            self.tidy_up("_app:end_task", task=task)
            raise

    def tidy_up(self, name: str, /, **args: Any) -> None:
        """An action that nobody waits for long, not even for its failure: whoever has pressed Ctrl-C does not
        want to."""
        with suppress(MinihttpError):
            self._call("action", name, args, _FAREWELL_SECONDS)

    def _outcome(self, task: str, process: str, tick: Tick) -> Any:
        give_up_at, pause_seconds, why = monotonic() + _SILENT_SECONDS, _LEAST_POLL_SECONDS, ""
        while monotonic() < give_up_at:
            try:
                found = self.run_query("_app:progress", task=task)
                why = "the process that was at it has been restarted"
            except MinihttpError as error:  # the line may come back
                found, why = {}, str(error)
            if found.get("process") == process:  # behind a load balancer it may be another's turn
                give_up_at = monotonic() + _SILENT_SECONDS
                if found["state"] == "done":
                    return found["result"]
                if found["state"] != "running":
                    raise MinihttpError(found["error"])
                if found["now"]:
                    tick(str(found["now"][0]), int(found["now"][1]), int(found["now"][2]))
            sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _POLL_SECONDS)
        raise MinihttpError(f"nobody has said for {_SILENT_SECONDS:g} s how far it is: {why}")

    def _call(self, kind: str, name: str, args: dict[str, Any], timeout_seconds: float | None = None) -> Any:
        from ._http import post  # 2 MB of memory, which `serve` need not have

        body = {"path": name, "args": encode_wire(args), "format": "convex_encoded_json"}
        try:
            url, sent = f"{self._url}/api/{kind}", json.dumps(body).encode()
            timeout_seconds = timeout_seconds or _SECONDS[kind]
            posted = post(url, sent, self._headers, timeout_seconds, max_response_bytes=None)
            answer = {**json.loads(posted.body)}
        except MisuseError:
            raise MisuseError(
                f"--server takes a URL such as http://localhost:8080, not {self._url!r}"
            ) from None
        except OSError as error:
            raise MinihttpError(str(error)) from None
        except (ValueError, TypeError, RecursionError):
            raise MinihttpError(f"{self._url} did not answer in JSON") from None
        if answer.get("status") != "success" or "value" not in answer:
            said = str(answer.get("errorMessage") or answer.get("message") or f"{url}: HTTP {posted.status}")
            said = said.partition(" Server Error\n")[2] or said  # behind the request's id
            raise (FunctionNotFoundError if said.startswith(_NOT_THERE) else MinihttpError)(said)
        return decode(answer["value"])


@contextmanager
def access(args: argparse.Namespace) -> Iterator[Access]:
    """What `--server` or TARGET and `--data` name."""
    if args.server:
        yield Remote(args)
        return
    with opened_alone(args, "--server URL asks the server that runs") as app:
        yield _Opened(app)


@contextmanager
def opened_alone(args: argparse.Namespace, otherwise: str) -> Iterator[App]:
    """`opened_app`; where another process has the data, its message says what to do `otherwise`."""
    with ExitStack() as stack:
        with in_use_means(otherwise):
            app = stack.enter_context(opened_app(args))
        yield app


@contextmanager
def in_use_means(advice: str) -> Iterator[None]:
    """While it lasts, the message that another process has the data ends with what to do."""
    try:
        yield
    except DataDirectoryError as error:
        if not error.is_locked:
            raise
        raise DataDirectoryError(f"{error}; {advice}") from None
