# SPDX-License-Identifier: MIT
"""One transaction: what may be done in it, what else is undone with it, and what happens when it ends.

Knows no functions, and not the database that opened it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from ..limits import Limits
from ..watchdog import watchdog
from .documents import Reader, Writer
from .lease import Lease
from .meter import SYSTEM_LIMITS, Meter

if TYPE_CHECKING:
    from .backend import Writing
    from .catalog import Catalog

T = TypeVar("T")
Hook = Callable[[], object]


class Transaction(Lease):
    """A snapshot, or a serializable transaction that reads its own writes.

    Attributes:
        db: what a function sees as `ctx.db`: a Writer in a mutation, else a Reader.
        reader: the same, for reading only.
        writable: whether this is a write transaction.
        now: Unix seconds by the app's clock, the same throughout.
        label: the name of its outermost function, for the log.
        notes: a place for other rooms to keep what they know of this transaction.
    """

    def __init__(
        self,
        catalog: Catalog,
        engine: Writing,
        *,
        writable: bool,
        now: float,
        limits: Limits,
        time_limit_seconds: float | None,
    ) -> None:
        super().__init__(catalog, engine, time_limit_seconds)
        self.writable = writable
        self.now = now
        self.meter = Meter(limits)
        self.reader = Reader(self, catalog.user, self.meter)
        self.db = Writer(self, catalog.user, self.meter) if writable else self.reader
        self.notes: dict[Any, Any] = {}
        self.label = ""
        self._hooks: list[tuple[str, Hook]] = []  # ("commit", "rollback" or "always", call)

    @cached_property
    def system(self) -> Any:
        """The system tables: a Writer in a write transaction, else a Reader; not held to document limits."""
        view = Writer if self.writable else Reader
        return view(self, self.catalog.system, Meter(SYSTEM_LIMITS))

    def __str__(self) -> str:
        return self.label or "a transaction"

    @property
    def documents_written(self) -> int:
        return self.meter.documents_written

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
            limit_seconds = self._time_limit_seconds
            result = run(self) if limit_seconds is None else watchdog.run(limit_seconds, self, run, self)
            if monotonic() > self.deadline:
                raise self.late()
            if self.meter.error is not None and self.writable:
                raise self.meter.error
            return result
        finally:
            self.end()

    def call_hooks(self, *, committed: bool) -> None:
        """Call what waited for the end of the transaction, outside of every lock."""
        for when, call in self._hooks:
            if when == "always" or committed is (when == "commit"):
                try:
                    call()
                except Exception:
                    import logging

                    logging.getLogger("minihttp").exception("a hook of a transaction failed")
