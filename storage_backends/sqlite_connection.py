# SPDX-License-Identifier: MIT
"""What every store in SQLite shares: opening a connection, its faults, the lock of its directory.

Not a backend itself. Knows no tables.
"""

from __future__ import annotations

import errno
import os
import sqlite3

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


def lock(path: str) -> int:
    """Take the exclusive lock file of a database for this process; returns its descriptor (close it to
    release).

    Raises:
        Fault: EAGAIN, naming the directory and the process that has it.
    """
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "?"
        os.close(descriptor)
        directory = os.path.dirname(path)
        raise Fault(errno.EAGAIN, f"directory {directory} is in use by process {owner}") from None
    return descriptor
