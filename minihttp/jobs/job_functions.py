# SPDX-License-Identifier: MIT
"""The jobs' own functions, registered as `_jobs:…`: what the command line calls, here or in a server.

As internal functions they are open to whoever holds the admin key. Knows no threads and prints nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import JobStore

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..functions.context import SystemCtx
    from ..functions.registry import Registry

_FUNCTIONS = {"query": ("list", "page", "show"), "mutation": ("retry", "cancel")}


class JobFunctions:
    """Each public method is a function of the app, of the kind that `_FUNCTIONS` says."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def register(self, registry: Registry) -> None:
        """Put them into the app's registry."""
        registry.add_methods("_jobs", self, _FUNCTIONS)

    def list(self, ctx: SystemCtx, state: str | None = None, limit: float = 50) -> list[Document]:
        """Jobs as `JobStore.by_state` orders them, without what may be large: arguments and results."""
        rows = self._store.by_state(ctx.transaction, state, int(limit))
        return [self._small(row) for row in rows]

    def page(
        self,
        ctx: SystemCtx,
        state: str | None = None,
        name: str | None = None,
        request_id: str | None = None,
        limit: float = 50,
        cursor: str | None = None,
    ) -> Document:
        """A page of what `list` lists, as `JobStore.page`: `page`, `isDone` and `continueCursor`.

        Args:
            name: only jobs of this function.
            request_id: only jobs that this request scheduled.
        """
        asked = {"name": name, "requestId": request_id}
        wanted = {field: value for field, value in asked.items() if value is not None}
        found = self._store.page(ctx.transaction, state, wanted, int(limit), cursor)
        return {**found, "page": [self._small(row) for row in found["page"]]}

    def _small(self, row: Document) -> Document:
        shown = self._store.table_of(row).shown(row)
        return {name: shown[name] for name in shown.keys() - _LARGE}

    def show(self, ctx: SystemCtx, id: str) -> Document | None:
        """A job, or None when it has been removed."""
        row = self._store.find(ctx.transaction, id)
        return None if row is None else self._store.table_of(row).shown(row)

    def retry(self, ctx: SystemCtx, id: str) -> str:
        """Run a job that has ended once more; returns the id of the new job."""
        return ctx.scheduler.retry(id)

    def cancel(self, ctx: SystemCtx, id: str) -> Document | None:
        """Cancel a job that has not ended; returns what it is then."""
        ctx.scheduler.cancel(id)
        return self.show(ctx, id)


_LARGE = {"args", "result", "onComplete", "failures"}
