# SPDX-License-Identifier: MIT
"""Documents in PostgreSQL, which any number of processes may have open at once.

The mutations of a process share transactions and commits (`postgresql_writers.py`); readers are REPEATABLE
READ snapshots on connections of their own. A line that breaks is no error: what did not take place runs
again, and what did is known by a token. A person reads it with
`psql -c 'SELECT id, json FROM documents WHERE "table" = $$items$$'`. See docs/postgresql.md.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from math import inf
from secrets import token_hex
from time import monotonic, sleep
from typing import Any, TypeVar
from weakref import ref

from .postgresql_connection import LOST, Connection, Fault, Target, quoted
from .postgresql_statements import FORMAT, PREPARED, SNAPSHOTS, TABLES, Statements
from .postgresql_tables import Reading
from .postgresql_token import Token
from .postgresql_watch import Clock, Watch
from .postgresql_writers import Writers
from .postgresql_writing import Writing

T = TypeVar("T")

_CONNECTING_SECONDS = 10.0  # in which a server may start, or another one take over
_FULL_SECONDS = 1.0  # in which a server may close a connection of somebody else
_PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5)
_WAIT_SECONDS = 5.0  # for a connection of our own that others use
_STEP_SECONDS = 0.005  # between two looks whether one is free
_MAX_CLOSING_SECONDS = 6.0
_LINGERING_SECONDS = 0.5  # of a snapshot that has ended, on a connection that nobody takes
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
_LOCK_NUMBER = 0x6D696E69  # of the advisory lock under which the tables are made
# Not to_regclass: what it remembers of the time before the lock was had is not looked up again.
_TABLE = "SELECT 1 FROM pg_class WHERE relname = '{}' AND pg_table_is_visible(oid)"
_FORMAT_TABLE = _TABLE.format("format")
_STALE_WRITER = "seen_at < clock_timestamp() - interval '7 days'"


class DocumentBackend:
    """Documents in a schema of a PostgreSQL database.

    Args:
        location: a URL of libpq's without its scheme; options of our own are `connections=` (how many this
            process may have, default 24), `writers=` (how many transactions it runs side by side, default 1),
            `prepare=0` (behind a pooler), `listen=` (a URL around the pooler).
        max_batch_seconds: how long a mutation that is done may wait for others to share its COMMIT.
        patience_seconds: how long a mutation waits for another whose code does not end.

    Raises:
        Fault: if the server refuses us (EACCES, ENOENT), has other tables of these names (EILSEQ) or does not
            answer within 10 s (EIO).
    """

    Fault = Fault
    shared = True

    def __init__(
        self, location: str, *, max_batch_seconds: float = 0.05, patience_seconds: float = 5.0
    ) -> None:
        self._target = Target(location)
        self._statements = Statements(self._target.prepares)
        self._prepared = PREPARED if self._target.prepares else ""
        self._idle: list[Connection] = []
        self._max_snapshots = self._target.connections - self._target.writers - 2
        self._snapshots: list[ref[_Snapshot]] = []  # weak: one that an interrupt has left open is forgotten
        self._counting = threading.Lock()
        self._closed = False
        name = f"{socket.gethostname()}:{os.getpid()}"
        self._tokens = tokens = [Token(token_hex(16), name) for _ in range(self._target.writers + 1)]
        connection = self._connect("")  # the statements need the tables
        try:
            _prepare_tables(connection)
            connection.run(f"DELETE FROM writers WHERE {_STALE_WRITER}")
            for token in tokens:
                token.create(connection)
            self._clock = Clock()
            for _ in range(3):
                self._clock.measure(connection)
            connection.run(self._prepared)
        except Fault as fault:
            connection.close()
            raise Fault(*_outside(fault).args) from None
        self._idle.append(connection)
        listens = bool(self._target.listen)
        direct = Target(self._target.listen.partition(":")[2]) if listens else self._target
        self._watch = Watch(
            lambda: self._connect("", direct),
            listens or self._target.prepares,
            self._clock,
            tokens,
            self._end_snapshots,
        )
        self._writers: list[Writers] = []
        *tokens, locker = tokens
        make = partial(  # they connect when they are first needed
            Writers,
            self._statements,
            self._connect,
            self._connect_once,
            max_batch_seconds=max_batch_seconds,
            patience_seconds=patience_seconds,
        )
        self._lockers = make(token=locker, by_locks=True)
        for token in tokens:
            self._writers.append(make(token=token, first=self._writers[0] if self._writers else None))

    # -- connections

    def _connect_once(self) -> Connection:
        return Connection(self._target, self._prepared)

    def _connect(self, prepared: str | None = None, target: Target | None = None) -> Connection:
        """A new connection, tried for a while: a server may be starting, or another one taking over."""
        started = monotonic()
        end = started + _CONNECTING_SECONDS
        pauses = iter(_PAUSES_SECONDS)
        while True:
            try:
                return Connection(target or self._target, self._prepared if prepared is None else prepared)
            except Fault as fault:
                patience = {LOST: _CONNECTING_SECONDS, errno.EAGAIN: _FULL_SECONDS}.get(fault.errno or 0, 0.0)
                if monotonic() > started + patience or self._closed:
                    raise
            sleep(min(next(pauses, _PAUSES_SECONDS[-1]), max(0.0, end - monotonic())))

    def _take(self) -> Connection:
        """An idle connection or a new one."""
        if self._closed:
            raise Fault(errno.EIO, "the database is closed")
        with suppress(IndexError):
            return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: Connection, end: str) -> None:
        """Have a connection idle, whose snapshot ends by this statement. A mere ROLLBACK is said in the next
        round trip, within a second or two; a pooler would keep the server's connection until then."""
        if end == "ROLLBACK" and self._target.prepares and self._watch.looks:
            connection.put_off(end)
        elif end:
            connection.send(end)
        self._idle.append(connection)

    def _end_snapshots(self) -> None:
        """End those of connections that nobody has taken for a while: they would hold VACUUM back."""
        for _ in range(len(self._idle)):
            with suppress(IndexError):  # all are taken
                connection = self._idle.pop(0)
                connection.send_put_off(_LINGERING_SECONDS)
                self._idle.insert(0, connection)

    def _replace(self) -> Connection:
        """A connection instead of one whose line was broken: then those of all idle ones are."""
        while self._idle:
            self._idle.pop().close()
        return self._connect_once()

    # -- reading

    def read(self, deadline: float | None) -> AbstractContextManager[Reading]:
        return _Snapshot(self, deadline)

    def _enter(self, snapshot: _Snapshot) -> bool:
        """Whether there is room for one more snapshot, which then counts until it is closed or forgotten."""
        with self._counting:
            if len(self._snapshots) >= self._max_snapshots:
                self._snapshots = [some for some in self._snapshots if (it := some()) and it.is_open]
            if len(self._snapshots) >= self._max_snapshots:
                return False
            self._snapshots.append(ref(snapshot))
            return True

    def publish(self, snapshot: Reading, number: int, seconds: float) -> bool:
        [(name,)] = snapshot.execute(
            f"SET LOCAL idle_in_transaction_session_timeout = '{seconds:g} s'; SELECT pg_export_snapshot()"
        )
        with self.read(None) as row:
            row.begin = ""
            is_new = row.execute(
                "DELETE FROM snapshots WHERE until < clock_timestamp();"
                f" INSERT INTO snapshots VALUES ({number}, {quoted(name or '')},"
                f" clock_timestamp() + interval '{seconds:g} s') ON CONFLICT DO NOTHING RETURNING 1"
            )
            row.begun = False
        if is_new:
            snapshot.end += f"; DELETE FROM snapshots WHERE number = {number}"
        return bool(is_new)

    @contextmanager
    def published(self, number: int) -> Iterator[Reading]:
        with self.read(None) as reading:
            reading.begin = ""
            found = reading.execute(
                f"SELECT name FROM snapshots WHERE number = {number} AND until > clock_timestamp()"
            )
            reading.begun = False
            if not found:
                raise Fault(errno.ENOENT, "there is no such snapshot")
            reading.begin = f"{_SNAPSHOT}SET TRANSACTION SNAPSHOT {quoted(found[0][0] or '')}; "
            try:
                reading.get("")
            except Fault as fault:
                raise Fault(errno.ENOENT, f"the snapshot is gone: {fault.strerror}") from None
            yield reading

    # -- writing

    def write(
        self,
        run: Callable[[Writing], T],
        deadline_seconds: float | None,
        *,
        any_thread: bool = False,
        guard: tuple[str, str] | None = None,
        by_locks: bool = False,
        alone: bool = False,
    ) -> T:
        writers = self._writers[0]
        if by_locks:
            writers = self._lockers
        elif len(self._writers) > 1:
            writers = min(self._writers, key=lambda some: some.busy + some.waiting)
        return writers.write(run, deadline_seconds, any_thread=any_thread, guard=guard, alone=alone)

    def submit(
        self,
        run: Callable[[Writing], Any],
        deadline_seconds: float | None,
        done: Callable[[Any, BaseException | None], None],
        *,
        guard: tuple[str, str] | None = None,
    ) -> None:
        self._writers[0].submit(run, deadline_seconds, done, guard)

    # -- the other processes

    def clock_offset(self) -> float:
        return self._clock.offset_seconds

    def alone(self, seconds: float) -> bool:
        ours = ", ".join(token.id for token in self._tokens)
        with self.read(None) as reading:
            [(others,)] = reading.execute(
                f"SELECT count(*) FROM writers WHERE id NOT IN ({ours})"
                f" AND seen_at > clock_timestamp() - interval '{float(seconds)} s'"
            )
        return others == "0"

    def listen(self, call: Callable[[], object]) -> None:
        self._watch.listen(call)

    def notify(self) -> None:
        self._watch.notify()

    # -- the rest

    def problems(self, limit_seconds: float) -> tuple[list[str], bool]:
        return [], True  # the server has checksums, and `amcheck` of its own

    def findings(self) -> list[tuple[str, str, str]]:
        """What an operator should know of the server."""
        from .postgresql_findings import findings

        with self.read(None) as reading:
            return list(findings(reading, self._target, self._clock.offset_seconds))

    def statistics(self) -> dict[str, Any]:
        """Numbers of this process; the server is not asked, since it may be the one that is down."""
        names = ("commits", "mutations", "reruns", "waiting")
        sums = {name: sum(getattr(writers, name) for writers in self._writers) for name in names}
        longest = max(writers.writing_seconds for writers in self._writers)
        return {**sums, "writing_seconds": longest, "clock_offset_seconds": self._clock.offset_seconds}

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._watch.close()
        last = self._idle.pop() if self._idle else None
        while self._idle:
            self._idle.pop().close()
        for writers in (self._lockers, *reversed(self._writers)):
            writers.close(_MAX_CLOSING_SECONDS)
        if last is not None:
            # Writers that never connected have left their rows: nobody is here any more
            with suppress(Fault):
                for token in self._tokens:
                    token.delete(last)
            last.close()


class _Snapshot:
    """A read transaction on a connection of its own. It begins with the first read."""

    def __init__(self, backend: DocumentBackend, deadline: float | None) -> None:
        self._backend = backend
        self._deadline = inf if deadline is None else deadline
        self.is_open = True

    def __enter__(self) -> Reading:
        backend = self._backend
        end = min(monotonic() + _WAIT_SECONDS, self._deadline)
        while not backend._enter(self):
            if monotonic() >= end:
                raise Fault(
                    errno.EAGAIN,
                    "all connections of this process are in use; connections= of the URL bounds them",
                )
            sleep(_STEP_SECONDS)
        self._reading = reading = Reading(backend._statements, _SNAPSHOT, backend._replace)
        reading.deadline = self._deadline
        began = monotonic()
        try:
            reading.connection = backend._take()
        except BaseException:
            self.is_open = False
            raise
        reading.deadline += monotonic() - began  # its time is not that of connecting
        return reading

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        backend, reading = self._backend, self._reading
        connection, reading.connection = reading.connection, None
        try:
            if connection is None:
                return
            interrupted = kind is not None and not issubclass(kind, Exception)
            if backend._closed or not connection.alive or interrupted:
                connection.close()
            else:
                backend._give_back(connection, reading.end if reading.begun else "")
        finally:
            self.is_open = False


def _prepare_tables(connection: Connection) -> None:
    """Make the tables at the first start of all, or find out whether those that are there are ours.

    Raises:
        Fault: EILSEQ, when they are another program's or a newer version's.
    """
    [(schema,)] = connection.rows("SELECT current_schema()")
    if schema is None:
        connection.run(
            f"BEGIN; SELECT pg_advisory_xact_lock({_LOCK_NUMBER}); DO $$ DECLARE name text :="
            " trim(split_part(current_setting('search_path'), ',', 1));"
            " BEGIN EXECUTE 'CREATE SCHEMA IF NOT EXISTS '"
            " || CASE WHEN name LIKE '\"%' THEN name ELSE quote_ident(lower(name)) END; END $$; COMMIT"
        )
    if not connection.rows(_FORMAT_TABLE):
        connection.run(f"BEGIN; SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
        if not connection.rows(_FORMAT_TABLE):
            connection.run("; ".join(TABLES))
        connection.run("COMMIT")
    versions = connection.rows("SELECT version FROM format")
    if versions != [(str(FORMAT),)]:
        found = versions[0][0] if len(versions) == 1 else "?"
        raise Fault(errno.EILSEQ, f"the tables are of a newer version (format {found}, not {FORMAT})")
    if not connection.rows(_TABLE.format("snapshots")):
        connection.run(f"BEGIN; SELECT pg_advisory_xact_lock({_LOCK_NUMBER}); {SNAPSHOTS}; COMMIT")


def _outside(fault: Fault) -> Fault:
    """A fault of the start as those outside know it."""
    if fault.errno == errno.EILSEQ:
        return Fault(errno.EILSEQ, f"the schema has tables of another program: {fault.strerror}")
    return fault
