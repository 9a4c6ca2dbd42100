# SPDX-License-Identifier: MIT
"""Pinned snapshots: what lets several queries, in requests of their own, see one and the same state.

A pin holds a snapshot of the engine open under a number. A snapshot keeps the engine from tidying up behind
it, and any client may ask for one: so pins are few, live for a time that no use renews, and all go when the
engine's log has grown too long. Knows no documents.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import DocumentError
from ..limits import MIB
from .backend import Reading

MAX_PINS = 8  # each holds a connection
PIN_SECONDS = 30.0  # since it was made
MAX_LOG_BYTES = 32 * MIB  # half of what SQLite starts its log anew at


class _Pin:
    __slots__ = ("lock", "made", "reading", "snapshot", "users")

    def __init__(self, snapshot: AbstractContextManager[Reading], made: float) -> None:
        self.snapshot = snapshot
        self.reading = snapshot.__enter__()
        self.reading.get("")  # an engine takes its snapshot at the first read
        self.lock = threading.Lock()  # a snapshot belongs to one thread at a time
        self.made = made
        self.users = 0


class Pins:
    """The pinned snapshots of one database.

    Args:
        open: makes a snapshot.
        clock: Unix seconds.
        log_bytes: how long the engine's log is.
        monotonic: seconds, from any moment on.
    """

    def __init__(
        self,
        open: Callable[[], AbstractContextManager[Reading]],
        clock: Callable[[], float],
        log_bytes: Callable[[], int] = lambda: 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open
        self._clock = clock
        self._log_bytes, self._monotonic = log_bytes, monotonic
        self._pins: dict[int, _Pin] = {}
        self._lock = threading.Lock()
        self._last = 0

    def pin(self) -> int:
        """Pin the present state; returns its timestamp in nanoseconds, greater than any before it."""
        pin = _Pin(self._open(), self._monotonic())
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
            if pin is None or pin.made < self._monotonic() - PIN_SECONDS:
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
                pin.users -= 1
                stale = self._take_stale()
            _close(stale)

    def close(self) -> None:
        with self._lock:
            pins, self._pins = list(self._pins.values()), {}
        _close(pins)

    def release_stale(self) -> None:
        """Let go of snapshots that are too old, and of all where the engine's log is too long."""
        if self._pins:
            with self._lock:
                stale = self._take_stale()
            _close(stale)

    def _take_stale(self) -> list[_Pin]:
        before = self._monotonic() - PIN_SECONDS
        oldest_first = sorted(self._pins)
        surplus = len(oldest_first) - (0 if self._log_bytes() > MAX_LOG_BYTES else MAX_PINS)
        stale = [t for n, t in enumerate(oldest_first) if n < surplus or self._pins[t].made < before]
        return [self._pins.pop(t) for t in stale if not self._pins[t].users]


def _close(pins: list[_Pin]) -> None:
    for pin in pins:
        pin.snapshot.__exit__(None, None, None)
