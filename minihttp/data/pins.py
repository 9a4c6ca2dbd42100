# SPDX-License-Identifier: MIT
"""Pinned snapshots: what lets several queries, in requests of their own, see one and the same state.

A pin holds a snapshot of the engine open under a number. A long snapshot keeps the engine from tidying up
behind it, so pins are few and short-lived. Knows no documents.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import DocumentError
from .backend import Reading

MAX_PINS = 8  # each holds a connection
PIN_SECONDS = 30.0  # since its last use


class _Pin:
    __slots__ = ("lock", "reading", "snapshot", "used", "users")

    def __init__(self, snapshot: AbstractContextManager[Reading]) -> None:
        self.snapshot = snapshot
        self.reading = snapshot.__enter__()
        self.reading.get("")  # an engine takes its snapshot at the first read
        self.lock = threading.Lock()  # a snapshot belongs to one thread at a time
        self.used = time.monotonic()
        self.users = 0


class Pins:
    """The pinned snapshots of one database.

    Args:
        open: makes a snapshot.
        clock: Unix seconds.
    """

    def __init__(
        self, open: Callable[[], AbstractContextManager[Reading]], clock: Callable[[], float]
    ) -> None:
        self._open = open
        self._clock = clock
        self._pins: dict[int, _Pin] = {}
        self._lock = threading.Lock()
        self._last = 0

    def pin(self) -> int:
        """Pin the present state; returns its timestamp in nanoseconds, greater than any before it."""
        pin = _Pin(self._open())
        with self._lock:
            self._last = timestamp = max(int(self._clock() * 1e9), self._last + 1)
            self._pins[timestamp] = pin
            stale = self._take_stale()
        _close(stale)
        return timestamp

    @contextmanager
    def at(self, timestamp: int) -> Iterator[Reading]:
        """The snapshot of a timestamp.

        Raises:
            DocumentError: `SnapshotTooOld`, when there is none (any more).
        """
        with self._lock:
            pin = self._pins.get(timestamp)
            if pin is None:
                raise DocumentError(
                    "SnapshotTooOld",
                    f"No snapshot at {timestamp}: one lasts {PIN_SECONDS:g} s and {MAX_PINS} are kept",
                )
            pin.users += 1
        try:
            with pin.lock:
                yield pin.reading
        finally:
            with self._lock:
                pin.used = time.monotonic()
                pin.users -= 1

    def close(self) -> None:
        with self._lock:
            pins, self._pins = list(self._pins.values()), {}
        _close(pins)

    def release_stale(self) -> None:
        """Let go of snapshots that nobody has used for a while."""
        if self._pins:
            with self._lock:
                stale = self._take_stale()
            _close(stale)

    def _take_stale(self) -> list[_Pin]:
        before = time.monotonic() - PIN_SECONDS
        oldest_first = sorted(self._pins, key=lambda timestamp: self._pins[timestamp].used)
        surplus = len(oldest_first) - MAX_PINS
        stale = [t for n, t in enumerate(oldest_first) if n < surplus or self._pins[t].used < before]
        return [self._pins.pop(t) for t in stale if not self._pins[t].users]


def _close(pins: list[_Pin]) -> None:
    for pin in pins:
        pin.snapshot.__exit__(None, None, None)
