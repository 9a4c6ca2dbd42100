# SPDX-License-Identifier: MIT
"""What the tests of workers share: a log that a test can wait for, and functions that write into it."""

from __future__ import annotations

import threading

import pytest

from .world import PATIENCE_SECONDS, World


class Log:
    """What happened, in order; `wait_for` waits until so much has."""

    def __init__(self) -> None:
        self.entries: list = []
        self._changed = threading.Condition()

    def add(self, entry) -> None:
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.entries) >= count, PATIENCE_SECONDS), self.entries
            return list(self.entries)


@pytest.fixture
def log() -> Log:
    return Log()


def logging_mutation(world: World, log: Log):
    def note(ctx, n=0):
        ctx._transaction.after_commit(lambda: log.add(n))

    return world.mutation(note)


def gate_action(world: World, log: Log, gate: threading.Event):
    def wait(ctx, n=0):
        log.add(("begun", n))
        gate.wait(PATIENCE_SECONDS)

    return world.action(wait)
