# SPDX-License-Identifier: MIT
"""The engine, for as long as one transaction lasts: what readers, writers and queries hold on to.

They reach the engine only through it, so after the end of the transaction or its deadline they can do nothing
more. Time is looked at on every call; the watchdog ends what makes no call. Knows no documents.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import CallError, DeadlineError
from ..watchdog import timed_out

if TYPE_CHECKING:
    from .backend import Writing
    from .catalog import Catalog


class Lease:
    """A backend's transaction.

    Attributes:
        catalog: the tables.
        deadline: when it must have ended, on `time.monotonic()`; infinity without a limit.
        paginated: whether the running function has read its one page.
    """

    paginated = False

    def __init__(self, catalog: Catalog, engine: Writing, time_limit_seconds: float | None) -> None:
        self.catalog = catalog
        self._engine: Writing | None = engine
        self._time_limit_seconds = time_limit_seconds
        self.deadline = math.inf if time_limit_seconds is None else monotonic() + time_limit_seconds

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
        return self._engine

    def time_left(self) -> float:
        """Seconds until the deadline, 0 after it, infinity without one."""
        return max(0.0, self.deadline - monotonic())

    def late(self) -> DeadlineError:
        return timed_out(self._time_limit_seconds)

    def end(self) -> None:
        """From now on there is no engine."""
        self._engine = None
