# SPDX-License-Identifier: MIT
"""A schema is taken in at the start; what of it takes long goes on in a thread, while requests are answered.

Until a table's documents have been compared with its new validator nobody reads or writes them, and until an
index is full no query may use it; the entries of one that is not declared any more go last. A document that
does not match ends it, wherever it is found.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import SchemaError

if TYPE_CHECKING:
    from .backend import DocumentBackend
    from .migration import Migration, Tick

log = logging.getLogger("minihttp.data")

Refused = Callable[[SchemaError], object]

# Batches before anybody is answered, each a third of a second: so a small database is ready at its start.
_COMPARED_AT_START, _FILLED_AT_START = 40, 16
_SAID_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_CLOSING_SECONDS = 5.0
# Between two batches, so that requests get the interpreter and the one write lock.
_PAUSE_SECONDS = 0.001
_MAX_PAUSE_SECONDS = 10.0  # after an engine's fault


class SchemaProgress:
    """How far the taking in is; called as a `Tick`.

    Args:
        tick: told too; by default a line is logged every 5 s.
    """

    def __init__(self, tick: Tick | None, clock: Callable[[], float] = monotonic) -> None:
        self._tick = tick or self._log
        self._clock = clock
        self._next = clock() + _SAID_SECONDS
        self.text = "a change of the schema is being taken in"

    def __call__(self, what: str, done: int, total: int) -> None:
        self.text = f"{what}: {done:,} of {total:,} documents" if total else f"{what}: {done:,} entries"
        self._tick(what, done, total)

    def _log(self, what: str, done: int, total: int) -> None:
        if self._clock() >= self._next:
            self._next = self._clock() + _SAID_SECONDS
            log.warning("%s", self.text)


class TakingIn:
    """Takes a schema into a database.

    Args:
        backend: the engine.
        migration: what has to be done.
        progress: what `migration` tells.
        changed: called when tables or indexes have become ready.

    Attributes:
        waiting: the tables that nobody may read or write yet.
    """

    def __init__(
        self,
        backend: DocumentBackend,
        migration: Migration,
        progress: SchemaProgress,
        changed: Callable[[], object],
    ) -> None:
        self._backend = backend
        self._migration = migration
        self._progress = progress
        self._changed = changed
        self._closed, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._is_full = False
        self.waiting: frozenset[str] = frozenset()

    def finish(self) -> None:
        """All of it, in this thread.

        Raises:
            SchemaError: a document does not match; nothing is changed then.
        """
        self._migration.check()
        self._migration.declare()
        self._migration.fill()
        self._migration.drop()

    def begin(self, refused: Refused) -> Callable[[], None]:
        """What takes a moment, at once; returns what begins the rest, in a thread.

        Args:
            refused: called, in that thread, with the SchemaError of a document that does not match.

        Raises:
            SchemaError: as `finish`.
        """
        self._migration.check(_COMPARED_AT_START)
        self._migration.declare()
        self.waiting = frozenset(self._migration.suspects)
        self._is_full = self._migration.fill(_FILLED_AT_START) and not self.waiting
        if self._is_full and self._migration.drop(_FILLED_AT_START):
            return lambda: None
        run = lambda: self._run(refused)  # noqa: E731
        self._thread = threading.Thread(target=run, name="minihttp-schema", daemon=True)
        return self._thread.start

    def _run(self, refused: Refused) -> None:
        pause, told = 0.1, ""
        while not self._closed.wait(_PAUSE_SECONDS):
            try:
                if self._step():
                    break
                pause, told = 0.1, ""
            except SchemaError as error:
                self._progress.text = "the stored documents do not match the schema"
                refused(error)
                return
            except self._backend.Fault as fault:
                if self._closed.is_set():
                    return
                if str(fault) != told:
                    told = str(fault)
                    log.error("taking in the schema has to wait: %s", fault.strerror or fault)
                self._closed.wait(pause)
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)
        self._ended.set()

    def _step(self) -> bool:
        """One batch; whether nothing is left."""
        migration = self._migration
        if migration.suspects:
            migration.check(1)
        if self.waiting - migration.suspects.keys():
            migration.declare()
            self.waiting = frozenset(migration.suspects)
            self._changed()
        elif self._is_full:
            return migration.drop(1)
        elif not migration.suspects and migration.fill(1):
            self._is_full = True
            self._changed()
        return False

    def under_way(self) -> str:
        """What goes on, and how far it is; "" once all is done."""
        return self._progress.text if self._thread is not None and not self._ended.is_set() else ""

    def wait(self, seconds: float) -> bool:
        """Wait at most so long for the end of it, or for a while; false once it is over, or is not to be
        waited for.
        """
        if self._thread is None or self._ended.is_set() or self._closed.is_set():
            return False
        self._ended.wait(max(0.0, min(seconds, _LOOK_SECONDS)))
        return seconds > 0

    def close(self) -> None:
        """End it where it is: the next start goes on with the indexes, and begins anew with the documents."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_CLOSING_SECONDS)
