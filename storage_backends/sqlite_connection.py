# SPDX-License-Identifier: MIT
"""What every store in SQLite shares: its file, the lock of its directory, its connections and their faults.

Not a backend itself. Knows no table by name.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import suppress

_OWN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
BUSY_SECONDS = 5.0  # how long a statement waits for a lock that another program holds


class Fault(OSError):
    """A failure of the engine: `errno` says which, the text is SQLite's."""


_ERRNO_OF_MESSAGE = {  # SQLite's own texts: sqlite_errorcode came with Python 3.11
    "is full": errno.ENOSPC,
    "readonly": errno.EROFS,
    "is locked": errno.EAGAIN,
    "interrupted": errno.ETIME,
    "malformed": errno.EILSEQ,
    "not a database": errno.EILSEQ,
}


def fault(error: sqlite3.Error) -> Fault:
    """SQLite's error as a Fault."""
    text = str(error)
    number = next((number for part, number in _ERRNO_OF_MESSAGE.items() if part in text), errno.EIO)
    return Fault(number, text)


def connect(path: str, **pragmas: object) -> sqlite3.Connection:
    """Open a connection in autocommit mode (transactions are begun by hand) with the given pragmas.

    Raises:
        Fault: if the file cannot be opened, or is no SQLite database.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            for name, value in pragmas.items():
                connection.execute(f"PRAGMA {name} = {value}").fetchall()
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise fault(error) from error
    return connection


def sync_directory(path: str) -> None:
    """Make the names in a directory durable: until then a new file can vanish with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: str) -> None:
    """Make a directory and those above it; it is for its owner only, where it is not there yet."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if not os.path.isdir(path):
        raise Fault(errno.ENOTDIR, f"{path} is not a directory")


def make_own(path: str) -> None:
    """Make the file of a database and its directory, unless they are there.

    Raises:
        Fault: as `open_own`, of the file and of what SQLite keeps beside it.
    """
    directory = os.path.dirname(path)
    make_directory(directory)
    if not os.access(directory, os.W_OK | os.X_OK):  # SQLite keeps its log beside the database
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            raise Fault(errno.EROFS, os.strerror(errno.EROFS))
        raise Fault(errno.EACCES, f"{directory} is not writable for this user")
    os.close(open_own(path))
    for end in ("-wal", "-shm", "-journal"):
        _refuse_link(path + end)


def _refuse_link(path: str) -> None:
    if os.path.islink(path):
        raise Fault(errno.ELOOP, f"{path} is a symbolic link: put the file itself there")


def open_own(path: str) -> int:
    """Open a file of a database, made for its owner only where it is not there yet; returns its descriptor.

    Raises:
        Fault: it is a symbolic link, which somebody else may have put in its place, or no plain file.
    """
    try:
        descriptor = os.open(path, _OWN, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            _refuse_link(path)
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Fault(errno.EINVAL, f"{path} is no plain file")
    return descriptor


def prepare(path: str) -> tuple[int, str]:
    """Make the file of a database, unless it is there, and take its lock for this process.

    Returns:
        The descriptor of the lock file, to be closed to release it, and what stood in it.

    Raises:
        Fault: EAGAIN, naming the directory and the process that has the lock; and as `make_own`.
    """
    try:
        make_own(path)
        return _lock(f"{path}.lock")
    except Fault:
        raise
    except FileExistsError:
        raise Fault(errno.ENOTDIR, f"{os.path.dirname(path)} is not a directory") from None
    except OSError as error:
        raise Fault(error.errno, f"{error.strerror}: {error.filename or path}") from error


def _lock(path: str) -> tuple[int, str]:
    import fcntl

    descriptor = open_own(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "?"
        os.close(descriptor)
        directory = os.path.dirname(path)
        raise Fault(errno.EAGAIN, f"directory {directory} is in use by process {owner}") from None
    left = os.pread(descriptor, 100, 0).decode("ascii", "replace")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor, left


def create(connection: sqlite3.Connection, path: str, tables: Iterable[str], version: int) -> None:
    """Make the tables of a database unless they are there, and have it write a log (WAL).

    Args:
        path: of the database; "" for one in memory.
        tables: the statements that make them.
        version: of their format, which the database remembers.

    Raises:
        Fault: EILSEQ, it is the database of another program or of a newer version, and as it was.
    """
    try:
        [(found,)] = connection.execute("PRAGMA user_version")
        is_new = found != version
        if is_new and (found or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()):
            newer = f" or a newer version (format {found}, not {version})" if found else ""
            raise Fault(errno.EILSEQ, f"{path} is the database of another program{newer}")
        connection.execute("PRAGMA journal_mode = WAL")  # before the tables: it is not transactional
        if is_new:
            if path:
                sync_directory(os.path.dirname(path))
                sync_directory(os.path.dirname(os.path.dirname(path)))
            for statement in ("BEGIN IMMEDIATE", *tables, f"PRAGMA user_version = {version}", "COMMIT"):
                connection.execute(statement)
    except sqlite3.Error as error:
        raise fault(error) from error
