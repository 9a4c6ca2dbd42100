# SPDX-License-Identifier: MIT
"""All that minihttp asks of a file store: blobs by key, streamed both ways.

An engine fits this Protocol by shape and imports nothing of minihttp. It knows no metadata, no content types,
no users: those are documents (`storage.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class Blob(Protocol):
    """An open blob, or a byte range of one, read and sought like a binary file.

    It may have `fileno()`, where it is the whole of a real file, and `is_local = True`, where no read waits
    for another machine: then the server's one loop may read it. A read that misses bytes raises Fault(EIO).
    """

    size: int  # bytes that this object will give

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...


class FileBackend(Protocol):
    """A store of blobs.

    A key matches `[0-9a-f]{32}` and is used once; any other raises ValueError before anything is touched.
    Failures of the store are its class `Fault`, a subclass of OSError with `errno` (ENOSPC, EROFS …).
    A blob that is not there raises FileNotFoundError. Every method may be called from any thread.

    Attributes:
        shared: whether other processes may have the same store open.
    """

    Fault: type[OSError]
    shared: bool
    spool_folder: str | None
    """A folder in which `put` can make a nameless file its own, or None."""

    def put(self, key: str, chunks: Iterable[bytes], spool: int | None = None) -> None:
        """Store a new blob: durable when this returns; when `chunks` or the store raises, nothing is kept.

        Args:
            spool: the descriptor of a nameless file that has the bytes of `chunks`. A store may take it over
                instead of writing them again; it runs through `chunks` all the same, which checks them.
        """
        ...

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Blob:
        """Open bytes `start:stop`; a blob that ends before `stop` is damaged: Fault(EIO), never less."""
        ...

    def delete(self, key: str) -> None:
        """Delete a blob; one that is not there is no error."""
        ...

    def list(self, since: str = "", changed_since: float = 0.0) -> Iterator[tuple[str, float]]:
        """Every (key, last-modified Unix seconds) with a key after `since`; of a shared store in the order of
        the keys, else in any. Those that have been there since before `changed_since` may be left out."""
        ...

    def signed_url(self, key: str, size_bytes: int) -> str | None:
        """A URL of a minute at which the store itself gives a blob of this size, or None: the app does."""
        ...

    def check_there(self) -> None:
        """Raise Fault when the place that was opened is no longer there: what is put would be lost."""
        ...

    def sweep_temporary(self, older_than: float) -> int:
        """Delete what interrupted writes left before `older_than` (Unix seconds); returns how many."""
        ...

    def findings(self) -> Iterable[tuple[str, str, str]]:
        """What an operator should know of the store, for `doctor`: (check, "ok" or "warning", detail)."""
        ...

    def close(self) -> None: ...
