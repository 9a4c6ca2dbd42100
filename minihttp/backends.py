# SPDX-License-Identifier: MIT
"""Finds the backend that a URL names: `sqlite:data/app.db` is `storage_backends/sqlite.py` beside us.

A new backend is a new file there, with a class `DocumentBackend`, `FileBackend` or both; there is no list to
edit. Both folders may have been copied under another package. Knows nothing of what a backend does.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, DataDirectoryError

if TYPE_CHECKING:
    from .data.backend import DocumentBackend
    from .files.backend import FileBackend

_split_url = re.compile(
    r"([a-z][a-z0-9_]+):(.+)"
).fullmatch  # a scheme has two letters or more: C:\data is a path
_parent, _, _ = (__package__ or "").rpartition(".")
_HOME = f"{_parent}.storage_backends".lstrip(".")


def open_documents(url: str) -> DocumentBackend:
    """Open a document backend; a plain path is an sqlite database.

    Raises:
        ConfigurationError: no such backend, or its extra is not installed.
        DataDirectoryError: it cannot use the place that the URL names.
    """
    backend: DocumentBackend = _open(url, "DocumentBackend", "sqlite")
    return backend


def open_files(url: str) -> FileBackend:
    """Open a file backend; a plain path is a folder. Raises as `open_documents` does."""
    backend: FileBackend = _open(url, "FileBackend", "filesystem")
    return backend


def _open(url: str, kind: str, default: str) -> Any:
    match = _split_url(url)
    scheme, location = match.groups() if match else (default, url)
    backend = _find(scheme, kind)
    try:
        return backend(location)
    except OSError as fault:
        reason = fault.strerror or str(fault) or type(fault).__name__
        raise DataDirectoryError(f"cannot use {url!r}: {reason}") from fault


def _find(scheme: str, kind: str) -> Any:
    name = f"{_HOME}.{scheme}"
    try:
        return getattr(importlib.import_module(name), kind)
    except ModuleNotFoundError as missing:
        if missing.name and name.startswith(missing.name):
            raise ConfigurationError(f"there is no storage backend {scheme!r} ({name} is missing)") from None
        raise ConfigurationError(
            f"storage backend {scheme!r} needs the package {missing.name!r}, which is not installed"
        ) from None
    except AttributeError:
        raise ConfigurationError(f"storage backend {scheme!r} has no {kind}") from None
