# SPDX-License-Identifier: MIT
"""Blobs as plain files: `<folder>/ab/ab12…`, one file a blob, 256 folders by the first two digits of the key.

A blob appears whole or not at all: it is written to `incoming/`, synced, renamed into place, and its folder
is synced before `put` returns. Every path is built from a checked key and opened relative to its folder,
following no links. Files are 0600 and folders 0700. Knows no names, no types, no owners; POSIX systems only.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_is_key = re.compile(r"[0-9a-f]{32}").fullmatch
_is_shard = re.compile(r"[0-9a-f]{2}").fullmatch
_INCOMING = "incoming"
_HELD = "held.lock"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_HOLD = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_BYTES = 1024 * 1024

# A quota and a file size limit are, to the caller, a full disk.
_SAME_AS = {errno.EDQUOT: errno.ENOSPC, errno.EFBIG: errno.ENOSPC}


class Fault(OSError):
    """The file system failed; `errno` says how, ENOSPC for every kind of full."""


@contextmanager
def _faults() -> Iterator[None]:
    """Turn an OSError of the file system into a Fault; a file that is not there stays FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, Fault):
        raise
    except OSError as error:
        number = _SAME_AS.get(error.errno or errno.EIO, error.errno or errno.EIO)
        raise Fault(number, os.strerror(number), error.filename) from error


class FileBackend:
    """A folder of blobs, created when it is missing.

    Args:
        location: the path of the folder. It may itself be a symbolic link; nothing below it may.

    Attributes:
        spool_folder: where a server had better write request bodies, for `put` to link them.

    Raises:
        Fault: when the folder cannot be made, read or written.
    """

    Fault = Fault
    shared = False

    @_faults()
    def __init__(self, location: str) -> None:
        path = os.path.abspath(location)
        _make_folder(path)
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, "", path)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            read_only = os.statvfs(path).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "", path)
        self._path = path
        self.spool_folder = os.path.join(path, _INCOMING)
        self._root = os.open(path, _FOLDER & ~os.O_NOFOLLOW)
        self._shards: set[str] = set()
        self._deleted: list[str] = []  # and still there
        self._unfinished: set[str] = set()  # what puts of this process write: no leftovers, however old
        self._making = threading.Lock()
        self._make_shard(_INCOMING)

    def put(self, key: str, chunks: Iterable[bytes], spool: int | None = None) -> None:
        """Store a new blob: durable when this returns; when `chunks` or the disk raises, nothing is kept.

        Args:
            spool: the descriptor of a nameless file with the bytes of `chunks`; if it lies on this disk it
                gets a name here, and nothing is written twice.
        """
        name = f"{_checked(key)}.{os.urandom(4).hex()}"
        self.check_there()
        self._unfinished.add(name)
        try:
            self._put(key, f"{_INCOMING}/{name}", chunks, spool)
        finally:
            self._unfinished.discard(name)

    def _put(self, key: str, temporary: str, chunks: Iterable[bytes], spool: int | None) -> None:
        linked = spool is not None and self._link(spool, temporary)
        descriptor = os.dup(spool) if linked and spool is not None else self._create(temporary)
        try:
            (_check_and_sync if linked else _write)(descriptor, chunks)
            self._publish(key, temporary, descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._root)
            raise
        finally:
            os.close(descriptor)

    def share(self, key: str, other: Any) -> bool:
        """Give a blob a name in another folder of this kind as well, without copying its bytes.

        The name is durable after the other's `sync_names`: a sync for each would hold up everybody who writes
        to this disk.

        Returns:
            False where that cannot be done: another kind of store, or another file system.
        """
        if not isinstance(other, FileBackend):
            return False
        with suppress(FileExistsError):
            os.mkdir(_checked(key)[:2], 0o700, dir_fd=other._root)
        with self._folder(key[:2]) as source, other._folder(key[:2]) as target:
            try:
                os.link(key, key, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except FileNotFoundError:
                raise
            except OSError:
                return False
        return True

    @_faults()
    def sync_names(self) -> None:
        """Make the names durable that blobs were given here by `share`."""
        for shard in filter(_is_shard, os.listdir(self._root)):
            with self._folder(shard) as folder:
                os.fsync(folder)
        os.fsync(self._root)

    @_faults()
    def open(self, key: str, start: int = 0, stop: int | None = None) -> Blob:
        """Open bytes `start:stop` of a blob; a file that ends before `stop` raises Fault(EIO)."""
        with self._folder(_checked(key)[:2]) as shard:
            return Blob(os.open(key, _READ, dir_fd=shard), start, stop)

    @_faults()
    def delete(self, key: str) -> None:
        """Delete a blob; one that is not there is no error. While somebody has a `hold`, it stays.

        Not synced: after a power failure the blob may be back, as an orphan that a sweep finds.
        """
        self._deleted.append(_checked(key))
        if self._is_held():
            return
        while self._deleted:
            with suppress(IndexError, FileNotFoundError):
                key = self._deleted.pop()
                with self._folder(key[:2]) as shard:
                    os.unlink(key, dir_fd=shard)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep what is deleted meanwhile, also by other processes, for whoever copies what is there now."""
        with _faults():
            held = os.open(_HELD, _HOLD | os.O_CREAT, 0o600, dir_fd=self._root)
        try:
            with _faults():
                fcntl.flock(held, fcntl.LOCK_SH)
            yield
        finally:
            os.close(held)

    def _is_held(self) -> bool:
        """Whether a process has a hold; one that was killed has none."""
        try:
            held = os.open(_HELD, _HOLD, dir_fd=self._root)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(held)

    def list(self, since: str = "", changed_since: float = 0.0) -> Iterator[tuple[str, float]]:
        """Every (key, last-modified Unix seconds) with a key after `since`, passing over links, folders and
        names that are no keys.

        Args:
            changed_since: leave out what has had its name since before that, in Unix seconds.
        """
        with _faults():
            for shard in filter(_is_shard, os.listdir(self._root)):
                if self._changed(shard) < changed_since:
                    continue
                for name, modified in self._files(shard, changed_since):
                    if _is_key(name) and name.startswith(shard) and name > since:
                        yield name, modified

    def findings(self) -> tuple[()]:
        """Nothing: `doctor` looks at the folder itself."""
        return ()

    def signed_url(self, key: str, size_bytes: int) -> None:
        """None: the app gives all blobs itself."""

    @_faults()
    def sweep_temporary(self, older_than: float) -> int:
        """Delete unfinished files last written before `older_than` (Unix seconds); returns how many.

        What this process is writing stays: a file system's clock may be behind by milliseconds or more.
        """
        old = [name for name, modified in self._files(_INCOMING) if modified < older_than]
        deleted = 0
        for name in old:
            if name not in self._unfinished:
                with suppress(FileNotFoundError):  # it was finished just now
                    os.unlink(f"{_INCOMING}/{name}", dir_fd=self._root)
                    deleted += 1
        return deleted

    def close(self) -> None:
        """Let go of the folder; open blobs stay readable."""
        os.close(self._root)

    def check_there(self) -> None:
        """Refuse a folder that has been moved, deleted or unmounted: nobody would find it again."""
        try:
            there = os.path.samestat(os.stat(self._path), os.fstat(self._root))
        except OSError:
            there = False
        if not there:
            raise Fault(errno.ENODEV, "the folder is no longer there", self._path)

    def _link(self, spool: int, temporary: str) -> bool:
        """Name a file that has no name (open(2), O_TMPFILE); False where that cannot be done."""
        status = os.fstat(spool)
        if status.st_nlink or not stat.S_ISREG(status.st_mode):  # somebody else could still write to it
            return False
        try:
            # Any src_dir_fd makes Python call linkat(2) with AT_SYMLINK_FOLLOW; the path is absolute.
            os.link(f"/proc/self/fd/{spool}", temporary, src_dir_fd=self._root, dst_dir_fd=self._root)
        except OSError:  # on another disk, opened with O_EXCL, or no /proc
            return False
        return True

    @_faults()
    def _create(self, temporary: str) -> int:
        return os.open(temporary, _CREATE, 0o600, dir_fd=self._root)

    @_faults()
    def _publish(self, key: str, temporary: str, descriptor: int) -> None:
        os.fsync(descriptor)
        self._make_shard(key[:2])
        with self._folder(key[:2]) as shard:
            os.rename(temporary, key, src_dir_fd=self._root, dst_dir_fd=shard)
            try:
                os.fsync(shard)
            except OSError:
                os.unlink(key, dir_fd=shard)
                raise

    def _make_shard(self, name: str) -> None:
        """Make a folder durable before the first file goes into it: once a process, whoever comes first."""
        if name in self._shards:
            return
        with self._making:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self._root)
            os.fsync(self._root)
            self._shards.add(name)

    @contextmanager
    def _folder(self, name: str) -> Iterator[int]:
        descriptor = os.open(name, _FOLDER, dir_fd=self._root)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _changed(self, shard: str) -> float:
        with suppress(FileNotFoundError):
            return os.stat(shard, dir_fd=self._root, follow_symlinks=False).st_mtime
        return 0.0

    def _files(self, folder: str, changed_since: float = 0.0) -> Iterator[tuple[str, float]]:
        with self._folder(folder) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_ctime >= changed_since:
                        yield entry.name, status.st_mtime


class Blob(io.FileIO):
    """Bytes `start:stop` of a file, read and sought as if they were all of it.

    Attributes:
        size: how many bytes it gives.
    """

    is_local = True

    def __init__(self, descriptor: int, start: int, stop: int | None) -> None:
        super().__init__(descriptor, "rb")
        length = os.fstat(descriptor).st_size
        self._start, self._stop = start, length if stop is None else stop
        self._whole = (start, self._stop) == (0, length)
        self.size = self._stop - start
        if not 0 <= start <= self._stop <= length:
            self.close()
            raise _too_short(self._stop)
        super().seek(start)

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, or all that are left; Fault(EIO) when the file was cut short meanwhile."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_READ_BYTES), b""))
        wanted = min(size, self._stop - super().tell())
        if wanted <= 0:
            return b""
        with _faults():
            data = super().read(wanted)
        if not data:
            raise _too_short(self._stop)
        return data

    readall = read

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """What io.BufferedReader asks for."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        """The position, counted from `start`."""
        return super().tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position counted from `start`, from here, or from `stop`."""
        base = (0, self.tell(), self.size)[whence]
        return super().seek(self._start + max(0, base + offset)) - self._start

    def fileno(self) -> int:
        """The descriptor of a whole file; not of a range, since a server's sendfile may start at byte 0."""
        if not self._whole:
            raise io.UnsupportedOperation("a byte range has no descriptor of its own")
        return super().fileno()


def _checked(key: str) -> str:
    if not _is_key(key):
        raise ValueError(f"{key!r} is not a blob key: 32 lower-case hexadecimal digits")
    return key


def _too_short(stop: int) -> Fault:
    return Fault(errno.EIO, f"the blob ends before byte {stop}")


def _write(descriptor: int, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:  # whose own errors are not the disk's
        with _faults():
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]


def _check_and_sync(descriptor: int, chunks: Iterable[bytes]) -> None:
    """Take chunks that are in the file already, for whoever gives them checks them, while the disk writes."""
    failures: list[OSError] = []

    def sync() -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=sync)
    thread.start()
    try:
        for _ in chunks:
            pass
    finally:
        thread.join()
    if failures:  # the next fsync would not tell again
        with _faults():
            raise failures[0]


def _make_folder(path: str) -> None:
    """Create a folder and its parents, each synced into its own parent."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_folder(parent)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
