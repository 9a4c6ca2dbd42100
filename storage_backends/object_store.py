# SPDX-License-Identifier: MIT
"""Blobs as objects in a bucket, through the package `obstore`: what `s3:`, `gs:` and `az:` have in common.

A blob is one PUT, or a multipart upload beyond 5 MiB, so it appears whole or not at all; an upload that was
cut is aborted. Several processes may have the same bucket open.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

# The smallest part that S3 takes (AmazonS3 UserGuide, "Multipart upload limits")
_PART_BYTES = 5 * 1024 * 1024
_MAX_CONCURRENT_PARTS = 2
_MAX_RESUMES = 2  # of one read that broke off
_SIGNED_SECONDS = 60
_SLOW_SECONDS = 2.0
_CLIENT = {"connect_timeout": "2s", "timeout": "10s"}
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
# Whoever is sent to an object by a signed URL must not have it rendered as a page of the bucket's origin.
_ATTRIBUTES = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
_is_key = re.compile(r"[0-9a-f]{32}").fullmatch

_METADATA = "http://169.254.169.254/"  # where a machine of AWS finds its credentials

# What a service says in its errors, and the errno that stands for it.
_REASONS = {
    errno.ENOENT: ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"),
    errno.ENOSPC: ("507 ", "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"),
    errno.EACCES: ("AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "403 Forbidden"),
}


class Fault(OSError):
    """The store failed; `errno` says how: EACCES, ENOENT for the bucket, ENOSPC for a quota, else EIO."""


def _fault(error: Exception) -> Fault:
    whole = str(error)
    text = _told(whole)
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return Fault(errno.EACCES, f"the store refuses access: {text}")
    if _METADATA in whole:  # the last place where credentials are looked for
        return Fault(errno.EACCES, f"no credentials were found: {text}")
    number = next((n for n, words in _REASONS.items() if any(word in whole for word in words)), errno.EIO)
    return Fault(number, f"the object store failed: {text}")


def _told(text: str) -> str:
    """An error of obstore's in one line: what was asked, without its query, which may hold a signature, and
    what the service said."""
    text = " ".join(text.partition("Debug source:")[0].split())
    text = re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", text)
    said = re.search(r"<Code>([^<]*)</Code>.*?<Message>([^<]*)</Message>", text)
    asked = re.search(r"[A-Z]+ https?://\S+", text)
    return f"{asked[0]}: {said[1]}: {said[2]}"[:300] if said and asked else text[:300]


@contextmanager
def _faults() -> Iterator[None]:
    """Turn the errors of obstore into a Fault; an object that is not there stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _fault(error) from error
        raise
    except (BaseError, OSError) as error:
        raise error if isinstance(error, Fault) else _fault(error) from error


class FileBackend:
    """The objects below one prefix of a bucket.

    Args:
        location: `//bucket/prefix?name=value`: the options of the scheme, and `redirect`, the size in bytes
            from which on a download is answered with a redirect to a signed URL.

    Attributes:
        client: the class of obstore's client.
        shared: other processes may have the same store open.
        spool_folder: request bodies are spooled where the server likes.

    Raises:
        Fault: for a location or an option that cannot be.
    """

    Fault = Fault
    shared = True
    spool_folder: str | None = None
    client: Callable[..., Any]

    def __init__(self, location: str) -> None:
        place, _, query = location.removeprefix("//").partition("?")
        bucket, _, prefix = place.partition("/")
        options = dict(parse_qsl(query, keep_blank_values=True))
        redirect = options.pop("redirect", "")
        if not bucket or not location.startswith("//"):
            raise Fault(errno.EINVAL, f"a bucket is named as in scheme://bucket/prefix, not {location!r}")
        if redirect and not re.fullmatch("[0-9]{1,18}", redirect):
            raise Fault(errno.EINVAL, f"redirect is a number of bytes, not {redirect!r}")
        self._redirect_bytes = int(redirect) if redirect else None
        settings = {"client_options": dict(_CLIENT), "retry_config": dict(_RETRIES)}
        try:
            self._store = self._connect(bucket, prefix.strip("/"), options, settings)
        except (BaseError, TypeError, ValueError) as error:
            raise Fault(errno.EINVAL, _told(str(error))) from error

    def _connect(self, bucket: str, prefix: str, options: dict[str, str], settings: dict[str, Any]) -> Any:
        """The client; `settings` are its time limits."""
        return self.client(bucket, prefix=prefix or None, config=options, **settings)

    def put(self, key: str, chunks: Iterable[bytes], spool: int | None = None) -> None:
        """Store a new blob: durable when this returns; when `chunks` or the store raises, nothing is kept.

        Args:
            spool: a descriptor with the bytes of `chunks`; not used here.
        """
        _check(key)
        source = (bytes(chunk) for chunk in chunks if len(chunk))
        first: list[bytes] = []
        size_bytes = 0
        for chunk in source:
            first.append(chunk)
            size_bytes += len(chunk)
            if size_bytes > _PART_BYTES:
                break
        else:
            with _faults():
                obstore.put(self._store, key, b"".join(first), attributes=_ATTRIBUTES, use_multipart=False)
            return
        failures: list[BaseException] = []
        try:
            with _faults():
                obstore.put(
                    self._store,
                    key,
                    _watched(chain(first, source), failures),
                    attributes=_ATTRIBUTES,
                    use_multipart=True,
                    chunk_size=_PART_BYTES,
                    max_concurrency=_MAX_CONCURRENT_PARTS,
                )
        except BaseException:
            if failures:  # the source's own error, as it was
                raise failures[0] from None
            raise

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Blob:
        """Open bytes `start:stop`; a blob that ends before `stop` is damaged: Fault(EIO), never less."""
        _check(key)
        with _faults():
            meta = obstore.head(self._store, key)
        if meta["size"] < max(start, stop or 0):
            raise Fault(errno.EIO, f"blob {key} has only {meta['size']} bytes")
        return Blob(self._store, key, meta["e_tag"], start, meta["size"] if stop is None else stop)

    def signed_url(self, key: str, size_bytes: int) -> str | None:
        """A URL of 60 seconds at which the bucket itself gives a blob that is large enough, or None."""
        if self._redirect_bytes is None or size_bytes < self._redirect_bytes:
            return None
        with _faults():
            url: str = obstore.sign(self._store, "GET", _check(key), timedelta(seconds=_SIGNED_SECONDS))
        return url

    def delete(self, key: str) -> None:
        """Delete a blob; one that is not there is no error."""
        _check(key)
        try:
            with _faults():
                obstore.delete(self._store, key)
        except FileNotFoundError:
            pass

    def list(self, since: str = "", changed_since: float = 0.0) -> Iterator[tuple[str, float]]:
        """Every (key, last-modified Unix seconds) with a key after `since`, in the order of the keys."""
        with _faults():
            for batch in obstore.list(self._store, offset=since or None):
                for meta in batch:
                    if _is_key(meta["path"]):
                        yield meta["path"], meta["last_modified"].timestamp()

    def findings(self) -> Iterator[tuple[str, str, str]]:
        """How long the store takes to answer, and who serves large blobs."""
        started = monotonic()
        count = sum(1 for _ in zip(range(1_000), self.list(), strict=False))
        seconds = monotonic() - started
        verdict = "warning" if seconds > _SLOW_SECONDS else "ok"
        many = "1,000 keys and more" if count == 1_000 else f"{count} keys"
        yield "object store", verdict, f"{many} listed in {seconds * 1000:.0f} ms"
        least = self._redirect_bytes
        if least is not None:
            yield "object store", "ok", f"downloads from {least:,} bytes on are sent to the bucket itself"

    def check_there(self) -> None:
        """A bucket that is gone fails every call."""

    def sweep_temporary(self, older_than: float) -> int:
        """Nothing: the parts of an upload that was cut are removed by the bucket's lifecycle rule."""
        return 0

    def close(self) -> None:
        """Nothing has to be let go of."""


class Blob(io.RawIOBase):
    """Bytes `start:stop` of one object, read as a stream that goes on where it broke off."""

    def __init__(self, store: Any, key: str, e_tag: str | None, start: int, stop: int) -> None:
        self._store, self._key, self._e_tag = store, key, e_tag
        self._start = start
        self.size = max(0, stop - start)
        self._position = 0
        self._stream: Iterator[Any] | None = None
        self._left: memoryview[int] = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position = {0: 0, 1: self._position, 2: self.size}[whence] + offset
        if position < 0:
            raise ValueError(f"seek to {position}: a position is 0 or more")
        if position != self._position:
            self._stream, self._left = None, memoryview(b"")
            self._position = position
        return position

    def read(self, size: int | None = -1, /) -> bytes:
        if self.closed:
            raise ValueError("the blob is closed")
        left = max(0, self.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        pieces: list[memoryview[int]] = []
        while wanted:
            if not self._left:
                self._left = memoryview(self._next_piece())
            piece, self._left = self._left[:wanted], self._left[wanted:]
            pieces.append(piece)
            wanted -= len(piece)
            self._position += len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _next_piece(self) -> bytes:
        """The next bytes of the stream, never none of them."""
        for attempt in range(_MAX_RESUMES + 1):
            try:
                if self._stream is None:
                    self._stream = self._open_stream()
                return next(bytes(piece) for piece in self._stream if len(piece))
            except StopIteration:
                raise Fault(errno.EIO, f"blob {self._key} ended early") from None
            except FileNotFoundError:
                raise Fault(errno.EIO, f"blob {self._key} has gone") from None
            except PreconditionError as error:
                raise Fault(errno.EIO, f"blob {self._key} has changed") from error
            except (BaseError, OSError) as error:
                self._stream = None
                if attempt == _MAX_RESUMES:
                    raise _fault(error) from error
        raise AssertionError("unreachable")

    def _open_stream(self) -> Iterator[Any]:
        at = self._start + self._position
        options: dict[str, Any] = {"range": (at, self._start + self.size)}
        if self._e_tag:
            options["if_match"] = self._e_tag
        result = obstore.get(self._store, self._key, options=options)  # type: ignore[arg-type]
        return iter(result.stream(min_chunk_size=256 * 1024))


def _watched(source: Iterator[bytes], failures: list[BaseException]) -> Iterator[bytes]:
    """Notes what the source raises: the client may hand on an error of its own."""
    try:
        yield from source
    except GeneratorExit:  # the client is done with it
        raise
    except BaseException as error:
        failures.append(error)
        raise


def _check(key: str) -> str:
    if not _is_key(key):
        raise ValueError(f"{key!r:.100} is not a blob key")
    return key


def is_loopback(endpoint: str) -> bool:
    """Whether plain HTTP may be spoken with this endpoint without asking for it."""
    return re.match(r"http://(localhost|127\.[0-9.]+|\[::1\])(:|/|$)", endpoint) is not None


def from_environment(*names: str) -> str:
    """The first of these environment variables that is set, or ""."""
    return next((value for value in map(os.environ.get, names) if value), "")
