# SPDX-License-Identifier: MIT
"""Pinned snapshots: what lets several queries, in requests of their own, see one and the same state.

A pin holds a snapshot of the engine open under a number. A snapshot keeps the engine from tidying up behind
it, and any client may ask for one: so pins are few, live for a time that no use renews, and all go when the
engine's log has grown too long. Where several processes have the engine open, they read each other's pins
while these are held. Knows no documents.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import DocumentError
from ..limits import MIB
from .backend import DocumentBackend, Reading

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
        backend: makes the snapshots.
        clock: Unix seconds.
        monotonic: seconds, from any moment on.
    """

    def __init__(
        self,
        backend: DocumentBackend,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._monotonic = monotonic
        self._pins: dict[int, _Pin] = {}
        self._lock = threading.Lock()
        self._last = 0

    def pin(self) -> int:
        """Pin the present state; returns its timestamp in nanoseconds, greater than any before it."""
        pin = _Pin(self._backend.read(None), self._monotonic())
        try:
            timestamp = self._next()
            while not self._backend.publish(pin.reading, timestamp, PIN_SECONDS):
                timestamp = self._next()
        except BaseException:
            _close([pin])
            raise
        with self._lock:
            self._pins[timestamp] = pin
            stale = self._take_stale()
        _close(stale)
        return timestamp

    def _next(self) -> int:
        with self._lock:
            self._last = max(int(self._clock() * 1e9), self._last + 1)
            return self._last

    @contextmanager
    def at(self, timestamp: int) -> Iterator[Reading]:
        """The snapshot of a timestamp.

        Raises:
            DocumentError: `SnapshotTooOld`, when there is none (any more).
        """
        is_ours = timestamp in self._pins
        try:
            with self._ours(timestamp) if is_ours else self._backend.published(timestamp) as reading:
                yield reading
        except self._backend.Fault as fault:
            if fault.errno not in (errno.ENOENT, errno.ECONNRESET):  # with its line a snapshot is gone
                raise
            told = f"No snapshot at {timestamp}: one lasts {PIN_SECONDS:g} s and {MAX_PINS} are kept"
            raise DocumentError("SnapshotTooOld", told) from None

    @contextmanager
    def _ours(self, timestamp: int) -> Iterator[Reading]:
        with self._lock:
            pin = self._pins.get(timestamp)
            if pin is None or pin.made < self._monotonic() - PIN_SECONDS:
                raise self._backend.Fault(errno.ENOENT, "its time is over")
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

    def _log_bytes(self) -> int:
        return int(self._backend.statistics().get("wal_bytes", 0))

    def _take_stale(self) -> list[_Pin]:
        before = self._monotonic() - PIN_SECONDS
        oldest_first = sorted(self._pins)
        surplus = len(oldest_first) - (0 if self._log_bytes() > MAX_LOG_BYTES else MAX_PINS)
        stale = [t for n, t in enumerate(oldest_first) if n < surplus or self._pins[t].made < before]
        return [self._pins.pop(t) for t in stale if not self._pins[t].users]


def _close(pins: list[_Pin]) -> None:
    for pin in pins:
        pin.snapshot.__exit__(None, None, None)
