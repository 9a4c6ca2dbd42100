# SPDX-License-Identifier: MIT
"""Turns due crons into jobs: `_cron_jobs` keeps for each cron its next run and its last job.

The job and the next run are written in one transaction, so of several processes one schedules each run, and
a cron survives a restart. At most one job of a cron is pending or running: a run that falls into it is
skipped, and of runs that were missed one is made up; both are logged (`docs/convex.md` §6). Knows no threads.
"""

from __future__ import annotations

import logging
import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..errors import CronError, FunctionNotFoundError, ValidationError
from ..values import copy
from .crons import Cron, Crons
from .store import CRONS, DONE, JobStore, new_row

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Transaction
    from ..functions.runner import Runner

log = logging.getLogger("minihttp.jobs")
_JITTER_MS = 1_000.0  # by which the time of a shared store may seem to go back


class CronRuns:
    """The crons of one app and when they run next.

    Raises:
        CronError: for a cron whose function is unknown or a query, or whose arguments are no Convex values.
    """

    def __init__(self, store: JobStore, runner: Runner, crons: Crons | None) -> None:
        self._store = store
        self._crons = {cron.name: cron for cron in crons or ()}
        self._specs = {cron.name: _spec(cron, runner) for cron in self._crons.values()}
        self._next_ms: float | None = None
        self._seen_ms = -math.inf

    def tick(self) -> float:
        """Schedule what is due; returns when the next cron is due, in milliseconds since the epoch."""
        now = self._store.now_ms()
        if self._next_ms is None or now < self._seen_ms - _JITTER_MS:  # or the clock went back
            self._next_ms = self._store.database.write(self._adopt)
        self._seen_ms = now
        if now >= self._next_ms and self._store.database.shared:
            self._next_ms = self._store.database.read(self._planned)  # another process may have done it
        if now >= self._next_ms:
            self._next_ms = self._store.database.write(self._run_due)
        return self._next_ms

    def _rows(self, transaction: Transaction) -> list[Document]:
        return transaction.system.query(CRONS).collect()

    def _adopt(self, transaction: Transaction) -> float:
        """Make the table hold the registered crons and no other."""
        now = self._store.now_ms() / 1000
        known = {row["name"]: row for row in self._rows(transaction)}
        planned = []
        for name, cron in self._crons.items():
            spec, row = self._specs[name], known.pop(name, None)
            if row is not None and all(row[field] == value for field, value in spec.items()):
                next_run = cron.replan(row["nextRun"] / 1000, now)
                if next_run * 1000 != row["nextRun"]:
                    transaction.system.patch(row["_id"], {"nextRun": next_run * 1000})
            else:
                next_run = cron.next_run(now)
                if row is not None:
                    self._remove(transaction, row)
                transaction.system.insert(CRONS, {**spec, "nextRun": next_run * 1000})
            planned.append(next_run * 1000)
        for row in known.values():
            self._remove(transaction, row)
        return min(planned, default=math.inf)

    def _remove(self, transaction: Transaction, row: Document) -> None:
        transaction.system.delete(row["_id"])
        job = self._last_job(transaction, row)
        if job is not None and job["state"]["kind"] == "pending":
            self._store.finish(transaction, job, "canceled")

    def _last_job(self, transaction: Transaction, row: Document) -> Document | None:
        return transaction.system.get(row["job"]) if "job" in row else None

    def _planned(self, transaction: Transaction) -> float:
        rows = [row for row in self._rows(transaction) if row["name"] in self._crons]
        return min((row["nextRun"] for row in rows), default=math.inf)

    def _run_due(self, transaction: Transaction) -> float:
        now = self._store.now_ms()
        planned = []
        for row in self._rows(transaction):
            cron = self._crons.get(row["name"])
            if cron is not None:
                if row["nextRun"] <= now:
                    self._run(transaction, row, cron, now / 1000)
                planned.append(row["nextRun"])
        return min(planned, default=math.inf)

    def _run(self, transaction: Transaction, row: Document, cron: Cron, now: float) -> None:
        """Schedule one run of a cron, and plan its next one."""
        run, job = row["nextRun"] / 1000, self._last_job(transaction, row)
        following = cron.next_run(now, previous=run)
        if job is not None and job["state"]["kind"] not in DONE:
            log.warning("cron %s: the run of %s is skipped, the last one has not ended", cron.name, _utc(run))
        else:
            spec = self._specs[cron.name]
            job_row = new_row(spec["function"], spec["args"][0], spec["kind"], row["nextRun"], cron=cron.name)
            row["job"] = self._store.add(transaction, job_row)["_id"]
        if cron.next_run(run, previous=run) <= now:
            log.warning("cron %s: runs missed between %s and %s are skipped", cron.name, _utc(run), _utc(now))
        row["nextRun"] = following * 1000
        transaction.system.patch(row["_id"], {"nextRun": row["nextRun"], "job": row["job"]})


def _spec(cron: Cron, runner: Runner) -> dict[str, Any]:
    """What a row says of a cron; a row that says otherwise is of an older version of the app."""
    try:
        function = runner.registry.named(cron.function)
        args = copy(cron.args)
        function.check_args(args)
    except (FunctionNotFoundError, ValidationError) as error:
        raise CronError(f"cron {cron.name!r}: {error}") from None
    if function.kind == "query":
        raise CronError(f"cron {cron.name!r} must run a mutation or an action, not a query: {function.name}")
    schedule = copy(cron.schedule)
    return {
        "name": cron.name,
        "function": function.name,
        "kind": function.kind,
        "args": [args],
        "schedule": schedule,
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
