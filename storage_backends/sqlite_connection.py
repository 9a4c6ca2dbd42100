# SPDX-License-Identifier: MIT
"""What every store in SQLite shares: opening a connection, its faults, the lock of its directory.

Not a backend itself. Knows no tables.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
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


def lock(path: str) -> int:
    """Take the exclusive lock file of a database for this process; returns its descriptor (close it to
    release).

    Raises:
        Fault: EAGAIN, naming the directory and the process that has it.
    """
    import fcntl

    descriptor = open_own(path)
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
