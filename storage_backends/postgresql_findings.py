# SPDX-License-Identifier: MIT
"""What `doctor` says of a PostgreSQL server: settings that lose what was acknowledged, or make it slow.

Not a backend itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .postgresql_connection import Target

Finding = tuple[str, str, str]
"""(check, "ok" or "warning", detail)"""

_SETTINGS = (
    "fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "max_connections",
    "superuser_reserved_connections", "max_pred_locks_per_transaction", "server_version",
)  # fmt: skip
_PRED_LOCKS = 256
_LONG_SECONDS = 60.0
_OFFSET_SECONDS = 0.5


def findings(reading: Any, target: Target, offset_seconds: float) -> Iterator[Finding]:
    """All that is worth saying.

    Args:
        reading: a snapshot.
        target: what the URL says.
        offset_seconds: the server's clock minus ours.
    """
    names = ", ".join(f"'{name}'" for name in _SETTINGS)
    rows = reading.execute(f"SELECT name, setting FROM pg_settings WHERE name IN ({names})")
    settings: dict[str, str] = {name: setting or "" for name, setting in rows}
    yield "postgresql", "ok", settings["server_version"]
    yield from _durability(reading, settings)
    yield from _connections(reading, settings, target)
    if int(settings["max_pred_locks_per_transaction"]) < _PRED_LOCKS:
        text = f"max_pred_locks_per_transaction is {settings['max_pred_locks_per_transaction']}"
        advice = f"from {_PRED_LOCKS} on fewer transactions have to run again"
        yield "conflicts", "warning", f"{text}: {advice}"
    verdict = "warning" if abs(offset_seconds) > _OFFSET_SECONDS else "ok"
    yield "database clock", verdict, f"{offset_seconds:+.3f} s from this machine's; a start refuses 5 s"
    longest = reading.execute(
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    if (seconds := float(longest[0][0])) > _LONG_SECONDS:
        yield (
            "transactions",
            "warning",
            f"one has been open for {seconds:.0f} s: VACUUM removes nothing that is newer",
        )


def _durability(reading: Any, settings: dict[str, str]) -> Iterator[Finding]:
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            yield "durability", "warning", f"{name} is {settings[name]}: a power failure loses the database"
    commit, standbys = settings["synchronous_commit"], settings["synchronous_standby_names"]
    if commit == "off":
        yield "durability", "warning", "synchronous_commit is off: a crash loses what was acknowledged"
    [(replicas,)] = reading.execute("SELECT count(*) FROM pg_stat_replication")
    if not standbys:
        has = f"{replicas} standbys, none of them synchronous" if replicas != "0" else "no standby"
        verdict = "warning" if replicas != "0" else "ok"
        yield "replication", verdict, f"{has}: with the primary's disk goes what no standby or archive has"
    elif commit == "local":
        yield "replication", "warning", "synchronous_commit is local: a failover loses what was acknowledged"
    else:
        yield "replication", "ok", f"synchronous_standby_names = {standbys}; {replicas} connected"


def _connections(reading: Any, settings: dict[str, str], target: Target) -> Iterator[Finding]:
    room = int(settings["max_connections"]) - int(settings["superuser_reserved_connections"])
    [(used,)] = reading.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    processes = room // target.connections
    text = f"{used} of {room} in use; a process may take {target.connections}, so {processes} may run"
    yield "database connections", "warning" if processes < 2 else "ok", text
