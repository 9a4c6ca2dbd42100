# SPDX-License-Identifier: MIT
"""An app on sqlite and a folder loads and opens nothing that many machines need; what it costs a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT
from tests.postgresql_server import postgresql, schema_for
from tests.servers import seaweedfs

APP = """
import os, resource, socket, sys
from minihttp import App, HttpRouter
def memory():  # MiB, what is resident now
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
before = memory()
app = App(HttpRouter(), data=sys.argv[1], files=sys.argv[2] or None)
with app:
    id = app.database.write(lambda t: t.db.insert("items", {"n": 1}))
    assert app.database.read(lambda t: t.db.get(id)["n"]) == 1
    stored = app.files.outside().store(b"x" * 10_000)
    assert app.files.outside().get(stored).read() == b"x" * 10_000
    stores = ("storage_backends.postgresql", "storage_backends.object_store")
    names = ("psycopg", "psycopg.pq", "obstore", *stores)
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    sockets = [link for link in links if os.path.islink(link) and os.readlink(link).startswith("socket")]
    print(memory() - before, len(sockets), *(name for name in names if name in sys.modules))
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says it in /proc")


def run(data: str, files: str = "") -> list[str]:
    command = [sys.executable, "-c", APP, data, files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_one_machine_loads_and_opens_nothing_of_many(tmp_path: Path) -> None:
    _, *rest = run(str(tmp_path / "data"))
    assert rest == ["0"]


@pytest.mark.xdist_group("seaweedfs")
def test_what_many_machines_cost_a_process(tmp_path: Path) -> None:
    """Beyond what the same app takes on one machine."""
    pytest.importorskip("obstore", reason="the extra s3 is not installed")
    alone, *_ = run(str(tmp_path / "data"))
    data = "postgresql:" + postgresql().location(schema_for(tmp_path))
    documents, _, *loaded = run(data, str(tmp_path / "files"))
    assert loaded == ["psycopg.pq", "storage_backends.postgresql"]
    other = "postgresql:" + postgresql().location(schema_for((tmp_path, "other")))
    with seaweedfs() as bucket:
        both, _, *loaded = run(other, bucket.url("memory"))
        assert set(loaded) == {
            "psycopg.pq",
            "obstore",
            "storage_backends.postgresql",
            "storage_backends.object_store",
        }
    print(f"{alone}, {documents}, {both} MiB")
    assert float(documents) - float(alone) <= 13
    assert float(both) - float(documents) <= 10
