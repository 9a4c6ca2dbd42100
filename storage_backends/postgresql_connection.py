# SPDX-License-Identifier: MIT
"""One connection to a PostgreSQL server: its URL, its statements, its faults.

Speaks through libpq as psycopg brings it (`psycopg.pq`): one string of SQL a round trip, which costs a tenth
of what a cursor costs. Not a backend itself; it does not know what the tables are for.
"""

from __future__ import annotations

import errno
import selectors
import socket
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any
from urllib.parse import unquote

from .postgresql_libpq import (
    Conninfo,
    ConnStatus,
    DiagnosticField,
    Error,
    ExecStatus,
    PGconn,
    PollingStatus,
)
from .postgresql_silence import watch_over

CONNECT_SECONDS = 3.0  # for one host, unless the URL has connect_timeout=
ANSWER_SECONDS = 30.0  # for a statement without a time limit of its own
_IDLE_SECONDS = 60  # after which the server ends a transaction whose process was stopped or has vanished
_DEFAULTS = {
    "client_encoding": "UTF8",
    "application_name": "minihttp",
    "target_session_attrs": "read-write",  # a standby is refused at once
    "tcp_user_timeout": "10000",  # milliseconds; a host that vanishes sends no RST
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
SETTINGS = {  # without the planner's, a small table is scanned whole, and locked whole for SERIALIZABLE
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "bytea_output": "hex",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
}


class Fault(OSError):
    """A failure of the engine: `errno` says which, the text is PostgreSQL's.

    Four never leave the backend: ECONNRESET (the line broke), EDEADLK (the transaction is to be run again),
    EIDRM (so it is, without trust) and EBADMSG (the row of this process in `writers` is not what it must be).
    """


LOST, AGAIN, FOREIGN, UNTRUE = errno.ECONNRESET, errno.EDEADLK, errno.EBADMSG, errno.EIDRM
_ERRNO_OF_STATE = {  # by the whole SQLSTATE, or by its class
    "40001": AGAIN,
    "40P01": AGAIN,
    "22012": FOREIGN,  # division by zero: only the commit token divides
    "2201E": UNTRUE,  # logarithm of zero: only what was trusted is counted so
    "2201F": errno.ESTALE,  # root of a negative number: only the guard takes a root
    "08": LOST,
    "25006": LOST,  # the server has become a standby
    "25P03": LOST,
    "57P01": LOST,
    "57P02": LOST,
    "57P03": LOST,
    "28": errno.EACCES,
    "42501": errno.EACCES,
    "3D000": errno.ENOENT,
    "3F000": errno.ENOENT,
    "53100": errno.ENOSPC,
    "53": errno.EAGAIN,
    "55P03": errno.EAGAIN,
    "57014": errno.ETIME,
    "42P07": errno.EILSEQ,
    "42P01": errno.EILSEQ,
    "42703": errno.EILSEQ,
    "XX001": errno.EILSEQ,
    "XX002": errno.EILSEQ,
}
_ERRNO_OF_REFUSAL = {  # libpq gives no SQLSTATE for a refused connection; "the database system is …" is LOST
    "too many ": errno.EAGAIN,
    "connection slots": errno.EAGAIN,
    "max_client_conn": errno.EAGAIN,
    "password": errno.EACCES,
    "authentication": errno.EACCES,
    "pg_hba.conf": errno.EACCES,
    "permission denied": errno.EACCES,
    'role "': errno.EACCES,
    'database "': errno.ENOENT,
    "no such database": errno.ENOENT,
}
_OK = tuple(ExecStatus[name].value for name in ("COMMAND_OK", "TUPLES_OK", "EMPTY_QUERY"))
_BAD = ConnStatus.BAD.value
_SQLSTATE, _PRIMARY = DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY
_POLLED = {
    int(PollingStatus.READING): selectors.EVENT_READ,
    int(PollingStatus.WRITING): selectors.EVENT_WRITE,
}


def quoted(text: str) -> str:
    """The text as a literal of SQL (`standard_conforming_strings` is on)."""
    if "\0" in text:
        raise ValueError("a text with a NUL character cannot be stored")
    return "'" + text.replace("'", "''") + "'"


def binary(value: bytes) -> str:
    """The bytes as a literal of SQL."""
    return f"'\\x{value.hex()}'"


class Target:
    """What a URL says: the servers, and how to use them.

    Args:
        location: a URL of libpq's without its scheme, such as `//user@host1,host2/name?connections=10`.

    Raises:
        Fault: EINVAL, when it is none. The text does not hold the password.
    """

    def __init__(self, location: str) -> None:
        place, _, query = location.partition("?")
        own = {"connections": "24", "writers": "1", "prepare": "1", "listen": ""}
        theirs = []
        for part in filter(None, query.split("&")):
            name, _, value = part.partition("=")
            if name in own:
                own[name] = unquote(value)
            else:
                theirs.append(part)
        self.connections = self._number(own, "connections", 5, 10_000)
        self.writers = self._number(own, "writers", 1, 8)
        self.prepares = bool(self._number(own, "prepare", 0, 1))
        self.listen = own["listen"]
        authority, _, path = place.removeprefix("//").partition("/")
        try:
            if authority.count("@") > 1 or "@" in path:  # libpq takes the first one: the rest is its "host"
                raise Error
            parsed = Conninfo.parse(f"postgresql:{place}?{'&'.join(theirs)}".encode())
        except Error:  # its text may hold the password
            raise Fault(errno.EINVAL, _why_not(theirs)) from None
        given = {option.keyword.decode(): option.val.decode() for option in parsed if option.val is not None}
        self.connect_seconds = float(given.get("connect_timeout") or CONNECT_SECONDS)
        if self.prepares:  # a pooler refuses startup options
            ours = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
            given["options"] = f"{ours} {given.get('options', '')}".strip()
        self.hosts = [_conninfo({**_DEFAULTS, **given, **host}) for host in _hosts(given)]

    @staticmethod
    def _number(own: Mapping[str, str], name: str, least: int, most: int) -> int:
        text = own[name]
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise Fault(errno.EINVAL, f"{name}={text} is not a whole number from {least} to {most}")
        return int(text)


def _why_not(options: list[str]) -> str:
    """What is wrong with a URL, without any value in it."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | {"ssl"}
    unknown = [name for name, equals, _ in (part.partition("=") for part in options) if name not in known]
    if unknown and all("=" in part for part in options):
        return f"libpq has no option {unknown[0]!r}, and neither have we"
    return (
        "not a connection URL as libpq reads it: it begins with //, and in a name or password"
        " @ : / ? % and spaces are written %40 %3A %2F %3F %25 %20"
    )


def _hosts(given: Mapping[str, str]) -> list[dict[str, str]]:
    """libpq's lists of hosts and ports, one by one: each has its own time for connecting."""
    names = [name for name in ("host", "hostaddr") if given.get(name)]
    count = max((given[name].count(",") + 1 for name in names), default=1)
    ports = given.get("port", "").split(",")
    out = []
    for n in range(count):
        host = {name: given[name].split(",")[n] for name in names if given[name].count(",") >= n}
        port = ports[n] if n < len(ports) and len(ports) > 1 else ports[0]
        out.append({**host, **({"port": port} if port else {})})
    return out


def _conninfo(options: Mapping[str, str]) -> bytes:
    escaped = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in options.items()}
    return " ".join(f"{name}='{value}'" for name, value in escaped.items()).encode()


class Connection:
    """A connection; it belongs to one thread at a time.

    Args:
        target: where to.
        prepared: what is run first.

    Raises:
        Fault: EACCES and ENOENT when the server refuses us, EAGAIN when it has too many connections,
            ECONNRESET when none of the hosts is there or may be written to.
    """

    def __init__(self, target: Target, prepared: str = "") -> None:
        self._first = ""
        self._first_since = 0.0
        self._answer_until = inf
        refusals = []
        for host in list(target.hosts):
            try:
                self._pgconn = _connect(host, monotonic() + target.connect_seconds)
                break
            except Fault as fault:
                refusals.append(fault)
        else:
            worst = min(refusals, key=lambda fault: fault.errno == LOST)
            raise Fault(worst.errno, "; ".join(dict.fromkeys(str(fault.strerror) for fault in refusals)))
        target.hosts = sorted(target.hosts, key=lambda other: other != host)  # here it is welcome next time
        if self._pgconn.parameter_status(b"standard_conforming_strings") not in (b"on", None):
            raise Fault(errno.EINVAL, "standard_conforming_strings must be on")
        watch_over(self)
        if prepared:
            self.run(prepared)

    def run(self, text: str, seconds: float = ANSWER_SECONDS) -> Any:
        """Run one string of statements; returns the result of the last one.

        Args:
            seconds: the line of a server that does not answer within these is taken to be broken.

        Raises:
            Fault: of the first statement that fails; those after it are not run.
        """
        if self._first:
            text, self._first = f"{self._first}; {text}", ""
        self._answer_until = monotonic() + seconds
        try:
            result = self._pgconn.exec_(text.encode())
        except Error as error:
            raise Fault(LOST, f"the connection is lost: {_one_line(str(error))}") from None
        finally:
            was_silent, self._answer_until = self._answer_until < 0, inf
        if was_silent and not self.alive:
            raise Fault(LOST, f"the server has not answered for {seconds:.0f} s")
        if result.status in _OK:
            return result
        raise self._fault(result)

    def rows(self, text: str) -> list[tuple[str | None, ...]]:
        """The rows of the last statement, as text."""
        result = self.run(text)
        columns = range(result.nfields)
        return [
            tuple(_text(result.get_value(row, column)) for column in columns) for row in range(result.ntuples)
        ]

    def send(self, text: str) -> None:
        """Send a statement and do not wait: the next one reads what became of it."""
        try:
            self._pgconn.send_query(text.encode())
        except Error:
            self.close()  # the next one finds that out

    def put_off(self, text: str) -> None:
        """Have a statement run in the round trip of the next one, or when it is sent."""
        self._first, self._first_since = text, monotonic()

    def send_put_off(self, seconds: float) -> None:
        """Send what was put off, if that was so long ago."""
        if self._first and monotonic() - self._first_since >= seconds:
            text, self._first = self._first, ""
            self.send(text)

    def notified(self) -> bool:
        """Whether another process has sent a notification since the last look.

        Raises:
            Fault: ECONNRESET.
        """
        try:
            self._pgconn.consume_input()
            found = False
            while (notification := self._pgconn.notifies()) is not None:
                found = found or notification.be_pid != self._pgconn.backend_pid
            return found
        except Error as error:
            raise Fault(LOST, f"the connection is lost: {_one_line(str(error))}") from None

    @property
    def socket(self) -> int:
        return int(self._pgconn.socket)

    def break_if_silent(self) -> None:
        """Break the line if a thread waits for an answer that is overdue; in another thread than its own."""
        if self._answer_until < monotonic() and self.alive:
            self._answer_until = -inf
            with suppress(OSError), socket.fromfd(self.socket, socket.AF_INET, socket.SOCK_STREAM) as line:
                line.shutdown(socket.SHUT_RDWR)

    @property
    def alive(self) -> bool:
        """Whether the line is not known to be broken."""
        return bool(self._pgconn.status != _BAD)

    def close(self) -> None:
        self._pgconn.finish()

    def _fault(self, result: Any) -> Fault:
        state = (result.error_field(_SQLSTATE) or b"").decode()
        text = (result.error_field(_PRIMARY) or result.error_message or b"").decode("utf-8", "replace")
        number = _ERRNO_OF_STATE.get(state) or _ERRNO_OF_STATE.get(state[:2], errno.EIO)
        if not self.alive:
            number = LOST
        return Fault(number, f"{_one_line(text)} ({state})" if state else _one_line(text))


def _connect(conninfo: bytes, until: float) -> Any:
    """Not PQconnectdb: that one keeps the interpreter's lock while it waits."""
    pgconn = PGconn.connect_start(conninfo)
    try:
        status = 0 if pgconn.status == _BAD else int(PollingStatus.WRITING)
        with selectors.DefaultSelector() as selector:
            while status in _POLLED:
                selector.register(pgconn.socket, _POLLED[status])
                if not selector.select(max(0.0, until - monotonic())):
                    raise Fault(LOST, f"the server at {_place(pgconn)} does not answer")
                selector.unregister(pgconn.socket)
                status = pgconn.connect_poll()
        if status != PollingStatus.OK or pgconn.status == _BAD:
            raise _refusal(pgconn)
    except BaseException:
        pgconn.finish()
        raise
    return pgconn


def _refusal(pgconn: Any) -> Fault:
    text = _one_line((pgconn.error_message or b"").decode("utf-8", "replace"))
    fatal = text.partition("FATAL:")[2]
    number = next((number for part, number in _ERRNO_OF_REFUSAL.items() if part in fatal), LOST)
    if pgconn.needs_password:
        number = errno.EACCES
    hint = " (connections= of the URL bounds those of one process)" if number == errno.EAGAIN else ""
    return Fault(number, text + hint)


def _place(pgconn: Any) -> str:
    return b":".join([pgconn.host or b"?", pgconn.port or b"?"]).decode("utf-8", "replace")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
