# SPDX-License-Identifier: MIT
"""Moves the documents and files of an app to other engines, exactly as they are.

Ids, times, the secret (so that cursors and signed URLs stay good), jobs and deliveries come along. What
describes indexes and checks stays behind: the app's next start makes it again. The source is never written.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..data import ids
from ..data.migration import Tick
from ..data.migration import stored_documents as documents_of
from ..errors import DataDirectoryError
from ..files.copying import copy_blobs

if TYPE_CHECKING:
    from ..data.backend import DocumentBackend, Reading, Writing
    from ..files.backend import FileBackend

LEFT_BEHIND = frozenset(("_indexes", "_checked", "_catalog"))
BATCH_DOCUMENTS = 2_048
_FIRST = "0"
_MANY = 2**62


StoredRow = tuple[str, str, str]
"""The id, the table and the text of one document, as the engine keeps it."""


class Digest(NamedTuple):
    """What the documents of a store are: how many, how large, and the SHA-256 of all."""

    documents: int
    bytes: int
    sha256: str


class Moved(NamedTuple):
    """What a move has done: documents and files that were copied now, and files that were there already."""

    documents: int
    files: int
    files_present: int


def stored_documents(reading: Reading, after: str = "") -> Iterator[StoredRow]:
    """Every document that moves, in the order of ids, from behind the id `after` on."""
    start = after + "0" if after else _FIRST
    while first := reading.scan(start, ids.ABOVE, reverse=False, limit=1):
        id = first[0][0]
        found = reading.get(id)
        assert found is not None
        table, stop = found[0], id[: ids.TAG_LENGTH] + ids.ABOVE
        while table not in LEFT_BEHIND and (
            rows := reading.scan(start, stop, reverse=False, limit=BATCH_DOCUMENTS)
        ):
            yield from ((id, table, text) for id, text in rows)
            start = rows[-1][0] + "0"
        start = stop


def count_documents(backend: DocumentBackend) -> int:
    """How many documents there are, those that stay behind too."""
    with backend.read(None) as reading:
        return reading.count(_FIRST, ids.ABOVE, _MANY)


def digest(backend: DocumentBackend, progress: Tick, what: str, expected: int = 0) -> Digest:
    """Read every document that moves, and say what they are.

    Args:
        what: is said to `progress`.
        expected: how many documents there are, where that is known.
    """
    sha256, count, size_bytes = hashlib.sha256(), 0, 0
    with backend.read(None) as reading:
        for document in stored_documents(reading):
            line = "\0".join(document).encode("utf-8", "surrogatepass")
            sha256.update(b"%d:" % len(line) + line)
            count, size_bytes = count + 1, size_bytes + len(line)
            if count % BATCH_DOCUMENTS == 0:
                progress(what, count, expected)
    return Digest(count, size_bytes, sha256.hexdigest())


def check_target(backend: DocumentBackend, *, resume: bool) -> str:
    """The greatest id in the target, or "" where it is empty.

    Raises:
        DataDirectoryError: it has documents and this is no `resume`, or an app has been started on it.
    """
    with backend.read(None) as reading:
        last = reading.scan(_FIRST, ids.ABOVE, reverse=True, limit=1)
        for table in LEFT_BEHIND:
            tag = ids.table_tag(table)
            if reading.scan(tag, tag + ids.ABOVE, reverse=False, limit=1):
                raise DataDirectoryError(
                    "an app has been started on the target already: move into an empty store"
                )
    if last and not resume:
        raise DataDirectoryError(
            "the target holds documents already: go on with a move that was cut by --resume, or move into an"
            " empty store"
        )
    return last[0][0] if last else ""


def copy_documents(
    source: DocumentBackend, target: DocumentBackend, progress: Tick, total: int, after: str = ""
) -> int:
    """Copy every document behind the id `after`, in the order of ids; returns how many.

    Each batch is one transaction of the target, so a move that was cut goes on after the greatest id there.
    """
    copied = 0
    with source.read(None) as reading:
        batch: list[StoredRow] = []
        for document in stored_documents(reading, after):
            batch.append(document)
            if len(batch) == BATCH_DOCUMENTS:
                copied += _put(target, batch)
                batch = []
                progress("documents", copied, total)
        copied += _put(target, batch)
    return copied


def _put(target: DocumentBackend, batch: list[StoredRow]) -> int:
    def run(engine: Writing) -> None:
        for document in batch:
            engine.put(*document, (), ())

    if batch:
        target.write(run, None)
    return len(batch)


def copy_files(
    source: FileBackend, target: FileBackend, documents: DocumentBackend, progress: Tick
) -> tuple[int, int]:
    """Copy every blob that the target lacks, checked against the digest in its document.

    Returns:
        how many were copied, and how many were there.

    Raises:
        DataDirectoryError: some blobs are damaged; the others are copied.
    """
    recorded = recorded_digests(documents)
    counts = {"copied": 0, "present": 0, "damaged": 0}
    damaged = ""
    for outcome in copy_blobs(source, target, recorded):
        counts[outcome.result] += 1
        if outcome.result == "damaged":
            damaged = outcome.key
        progress("files", sum(counts.values()), len(recorded))
    if damaged:
        raise DataDirectoryError(
            f"{counts['damaged']} files are damaged in the source or differ in the target, such as blob"
            f" {damaged}; the others are copied"
        )
    return counts["copied"], counts["present"]


def recorded_digests(documents: DocumentBackend) -> dict[str, bytes]:
    """The SHA-256 of each blob by key, read from the engine: a Database would want the app's schema."""
    with documents.read(None) as reading:
        files = (json.loads(text) for _, text in documents_of(reading, "_storage"))
        return {file["key"]: b64decode(file["sha256"]) for file in files}


def move(
    source: tuple[DocumentBackend, FileBackend | None],
    target: tuple[DocumentBackend, FileBackend | None],
    progress: Tick,
    *,
    resume: bool = False,
) -> Moved:
    """Copy documents and files, then read both sides again and compare.

    Args:
        source, target: the document store, and the file store where files move too.
        resume: go on with a move that was cut.

    Raises:
        DataDirectoryError: the target is not fit, a file is damaged, or what was copied is not what was read.
    """
    (documents, files), (new_documents, new_files) = source, target
    after = check_target(new_documents, resume=resume)
    before = digest(documents, progress, "reading the source")
    copied = copy_documents(documents, new_documents, progress, before.documents, after)
    there = digest(new_documents, progress, "verifying", before.documents)
    if there != before:
        raise DataDirectoryError(
            f"the target has {there.documents} documents ({there.bytes} bytes, SHA-256 {there.sha256[:16]}…),"
            f" the source {before.documents} ({before.bytes} bytes, {before.sha256[:16]}…): do not use it"
        )
    counts = (0, 0)
    if files is not None and new_files is not None:
        counts = copy_files(files, new_files, documents, progress)
    return Moved(copied, *counts)
