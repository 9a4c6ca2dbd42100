# SPDX-License-Identifier: MIT
"""Finds the backend that a URL names: `sqlite:data/app.db` is `storage_backends/sqlite.py` beside us.

A new backend is a new file there, with a class `DocumentBackend`, `FileBackend` or both; there is no list to
edit. Both folders may have been copied under another package. Knows nothing of what a backend does.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, DataDirectoryError, did_you_mean

if TYPE_CHECKING:
    from ..data.backend import DocumentBackend
    from ..files.backend import FileBackend

# RFC 3986 §3.1, but of two letters or more: C:\data is a path.
_split_url = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.+)").fullmatch
_parent = ".".join((__package__ or "").split(".")[:-2])
_HOME = f"{_parent}.storage_backends".lstrip(".")
_HIDDEN = "password|secret|token|signature|key(?!_id)"
_FILE_WORDS = ("filesystem", "sqlite")
_OF_PATHS = {"DocumentBackend": "sqlite", "FileBackend": "filesystem"}  # the scheme of a plain path
_HALVES = {"DocumentBackend": "documents", "FileBackend": "files"}

_POSIX_MODULES = ("fcntl", "resource", "termios")  # of the standard library, but not on Windows


def open_documents(url: str, *, must_exist: bool = False) -> DocumentBackend:
    """Open a document backend; a plain path is an sqlite database.

    Args:
        must_exist: refuse a local path where nothing is, instead of making it.

    Raises:
        ConfigurationError: no such backend, or its extra is not installed.
        DataDirectoryError: it cannot use the place that the URL names.
    """
    backend: DocumentBackend = _open(url, "DocumentBackend", must_exist)
    return backend


def open_files(url: str, *, must_exist: bool = False) -> FileBackend:
    """Open a file backend; a plain path is a folder. Takes and raises what `open_documents` does."""
    backend: FileBackend = _open(url, "FileBackend", must_exist)
    return backend


def is_there(url: str) -> bool:
    """Whether something is at a local path; of what may be elsewhere, True."""
    match = _split_url(url)
    location = match[2] if match else url
    return location.startswith("//") or os.path.exists(location)


def is_shared(url: str, kind: str) -> bool:
    """Whether other processes may have the store of a URL open; opens nothing.

    Args:
        kind: "DocumentBackend" or "FileBackend".
    """
    return bool(_open(url, kind, find_only=True).shared)


def check_backends(data: str, files: str | None) -> None:
    """Find the backends that `App(data=…, files=…)` mean, and open none. Raises as `open_documents` does."""
    documents_url, files_url = storage_urls(data, files)
    _open(documents_url, "DocumentBackend", find_only=True)
    _open(files_url, "FileBackend", find_only=True)


def copier(url: str, kind: str) -> Callable[[], Any] | None:
    """What takes a snapshot of the store of a URL while others use it, or None where that cannot be done.

    Called, it gives an object whose `write(path, progress)` makes a local file of the snapshot, and whose
    `close` lets go of it.

    Args:
        kind: "DocumentBackend" or "FileBackend".
    """
    match = _split_url(url)
    assert match is not None
    copy = getattr(_open(url, kind, must_exist=True, find_only=True), "Copy", None)
    return None if copy is None else partial(copy, match[2])


def without_password(url: str) -> str:
    """The URL as it may be shown: `postgresql://user:…@host/name`; in one of HTTP the user may be a token."""
    url = re.sub(r"^(['\"]?(?!https?:)[a-z][a-z0-9+.-]*:/*[^/@:]*):.*@", r"\1:…@", url, flags=re.I | re.S)
    url = re.sub("(https?://)[^/?#@]*@", r"\1…@", url)
    shown = re.sub("(//[^/@:]*):[^/]*@", r"\1:…@", url)
    return re.sub(f"(?<=[?&])([^=&]*(?:{_HIDDEN})[^=&]*)=[^&]*", r"\1=…", shown, flags=re.I)


def _open(url: str, kind: str, must_exist: bool = False, *, find_only: bool = False) -> Any:
    match = _split_url(url)
    scheme, location = match.groups() if match else (_OF_PATHS[kind], url)
    scheme = scheme.lower()
    try:
        backend = _find(scheme, kind)
        if must_exist and not is_there(url):
            with suppress(FileNotFoundError):
                os.stat(location)  # it may be there, but not for this user
            raise DataDirectoryError(f"there is nothing at {without_password(url)!r}")
        return backend if find_only else backend(location)
    except ModuleNotFoundError as missing:
        if missing.name in _POSIX_MODULES:
            raise ConfigurationError(
                f"storage backend {scheme!r} needs a POSIX system, such as Linux or macOS:"
                f" this Python has no {missing.name!r}"
            ) from None
        raise ConfigurationError(
            f"storage backend {scheme!r} needs the package {missing.name!r}, which is not installed:"
            f" pip install 'minihttp-actions[{scheme}]', or the package itself"
        ) from None
    except OSError as fault:
        reason = fault.strerror or str(fault) or type(fault).__name__
        raise DataDirectoryError(f"cannot use {without_password(url)!r}: {reason}") from fault


def _find(scheme: str, kind: str) -> Any:
    """The class, from `<scheme>.py` or from the file beside it that has the other half of the backend."""
    half = _HALVES[kind]
    backend = _load(scheme)
    if backend is None:
        raise _unknown(scheme)
    for module in (backend, _load(f"{scheme}_{half}")):
        if hasattr(module, kind):
            return getattr(module, kind)
    raise ConfigurationError(f"storage backend {scheme!r} keeps no {half}")


def _unknown(scheme: str) -> ConfigurationError:
    known = _known()
    those = ", ".join(known) + did_you_mean(scheme, known)
    return ConfigurationError(f"there is no storage backend {scheme!r}; there are: {those}")


def _load(name: str) -> ModuleType | None:
    full_name = f"{_HOME}.{name}"
    try:
        return importlib.import_module(full_name)
    except ModuleNotFoundError as missing:
        if missing.name and full_name.startswith(missing.name):
            return None
        raise


def _known() -> list[str]:
    """The schemes of the backends that are here."""
    from pkgutil import iter_modules

    folders = importlib.import_module(_HOME).__path__
    return sorted(module.name for module in iter_modules(folders) if "_" not in module.name)


def check_scheme(url: str) -> None:
    """Raises a ConfigurationError when the backend that a URL names is not here; paths pass."""
    match = _split_url(url)
    if match and match[1] not in _known():
        raise _unknown(match[1])


def storage_urls(data: str, files: str | None) -> tuple[str, str]:
    """The URLs of the document store and the file store that `App(data=…, files=…)` mean.

    A plain directory holds both: `app.db`, and `files/` or `files.db`. With an sqlite URL the files are by
    the database; with any other they go to `data/`, unless `files` is a URL too.

    Raises:
        ConfigurationError: `files` is a bare word that is no known one and no folder.
    """
    if data == ":memory:":
        return "sqlite::memory:", files if files and ":" in files else "sqlite::memory:"
    url = _split_url(data)
    if url is None:
        folder, documents = data, f"sqlite:{os.path.join(data, 'app.db')}"
    else:
        folder = os.path.dirname(url[2]) if url[1] == "sqlite" else "data"
        documents = data
    if files is None or files == "filesystem":
        return documents, f"filesystem:{os.path.join(folder, 'files')}"
    if files == "sqlite":
        return documents, f"sqlite:{os.path.join(folder, 'files.db')}"
    if not (_split_url(files) or os.sep in files or files.startswith(".") or os.path.isdir(files)):
        near = did_you_mean(files, [*_FILE_WORDS, *_known()])
        raise ConfigurationError(
            f"files={files!r} is neither {' nor '.join(map(repr, _FILE_WORDS))}, nor a URL, nor a path{near};"
            f" a folder of that name is './{files}'"
        )
    return documents, files
