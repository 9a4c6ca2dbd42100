# SPDX-License-Identifier: MIT
"""A backend is found by the scheme of its URL, wherever the two folders were copied to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minihttp
from minihttp.app.backends import open_documents, open_files, storage_urls, without_password
from minihttp.errors import ConfigurationError, DataDirectoryError

ROOT = Path(minihttp.__file__).parent.parent  # of the tree, or of the installed wheel


@pytest.mark.parametrize("scheme", ["filesystem:", ""])
def test_files_in_a_folder(tmp_path: Path, scheme: str) -> None:
    backend = open_files(f"{scheme}{tmp_path}/files")
    backend.put("0" * 32, [b"x"])
    backend.close()
    assert (tmp_path / "files" / "00" / ("0" * 32)).read_bytes() == b"x"


def test_files_in_sqlite(tmp_path: Path) -> None:
    backend = open_files(f"sqlite:{tmp_path}/files.db")
    backend.put("0" * 32, [b"x"])
    backend.close()
    assert (tmp_path / "files.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("floppy:a", "there is no storage backend 'floppy'; there are: (.+, )?filesystem, (.+, )?sqlite$"),
        ("os:a", "there is no storage backend 'os'"),
        ("no-such-scheme:a", "there is no storage backend 'no-such-scheme'"),
        ("mysql://user@host/name", "there is no storage backend 'mysql'"),
        ("sqlite.x:a", "there is no storage backend 'sqlite.x'"),
        ("S3+HTTP:a", r"there is no storage backend 's3\+http'"),
    ],
)
def test_unknown_backend(url: str, message: str) -> None:
    for open_backend in (open_documents, open_files):
        with pytest.raises(ConfigurationError, match=message):
            open_backend(url)


def test_a_url_is_shown_without_its_password() -> None:
    assert without_password("postgresql://me:pa@ss@host:5432/x") == "postgresql://me:…@host:5432/x"
    assert without_password("postgresql://me@h/x?password=a%26b&x=1") == "postgresql://me@h/x?password=…&x=1"
    assert without_password("https://tok@h/x?api_key=a&n=1") == "https://…@h/x?api_key=…&n=1"
    s3 = "s3://b?access_key_id=a&secret_access_key=s&session_token=t"
    assert without_password(s3) == "s3://b?access_key_id=a&secret_access_key=…&session_token=…"
    azure = "az://c?account_key=a&SAS_KEY=b&account_name=d"
    assert without_password(azure) == "az://c?account_key=…&SAS_KEY=…&account_name=d"
    for mistyped in ("postgresql:/me:pass@h/x", "postgresql:me:pass@h/x", "'postgres://me:pa?s/s@h/x'"):
        shown = without_password(mistyped)
        assert "me:…@h/x" in shown and "pa" not in shown
    assert without_password("s3://b?acess_key=a&region=eu") == "s3://b?acess_key=…&region=eu"
    assert without_password("s3://bucket/a:b@c") == "s3://bucket/a:b@c"
    assert without_password("sqlite:data/app.db") == "sqlite:data/app.db"


def test_backend_of_the_other_kind() -> None:
    with pytest.raises(ConfigurationError, match="'filesystem' keeps no documents"):
        open_documents("filesystem:data")


@pytest.mark.parametrize("path", ["C:\\data", "./a:b", "a_b:c", "9p:x"])
def test_a_path_with_a_colon_is_a_path(path: str) -> None:
    documents, files = storage_urls(path, None)
    assert documents == f"sqlite:{path}/app.db" and files == f"filesystem:{path}/files"


def test_place_that_cannot_be_used() -> None:
    with pytest.raises(DataDirectoryError, match="cannot use 'filesystem:/dev/null/x': Not a directory"):
        open_files("filesystem:/dev/null/x")


def test_copied_elsewhere_and_an_extra_that_is_missing(tmp_path: Path) -> None:
    """Both folders under another package, with a new backend dropped in that needs a package nobody has."""
    copy = tmp_path / "vendored" / "inside"
    for package in ("minihttp", "storage_backends"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "storage_backends" / "cloud.py").write_text("import a_package_nobody_has\n")
    (copy / "storage_backends" / "late.py").write_text(
        "class FileBackend:\n    def __init__(self, place): import a_package_nobody_has\n"
    )
    program = (
        "from vendored.inside.minihttp.app.backends import open_files\n"
        "print(type(open_files('filesystem:files')).__module__)\n"
        "for url in ('cloud:bucket', 'late:bucket'):\n"
        "    try: open_files(url)\n"
        "    except Exception as error: print(error)\n"
        "import sys; print('minihttp' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[0:0] = ['.']\n{program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.stdout.splitlines() == [
        "vendored.inside.storage_backends.filesystem",
        *(
            f"storage backend '{name}' needs the package 'a_package_nobody_has', which is not installed:"
            f" pip install 'minihttp-actions[{name}]', or the package itself"
            for name in ("cloud", "late")
        ),
        "False",
    ], run.stderr


@pytest.mark.parametrize(
    ("data", "files", "expected"),
    [
        ("data", None, ("sqlite:data/app.db", "filesystem:data/files")),
        ("data", "sqlite", ("sqlite:data/app.db", "sqlite:data/files.db")),
        ("data", "filesystem:/elsewhere", ("sqlite:data/app.db", "filesystem:/elsewhere")),
        ("sqlite:/srv/shop/a.db", None, ("sqlite:/srv/shop/a.db", "filesystem:/srv/shop/files")),
        ("sqlite:a.db", "sqlite", ("sqlite:a.db", "sqlite:files.db")),
        ("postgresql://host/shop", None, ("postgresql://host/shop", "filesystem:data/files")),
        (":memory:", None, ("sqlite::memory:", "sqlite::memory:")),
    ],
)
def test_where_documents_and_files_are(data: str, files: str | None, expected: tuple[str, str]) -> None:
    assert storage_urls(data, files) == expected


def test_a_system_that_is_not_posix_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    monkeypatch.delitem(sys.modules, "storage_backends.filesystem", raising=False)
    with pytest.raises(ConfigurationError, match=r"'filesystem' needs a POSIX system, .* no 'fcntl'"):
        open_files(str(tmp_path))
