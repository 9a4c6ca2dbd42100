# SPDX-License-Identifier: MIT
"""One transaction: the engine for as long as it lasts, its limits, and what happens when it ends.

Readers, writers and queries reach the engine only through it, so after its end or its deadline they can do
nothing more. Time is looked at on every call; the watchdog ends what makes no call. Knows no functions, no
documents (only their sizes), and not the database that opened it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, NoReturn, TypeVar

from ..errors import CallError, DeadlineError, LimitError
from ..limits import Limits
from ..watchdog import timed_out

if TYPE_CHECKING:
    from .backend import Writing
    from .catalog import Catalog

T = TypeVar("T")
Hook = Callable[[], object]

SYSTEM_LIMITS = Limits(
    max_document_bytes=math.inf,
    max_document_fields=math.inf,
    max_document_depth=128,
    max_array_length=math.inf,
)
"""The framework's own documents (jobs, deliveries, files) are bounded where they are made."""


class EngineTransaction:
    """A snapshot, or a serializable transaction that reads its own writes.

    Attributes:
        catalog: the tables.
        writable: whether this is a write transaction.
        now: Unix seconds by the app's clock, the same throughout.
        deadline: when it must have ended, on `time.monotonic()`; infinity without a limit.
        label: the name of its outermost function, for the log.
        paginated: whether the running function has read its one page.
        limit_error: the first limit that was passed; a transaction that passed one is undone even if its code
            goes on.
    """

    bytes_read = documents_read = ranges_read = 0
    bytes_written = documents_written = 0
    scheduled = scheduled_bytes = 0
    limit_error: LimitError | None = None
    label = ""
    paginated = False

    def __init__(
        self,
        catalog: Catalog,
        engine: Writing,
        writable: bool,
        now: float,
        limits: Limits,
        time_limit_seconds: float | None,
    ) -> None:
        self.catalog = catalog
        self._engine: Writing | None = engine
        self._time_limit_seconds = time_limit_seconds
        self.deadline = math.inf if time_limit_seconds is None else monotonic() + time_limit_seconds
        self.writable = writable
        self.now = now
        self.limits = limits
        self._hooks: list[tuple[str, Hook]] = []  # ("commit", "rollback" or "always", call)

    def __str__(self) -> str:
        return self.label or "a transaction"

    # -- the engine

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
            raise self._late()
        return self._engine

    def time_left(self) -> float:
        """Seconds until the deadline, 0 after it, infinity without one."""
        return max(0.0, self.deadline - monotonic())

    def _late(self) -> DeadlineError:
        return timed_out(self._time_limit_seconds)

    def check(self) -> None:
        """Refuse to commit what has run for too long or passed a limit.

        Raises:
            DeadlineError, LimitError.
        """
        if monotonic() > self.deadline:
            raise self._late()
        if self.limit_error is not None and self.writable:
            raise self.limit_error

    def end(self) -> None:
        """From now on there is no engine."""
        self._engine = None

    # -- the limits

    def count_read(self, size_bytes: int) -> None:
        self.documents_read += 1
        self.bytes_read += size_bytes
        if self.documents_read > self.limits.max_read_documents:
            self._refuse("TooManyDocumentsRead", "documents read", self.limits.max_read_documents)
        if self.bytes_read > self.limits.max_read_bytes:
            self._refuse("TooManyBytesRead", "bytes read", self.limits.max_read_bytes)

    def count_reads(self, sizes_bytes: list[int]) -> None:
        """Count many at once; where a limit is passed, as if each had been counted by itself."""
        documents, size_bytes = self.documents_read + len(sizes_bytes), self.bytes_read + sum(sizes_bytes)
        if documents > self.limits.max_read_documents or size_bytes > self.limits.max_read_bytes:
            for each in sizes_bytes:
                self.count_read(each)
        self.documents_read, self.bytes_read = documents, size_bytes

    def count_range(self) -> None:
        self.ranges_read += 1
        if self.ranges_read > self.limits.max_read_ranges:
            self._refuse("TooManyReads", "index ranges read", self.limits.max_read_ranges)

    def count_write(self, size_bytes: int) -> None:
        self.documents_written += 1
        self.bytes_written += size_bytes
        if self.documents_written > self.limits.max_write_documents:
            self._refuse("TooManyWrites", "documents written", self.limits.max_write_documents)
        if self.bytes_written > self.limits.max_write_bytes:
            self._refuse("TooManyBytesWritten", "bytes written", self.limits.max_write_bytes)

    def _refuse(self, code: str, what: str, limit: float) -> NoReturn:
        self.limit_error = LimitError(
            code, f"Too many {what} in a single function execution (limit: {limit})"
        )
        raise self.limit_error

    # -- sub-transactions, and the end

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

    def call_hooks(self, *, committed: bool) -> None:
        """Call what waited for the end of the transaction, outside of every lock."""
        for when, call in self._hooks:
            if when == "always" or committed is (when == "commit"):
                try:
                    call()
                except Exception:
                    import logging

                    logging.getLogger("minihttp").exception("a hook of a transaction failed")
