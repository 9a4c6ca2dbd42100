# SPDX-License-Identifier: MIT
"""The narrow waist: all that minihttp asks of a document engine.

Two ordered tables: documents by id (JSON text), and index entries `(index number, key bytes, id)` in byte
order. An engine fits these Protocols by shape; it imports nothing of minihttp. It knows no schema, no
validators, no tables but a name that it shows to people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Entry = tuple[int, bytes]
"""One index entry of a document: (index number, key). Its id is the document's."""
Guard = tuple[str, str]
"""(id, JSON text) of a document that a transaction relies on."""
StoredRow = tuple[str, str]
"""(id, JSON text) of a document."""
IndexRow = tuple[bytes, str, str]
"""(key, id, JSON text) of an index entry and the document it points to."""


class Reading(Protocol):
    """One snapshot of the database."""

    def get(self, id: str) -> tuple[str, str] | None:
        """The (table name, JSON text) of a document, or None."""
        ...

    def scan(self, start: str, stop: str, *, reverse: bool, limit: int) -> Sequence[StoredRow]:
        """At most `limit` documents with `start <= id < stop`, in id order (byte order), or in reverse."""
        ...

    def scan_index(
        self, index: int, start: tuple[bytes, str], stop: tuple[bytes, str], *, reverse: bool, limit: int
    ) -> Sequence[IndexRow]:
        """At most `limit` entries with `start <= (key, id) < stop`, in that order, with their documents."""
        ...

    def count(self, start: str, stop: str, limit: int) -> int:
        """How many documents have `start <= id < stop`; counting ends at `limit`, and reads no text."""
        ...

    def entries(self, start: tuple[int, bytes, str], limit: int) -> Sequence[tuple[int, bytes, str]]:
        """At most `limit` index entries (index number, key, id) from `start` on, in order, of every index.

        Also those whose document is not there: `check` compares them with the documents. What the transaction
        itself has written may be missing.
        """
        ...


class Writing(Reading, Protocol):
    """One serializable transaction; it reads its own writes.

    A write may fail at a later call or at the commit. Then all of the transaction is lost, even if the error
    is caught.
    """

    def put(self, id: str, table: str, json: str, add: Iterable[Entry], remove: Iterable[Entry]) -> None:
        """Insert or replace a document; `add` and `remove` are the index entries that come and go with it."""
        ...

    def insert(self, id: str, table: str, json: str, add: Iterable[Entry]) -> bool:
        """Insert a document unless there is one of that id; whether it did."""
        ...

    def delete(self, id: str, remove: Iterable[Entry]) -> None:
        """Delete a document and its index entries."""
        ...

    def add_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        """Insert (index number, key, id) entries: the backfill of a new index."""
        ...

    def remove_entries(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        """Delete (index number, key, id) entries, whose documents stay: of an index that is dropped."""
        ...

    def lock(self, ids: Collection[str]) -> Collection[str]:
        """From here on nobody else changes these documents, which exist, before this transaction ends.
        Returns at once those of them at which nobody else is; an engine that is not shared says all."""
        ...

    def trust(self, id: str, table: str, json: str) -> None:
        """Take a document to be so, by the word of one who has it to himself: an engine need not read it, and
        looks whether it was true where it writes it. If not, `run` is called again and nothing is trusted."""
        ...

    def nested(self) -> AbstractContextManager[None]:
        """A sub-transaction: leaving it by an exception undoes what was written inside, and only that."""
        ...


class DocumentBackend(Protocol):
    """An engine that keeps documents.

    Every failure of its own (disk full, I/O error, lock not obtained, corrupt file, interrupted) it raises as
    its class `Fault`, a subclass of OSError with `errno`: ENOSPC full, EROFS read-only, EAGAIN locked by
    somebody else, ETIME interrupted at the deadline, ESTALE a guard that does not hold, ECONNRESET a snapshot
    whose line broke (it may be read again), EILSEQ corrupt, EIO anything else.

    Attributes:
        shared: whether other processes may have the same store open.
        notes_path: a file beside the store, for what concerns this machine alone; an engine that has no such
            place lacks it, or says None.
    """

    Fault: type[OSError]
    shared: bool

    def read(self, deadline: float | None) -> AbstractContextManager[Reading]:
        """Open a snapshot; a statement that runs at `deadline` (`time.monotonic()`) raises Fault(ETIME)."""
        ...

    def publish(self, snapshot: Reading, number: int, seconds: float) -> bool:
        """Let other processes read a snapshot under a number, while it is open and for so long at most.

        Returns:
            False, where another one has that number. An engine that is not shared has nothing to do.
        """
        ...

    def published(self, number: int) -> AbstractContextManager[Reading]:
        """The snapshot that another process has published under a number.

        Fault(ENOENT), here or when it is entered: there is none (any more).
        """
        ...

    def write(
        self,
        run: Callable[[Writing], T],
        deadline_seconds: float | None,
        *,
        any_thread: bool = False,
        guard: Guard | None = None,
        by_locks: bool = False,
        alone: bool = False,
    ) -> T:
        """Run `run` in a serializable transaction and return its result once it is durable.

        `run` may be run again (the engine's serialization failures); its time limit counts from the start of
        each run. If `run` raises, nothing is written and the exception goes on. Concurrent calls may share
        one fsync. With `any_thread`, `run` may be called in the thread of another caller.

        A `guard` is a document that must be exactly so in this transaction, else Fault(ESTALE) and nothing is
        written, whatever `run` did; an engine that is not shared ignores it.

        With `by_locks`, `run` relies on nothing but documents that it has locked (`lock`) and then read: it
        need not be serializable with others, so it makes nobody run again. Not every engine makes use of it.

        With `alone`, `run` may take long: it shares no fsync with calls that came before it, so that these do
        not wait for its end.
        """
        ...

    def submit(
        self,
        run: Callable[[Writing], Any],
        deadline_seconds: float | None,
        done: Callable[[Any, BaseException | None], None],
        *,
        guard: Guard | None = None,
    ) -> None:
        """As `write`, without waiting: the backend runs `run` in a thread of its own.

        `done(result, None)` is called once the result is durable, else `done(None, error)`; the calls come
        one after another from one thread. An error of one mutation undoes that mutation alone; a COMMIT that
        fails is told to all that shared it.
        """
        ...

    def problems(self, limit_seconds: float) -> tuple[list[str], bool]:
        """What the engine finds wrong with its own storage within so many seconds.

        Returns:
            Some sentences of the engine's, and whether all of it was looked at.
        """
        ...

    def clock_offset(self) -> float:
        """The store's time minus this process's (`time.time()`) in seconds, as it was last measured; 0 of an
        engine that is not shared."""
        ...

    def alone(self, seconds: float) -> bool:
        """Whether no other process has shown for so long that it has the store open."""
        ...

    def listen(self, call: Callable[[], object]) -> None:
        """Call this, in a thread of the backend, when another process has called `notify`, and when that may
        have been missed. An engine that is not shared never does."""
        ...

    def notify(self) -> None:
        """Give the other processes a hint that there is news; it may be lost."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Numbers for /_/metrics and `doctor`, such as bytes of the database and of the write-ahead log.

        `waiting` is how many mutations wait, `writing_seconds` for how long the open transaction has been so.
        """
        ...

    def findings(self) -> Iterable[tuple[str, str, str]]:
        """What an operator should know of the store, for `doctor`: (check, "ok" or "warning", detail)."""
        ...

    def close(self) -> None: ...
