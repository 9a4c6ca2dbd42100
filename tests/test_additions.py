# SPDX-License-Identifier: MIT
"""A new provider and a new backend are one file each: added to a copy, they break no test of their rooms."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minihttp
import storage_backends

ROOT = Path(__file__).resolve().parent.parent
PROVIDER = """\
# SPDX-License-Identifier: MIT
\"\"\"Acme: HMAC-SHA256 of the body.\"\"\"

from .provider import ProviderModule
from .scheme import Scheme

SCHEME = Scheme(name="acme", signature_header="Acme-Signature", id_header="Acme-Id")
MODULE = ProviderModule(SCHEME)
verify, sign, provider = MODULE.verify, MODULE.sign, MODULE.provider
"""
USE = """
from minihttp import App, HttpRouter, mutation, webhooks
from minihttp.webhooks import acme

assert webhooks.names()[0] == "acme"
headers = acme.sign(b"{}", "secret", id="1")
assert acme.verify(b"{}", headers, "secret").id == "1"
http = HttpRouter()
http.webhook("/acme", acme.provider(secret="ACME"), handler=None)
with App(http, data="data", files="archive:blobs", environment={"ACME": "secret"}) as app:
    id = app.files.outside().store(b"x")
    with app.files.outside().get(id) as blob:
        assert blob.read() == b"x"
print("fine")
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The house and its tests, with a provider and a backend that sort before all others."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(minihttp.__file__).parent, tmp_path / "minihttp", ignore=ignore)
    shutil.copytree(Path(storage_backends.__file__).parent, tmp_path / "storage_backends", ignore=ignore)
    for name in ("tests", "docs", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for path in [*ROOT.glob("*.md"), ROOT / "pyproject.toml"]:
        shutil.copy(path, tmp_path)
    (tmp_path / "minihttp" / "webhooks" / "acme.py").write_text(PROVIDER)
    backends = tmp_path / "storage_backends"
    shutil.copy(backends / "filesystem.py", backends / "archive.py")
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_they_are_there_to_be_used(copy: Path) -> None:
    done = python(copy, "-c", USE)
    assert done.stdout == "fine\n", done.stderr


@pytest.mark.parametrize(
    "tests",
    [
        "tests/webhooks",
        "tests/test_layers.py tests/app/test_backends.py tests/storage_backends/test_filesystem.py",
    ],
)
def test_they_break_no_test(copy: Path, tests: str) -> None:
    done = python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests.split())
    assert done.returncode == 0, done.stdout[-3_000:]
