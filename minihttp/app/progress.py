# SPDX-License-Identifier: MIT
"""The long tasks of a running app, each in a thread of its own: no request waits for one, and no limit of a
request, of a proxy or of a function ends it.

Whoever has begun one gave it a name and asks by it how far it is. A task that nobody asks after any more is
ended: its client has gone. What is said is of this process alone, and names it: behind a load balancer
another process may be asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from .. import hashing
from ..data.migration import Tick
from ..errors import MinihttpError

log = logging.getLogger("minihttp")

ABANDONED_SECONDS: Final = 120.0
"""After so long without a question a task is ended, and what came of one that has ended is forgotten."""


class TaskEnded(MinihttpError):
    """A task was ended before its end: by its client, or because its client has gone, or with the server."""


class _Task:
    def __init__(self, now: float, undo: Callable[[Any], None]) -> None:
        self.asked = now
        self.undo = undo
        self.now: tuple[str, int, int] | None = None
        self.end_because = ""
        self.state, self.result, self.error = "running", None, ""
        self.thread: threading.Thread | None = None


class LongTasks:
    """The tasks of this process.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._process = hashing.token_hex(8)
        self._tasks: dict[str, _Task] = {}

    def start(
        self, name: str, work: Callable[[Tick], Any], undo: Callable[[Any], None] = lambda result: None
    ) -> str:
        """Begin a task; returns the name of this process.

        Args:
            work: what it does. Its tick raises `TaskEnded` when it is to end.
            undo: called with its result if it is ended when it is done already.
        """
        for old, past in list(self._tasks.items()):
            if past.state != "running" and self._is_forgotten(past):
                del self._tasks[old]
        task = self._tasks[name] = _Task(self._clock(), undo)
        task.thread = threading.Thread(target=self._run, args=(task, work), name="minihttp-task", daemon=True)
        task.thread.start()
        return self._process

    def progress(self, name: str) -> dict[str, Any]:
        """How far a task is.

        Returns:
            `process` (which was asked), `state` ("running", "done", "failed", or "unknown" here), `now` (what
            is being done, how many units are done, and of how many; None where it has not said), `result` and
            `error`.
        """
        task = self._tasks.get(name)
        if task is None:
            return {"process": self._process, "state": "unknown", "now": None, "result": None, "error": ""}
        task.asked = self._clock()
        state = task.state  # before what is read next: a result is there once it says so
        now = list(task.now) if task.now else None
        return {
            "process": self._process, "state": state, "now": now, "result": task.result, "error": task.error,
        }  # fmt: skip

    def end(self, name: str) -> None:
        """Have a task end at its next tick, or undo what it has done, where it is here."""
        if name in self._tasks:
            task = self._tasks[name]
            task.end_because = "it was ended by whoever began it"
            if task.state == "done":
                self._tasks.pop(name)
                task.undo(task.result)

    def close(self, grace_seconds: float) -> None:
        """End all of them, and wait so long at most."""
        until = time.monotonic() + grace_seconds
        for task in list(self._tasks.values()):
            task.end_because = "the server stops"
        for task in list(self._tasks.values()):
            if task.thread is not None:
                task.thread.join(max(0.0, until - time.monotonic()))

    def _is_forgotten(self, task: _Task) -> bool:
        return self._clock() - task.asked > ABANDONED_SECONDS

    def _run(self, task: _Task, work: Callable[[Tick], Any]) -> None:
        def tick(what: str, done: int, total: int) -> None:
            task.now = what, done, total
            if self._is_forgotten(task):
                task.end_because = "nobody asked for it any more"
            if task.end_because:
                raise TaskEnded(task.end_because)

        try:
            task.result = work(tick)
            task.state = "done"
        except MinihttpError as error:
            task.error, task.state = str(error), "failed"
            if isinstance(error, TaskEnded):
                log.warning("a long task has not ended: %s", error)
        except Exception as error:
            log.exception("a long task failed")
            task.error, task.state = f"{type(error).__name__}: {error}", "failed"
