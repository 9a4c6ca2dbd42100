# SPDX-License-Identifier: MIT
"""The ZIP file of a snapshot: written and read as a stream, each entry with its SHA-256 in a manifest.

The layout is Convex's: `TABLE/documents.jsonl`, `_storage/documents.jsonl` beside one entry a file, and
`_tables/documents.jsonl`. What is ours lies below `_minihttp/`. Knows no database.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import IO, Any, Final
from zlib import error as ZlibError

from ..errors import SnapshotError
from ..files.measured import Measured

MANIFEST: Final = "_minihttp/manifest.json"
FORMAT: Final = 1
_BLOCK_BYTES: Final = 256 * 1024
_MAX_LINE_BYTES: Final = 64 * 1024 * 1024
_COMPRESSION_LEVEL: Final = 1  # three times as fast as the usual 6, and a tenth larger
_is_documents = re.compile(r"(.*/)?([A-Za-z0-9_]+)/documents\.jsonl").fullmatch
_is_file = re.compile(r"(?:.*/)?_storage/([^/.]+)(?:\.[^/]*)?").fullmatch


class ArchiveWriter:
    """Writes a snapshot; `close` ends it with its manifest, and without that it is no snapshot.

    Args:
        file: where to; it need not be able to seek.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL)
        self.entries: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is not None:
            self._zip.fp = None  # nothing more is written, also not by its destructor

    def add(self, name: str, chunks: Iterable[bytes], *, compressed: bool = True, **facts: Any) -> None:
        """Add an entry; `facts` go into the manifest beside its bytes and SHA-256."""
        measured = Measured(chunks)
        plain = zipfile.ZipInfo(name)  # which is stored; a name alone is compressed
        with self._zip.open(name if compressed else plain, "w", force_zip64=True) as entry:
            for chunk in measured:
                entry.write(chunk)
        self.entries[name] = {"bytes": measured.size_bytes, "sha256": measured.sha256.hexdigest(), **facts}

    def close(self, **facts: Any) -> dict[str, Any]:
        """Write the manifest and the directory of the ZIP file; returns the manifest."""
        manifest = {"format": FORMAT, **facts, "entries": self.entries}
        self._zip.writestr(MANIFEST, json.dumps(manifest, indent=1))
        self._zip.close()
        return manifest


class Archive:
    """A snapshot to read: ours, or one that Convex has exported.

    Attributes:
        path: how messages name it: its own, or that of the file whose rows it was made of.
        manifest: ours, or None for a snapshot of Convex.
        tables: table name -> name of the entry that has its documents.
        files: id of a stored file -> name of the entry that has its bytes.
        skipped: what is in the archive and is not read, such as the tables of Convex components.

    Raises:
        SnapshotError: the file is no ZIP file or no snapshot.
    """

    def __init__(self, path: str) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise SnapshotError(f"cannot read {path}: {error.strerror}") from None
        except zipfile.BadZipFile as error:
            raise SnapshotError(f"{path} is no ZIP file, or was cut short: {error}") from None
        self.path = path
        self.manifest = self._manifest()
        rows = (self.manifest or {}).get("rows")
        self._rows_of = rows if isinstance(rows, str) else None
        self.path = self._rows_of or path
        self.tables: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.skipped: list[str] = []
        for name in self._zip.namelist():
            self._sort(name)
        if not self.tables:
            self.close()
            raise SnapshotError(f"{path} is no snapshot: it has no TABLE/documents.jsonl")

    def _sort(self, name: str) -> None:
        documents, file = _is_documents(name), _is_file(name)
        if "_components/" in name:
            self.skipped.append(name)
        elif documents:
            self.tables[documents[2]] = name
        elif file:
            self.files[file[1]] = name

    def _manifest(self) -> dict[str, Any] | None:
        if MANIFEST not in self._zip.namelist():
            return None
        try:
            manifest: dict[str, Any] = json.loads(b"".join(self.chunks(MANIFEST)))
            is_ours = manifest["format"] == FORMAT and isinstance(manifest["entries"], dict)
        except (ValueError, TypeError, KeyError):
            is_ours = False
        if not is_ours:
            raise SnapshotError(f"{self.path} has a manifest of another version, or none that can be read")
        for entry in manifest["entries"]:
            if entry not in self._zip.namelist():
                raise SnapshotError(f"{self.path} lacks {entry}, which its manifest names")
        return manifest

    @cached_property
    def fingerprint(self) -> str:
        """What tells this snapshot from any other: a hash of its directory, which has a checksum an entry."""
        digest = hashlib.sha256()
        for info in self._zip.infolist():
            digest.update(f"{info.filename} {info.CRC} {info.file_size}\n".encode())
        return digest.hexdigest()[:32]

    def name_of(self, entry: str) -> str:
        """How messages name an entry: as it is, or by the file whose rows it has."""
        return self._rows_of or entry

    def facts(self, name: str) -> dict[str, Any]:
        """What the manifest says of an entry; of a snapshot without one, nothing but its bytes."""
        size = {"bytes": self._zip.getinfo(name).file_size}
        return size if self.manifest is None else {**size, **self.manifest["entries"].get(name, {})}

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of an entry, checked at the end against the ZIP file's checksum and the manifest.

        Raises:
            SnapshotError: they are damaged. What was made of them must not be kept.
        """
        try:
            with self._zip.open(name) as entry:
                measured = Measured(iter(lambda: entry.read(_BLOCK_BYTES), b""))
                yield from measured
        except (zipfile.BadZipFile, ZlibError, EOFError, OSError, NotImplementedError) as error:
            raise SnapshotError(f"{self.path}: {self.name_of(name)} is damaged: {error}") from None
        expected = self.facts(name).get("sha256") if name != MANIFEST else None
        if expected is not None and measured.sha256.hexdigest() != expected:
            raise SnapshotError(f"{self.path}: {self.name_of(name)} is not what the manifest says (SHA-256)")

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of an entry that are not empty. Raises as `chunks` does."""
        rest = b""
        for chunk in self.chunks(name):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from filter(None, lines)
            if len(rest) > _MAX_LINE_BYTES:
                raise SnapshotError(
                    f"{self.path}: {self.name_of(name)} has a line of more than {_MAX_LINE_BYTES} bytes"
                )
        if rest:
            yield rest

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def close(self) -> None:
        self._zip.close()


def counted(entries: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """How many documents of users and how many files the entries of a manifest have."""
    tables = [facts["documents"] for name, facts in entries.items() if not name.startswith("_")]
    return sum(tables), sum(1 for name in entries if _is_file(name) and not _is_documents(name))
