# SPDX-License-Identifier: MIT
"""A consistent copy of an SQLite database that others may write to, and what SQLite finds wrong with one.

Copying the file itself (`cp`) gives pages of different moments, which is a corrupt database. SQLite's online
backup copies one snapshot: a reader that is held open, so that writers neither wait nor make it begin again.
Each step is synced, because a COMMIT waits for all that the file system has still to write.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from urllib.parse import quote

from .sqlite_connection import Fault, fault, sync_directory

_STEP_PAGES = 256
_PROGRESS_STEPS = 10_000  # instructions of SQLite's machine between two looks at the clock
_SHOWN = 3

Progress = Callable[[int, int], None]
"""Called with how many units are done, and of how many."""


class DatabaseCopy:
    """The newest state of a database, held from now on until `close`.

    Args:
        source: its path; no lock is taken, so it may be in use by another process.

    Raises:
        Fault: it cannot be read, is damaged, or is an empty file.
    """

    def __init__(self, source: str) -> None:
        self._path = os.path.abspath(source)
        try:
            self._reader = read_only(source)
            self._reader.execute("BEGIN")
            tables = self._reader.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # the snapshot
        except sqlite3.Error as error:
            raise self._fault(error) from error
        if not tables:
            self.close()
            raise Fault(errno.ENOENT, f"{self._path} is an empty file: was the database lost?")

    def write(self, target: str, progress: Progress) -> None:
        """Write it into the new file `target`, durably; a file that ends early is not left behind.

        Args:
            progress: called with the pages copied and the pages in all; what it raises ends the copying.

        Raises:
            Fault: the source cannot be read, or the target cannot be written.
        """

        def step(_: int, left: int, total: int) -> None:
            os.fdatasync(file.fileno())
            progress(total - left, total)

        partial = f"{target}.partial"
        try:
            with open(partial, "wb", opener=_for_its_owner) as file:
                with closing(sqlite3.connect(partial)) as writer:
                    writer.execute("PRAGMA synchronous = OFF")  # each step is synced, and the end
                    self._reader.backup(writer, pages=_STEP_PAGES, progress=step)
                os.fsync(file.fileno())
            os.rename(partial, target)
            sync_directory(os.path.dirname(os.path.abspath(target)))
        except sqlite3.Error as error:
            raise self._fault(error) from error
        except OSError as error:
            raise Fault(error.errno, f"{error.strerror}: {target}") from error
        finally:
            if os.path.exists(partial):
                os.unlink(partial)

    def close(self) -> None:
        self._reader.close()

    def _fault(self, error: sqlite3.Error) -> Fault:
        found = fault(error)
        is_damage = found.errno == errno.EILSEQ
        return Fault(found.errno, damaged(self._path, str(error)) if is_damage else f"{self._path}: {error}")


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def read_only(path: str) -> sqlite3.Connection:
    """A connection that can write nothing, beside whoever has the database open.

    Raises:
        sqlite3.Error: there is no database at `path`.
    """
    return sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True, isolation_level=None)


def problems(path: str, limit_seconds: float) -> tuple[list[str], bool]:
    """What SQLite finds wrong with the pages of a database, which may be in use.

    Args:
        limit_seconds: how long it may look.

    Returns:
        The first of what is wrong, in SQLite's words, and whether all of the database was looked at.

    Raises:
        Fault: it cannot be read.
    """
    end = monotonic() + limit_seconds
    try:
        with closing(read_only(path)) as connection:
            connection.set_progress_handler(lambda: monotonic() > end, _PROGRESS_STEPS)
            rows = connection.execute(f"PRAGMA quick_check({_SHOWN})").fetchall()
    except sqlite3.Error as error:
        found = fault(error)
        if found.errno == errno.ETIME:
            return [], False
        if found.errno != errno.EILSEQ:  # it may be whole, but cannot be looked at
            raise found from error
        return [str(error)], True
    lines = [line for (text,) in rows for line in text.splitlines() if not line.startswith("***")]
    return ([] if lines == ["ok"] else lines[:_SHOWN]), True


def damaged(path: str, problem: str) -> str:
    """The sentence that refuses a damaged database, or what is none."""
    if "not a database" in problem:
        return f"{path} is not a database: move it away, or put a backup in its place with `restore`"
    return (
        f"{path} is damaged ({problem}): put a backup in its place with `restore`, and never copy a database"
        " that is in use with cp, `backup` does that"
    )
