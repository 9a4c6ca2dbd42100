# SPDX-License-Identifier: MIT
"""How far the long tasks of a running app are: each by the name that its caller gave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..data.consistency import Tick


class LongTasks:
    """The tasks that run now in this process."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[str, int, int]] = {}

    @contextmanager
    def task(self, name: str) -> Iterator[Tick]:
        """While it lasts, what its tick is told can be asked for; a task without a name is not watched."""

        def tick(what: str, done: int, total: int) -> None:
            self._now[name] = (what, done, total)

        try:
            yield tick if name else lambda what, done, total: None
        finally:
            self._now.pop(name, None)

    def progress(self, name: str) -> list[str | int] | None:
        """What is being done, how many units are done, and of how many; None where no such task has said."""
        found = self._now.get(name)
        return list(found) if found else None
