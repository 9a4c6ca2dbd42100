# SPDX-License-Identifier: MIT
"""One transaction: what may be done in it, for how long, how much, and what happens when it ends.

Its readers and writers reach the engine only through it, so a transaction that has ended or run out of time
can do nothing more. Time is looked at on every call and before the commit; a loop in pure Python that touches
no document cannot be interrupted safely, it is undone when it ends. Knows no functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ..errors import CallError, DeadlineError, LimitError
from ..limits import Limits
from .documents import Reader, Writer

if TYPE_CHECKING:
    from .backend import Writing
    from .database import Database

T = TypeVar("T")
Hook = Callable[[], object]


class Meter:
    """Counts what one transaction reads and writes against its limits.

    Attributes:
        error: the first limit that was passed; a transaction that passed one is undone even if its code goes
            on.
    """

    bytes_read = documents_read = ranges_read = 0
    bytes_written = documents_written = 0
    error: LimitError | None = None

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def read(self, size_bytes: int) -> None:
        self.documents_read += 1
        self.bytes_read += size_bytes
        if self.documents_read > self.limits.max_read_documents:
            self._refuse("TooManyDocumentsRead", "documents read", self.limits.max_read_documents)
        if self.bytes_read > self.limits.max_read_bytes:
            self._refuse("TooManyBytesRead", "bytes read", self.limits.max_read_bytes)

    def read_range(self) -> None:
        self.ranges_read += 1
        if self.ranges_read > self.limits.max_read_ranges:
            self._refuse("TooManyReads", "index ranges read", self.limits.max_read_ranges)

    def write(self, size_bytes: int) -> None:
        self.documents_written += 1
        self.bytes_written += size_bytes
        if self.documents_written > self.limits.max_write_documents:
            self._refuse("TooManyWrites", "documents written", self.limits.max_write_documents)
        if self.bytes_written > self.limits.max_write_bytes:
            self._refuse("TooManyBytesWritten", "bytes written", self.limits.max_write_bytes)

    def _refuse(self, code: str, what: str, limit: float) -> NoReturn:
        self.error = LimitError(code, f"Too many {what} in a single function execution (limit: {limit})")
        raise self.error


SYSTEM_LIMITS = Limits(
    max_document_bytes=math.inf,
    max_document_fields=math.inf,
    max_document_depth=128,
    max_array_length=math.inf,
    max_read_bytes=math.inf,
    max_read_documents=math.inf,
    max_read_ranges=math.inf,
    max_write_bytes=math.inf,
    max_write_documents=math.inf,
)
"""The framework's own documents (jobs, deliveries, files) are bounded where they are made."""


class Transaction:
    """A snapshot, or a serializable transaction that reads its own writes.

    Attributes:
        db: what a function sees as `ctx.db`: a Writer in a mutation, else a Reader.
        reader: the same, for reading only.
        writable: whether this is a write transaction.
        deadline: when it must have ended, on `time.monotonic()`; infinity without a limit.
        now: Unix seconds by the app's clock, the same throughout.
        notes: a place for other rooms to keep what they know of this transaction.
        paginated: whether the running function has read its one page.
    """

    paginated = False

    def __init__(
        self, database: Database, engine: Any, *, writable: bool, time_limit_seconds: float | None
    ) -> None:
        self._engine = engine
        self._time_limit_seconds = time_limit_seconds
        self.database = database
        self.writable = writable
        self.deadline = math.inf if time_limit_seconds is None else monotonic() + time_limit_seconds
        self.meter = Meter(database.limits)
        self.reader = Reader(self, database.user_tables, self.meter)
        self.db = Writer(self, database.user_tables, self.meter) if writable else self.reader
        self.now = database.clock()
        self.notes: dict[Any, Any] = {}
        self._hooks: list[tuple[str, Hook]] = []  # ("commit", "rollback" or "always", call)

    @cached_property
    def system(self) -> Any:
        """The system tables: a Writer in a write transaction, else a Reader; not held to document limits."""
        view = Writer if self.writable else Reader
        return view(self, self.database.system_tables, Meter(SYSTEM_LIMITS))

    @property
    def engine(self) -> Writing:
        """The backend's transaction, for one call.

        Raises:
            CallError: after the end of the transaction.
            DeadlineError: after its deadline.
        """
        if self._engine is None:
            raise CallError("This transaction has ended; its ctx.db cannot be used any more")
        if monotonic() > self.deadline:
            raise self.late()
        return self._engine  # type: ignore[no-any-return]

    @property
    def documents_written(self) -> int:
        return self.meter.documents_written

    def time_left(self) -> float:
        """Seconds until the deadline, 0 after it, infinity without one."""
        return max(0.0, self.deadline - monotonic())

    def late(self) -> DeadlineError:
        return DeadlineError(
            f"Function execution timed out (maximum duration: {self._time_limit_seconds:g} s)"
        )

    def nested(self, run: Callable[[], T]) -> T:
        """Run a sub-transaction: if `run` raises, only what it wrote is undone, and its hooks with it."""
        mark = len(self._hooks)
        try:
            with self.engine.nested():
                return run()
        except BaseException:
            undone = [call for when, call in self._hooks[mark:] if when != "commit"]
            self._hooks[mark:] = [("always", call) for call in undone]
            raise

    def after_commit(self, call: Hook) -> None:
        """Call this once the transaction is durable, and never if it is undone; what it raises is logged."""
        self._hooks.append(("commit", call))

    def after_rollback(self, call: Hook) -> None:
        """Call this once the transaction, or the sub-transaction in which this is said, has been undone."""
        self._hooks.append(("rollback", call))

    def run(self, run: Callable[[Transaction], T]) -> T:
        """Run the body; afterwards the transaction can do nothing more."""
        try:
            result = run(self)
            if monotonic() > self.deadline:
                raise self.late()
            if self.meter.error is not None and self.writable:
                raise self.meter.error
            return result
        finally:
            self._engine = None

    def call_hooks(self, *, committed: bool) -> None:
        """Call what waited for the end of the transaction, outside of every lock."""
        for when, call in self._hooks:
            if when == "always" or committed is (when == "commit"):
                try:
                    call()
                except Exception:
                    import logging

                    logging.getLogger("minihttp").exception("a hook of a transaction failed")
