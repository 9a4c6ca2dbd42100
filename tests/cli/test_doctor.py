# SPDX-License-Identifier: MIT
"""`doctor`: each thing that hurts in production, made on purpose, is found and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minihttp import App, cli
from tests.live import small_disk

from .programs import ROOT

MIB = 1024 * 1024
APP = "from minihttp import App, HttpRouter\napp = App(HttpRouter(secrets=['SECRET_OF_TEST']))\n"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECRET_OF_TEST", "x")
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


Findings = dict[str, tuple[str, str]]


def doctor(app: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, Findings]:
    """The exit code, and of each check the worst verdict with its detail."""
    for name in ("app", "_app"):  # each run loads it anew, as a process of its own does
        sys.modules.pop(name, None)
    code = cli.main(["doctor", str(app), "--json", *flags], {})
    return code, worst(capsys.readouterr().out)


def worst(output: str) -> Findings:
    rows = [json.loads(line) for line in output.splitlines()]
    rows.sort(key=lambda row: ("ok", "warning", "fail").index(row["verdict"]))
    return {row["check"]: (row["verdict"], row["detail"]) for row in rows}


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk("size=80m,nr_inodes=100") as folder:
        yield folder


def test_a_machine_that_is_well(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(app, capsys, "--data", str(app.parent / "data"))
    assert code == 0 and "fail" not in {verdict for verdict, _ in found.values()}
    assert {"python", "sqlite", "start", "disk", "wal", "clock", "descriptors", "secrets", "proxy"} <= set(
        found
    )
    assert not (app.parent / "data").exists()


def test_a_full_disk(app: Path, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(app, capsys, "--data", str(disk / "data"))
    assert code == 0 and found["disk"][0] == "warning"
    (disk / "filler").write_bytes(bytes(20 * MIB))
    code, found = doctor(app, capsys, "--data", f"sqlite:{disk}/app.db")
    assert code == 1 and found["disk"] == ("fail", f"60 MiB free for {disk}")


def test_a_large_wal_and_a_clock_behind(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = app.parent / "data"
    data.mkdir()
    with (data / "app.db-wal").open("wb") as wal:
        wal.truncate(100 * MIB)
    os.utime(data / "app.db-wal", (time.time() + 3600, time.time() + 3600))
    code, found = doctor(app, capsys, "--data", str(data))
    assert code == 0 and found["wal"] == ("warning", f"100 MiB in {data}/app.db-wal")
    assert found["clock"][0] == "warning" and " s behind the newest file of the data" in found["clock"][1]


def test_data_that_cannot_be_used(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(app, capsys, "--data", str(app))
    assert code == 1 and found["disk"] == ("fail", f"{app} is not a directory")
    (app.parent / "app.db").write_bytes(b"no database at all" * 100)
    code, found = doctor(app, capsys, "--data", str(app.parent))
    assert code == 1 and found["start"][0] == "fail" and "not a database" in found["start"][1]
    code, found = doctor(app, capsys, "--data", ":memory:")
    assert code == 0 and found["disk"] == ("ok", "the documents are not in a file: sqlite")


def test_files_that_cannot_be_read(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = app.parent / "data"
    App(data=data).open().close()
    shutil.rmtree(data / "files")
    (data / "files").mkdir()
    (data / "files" / "00").touch()  # where a folder is expected
    code, found = doctor(app, capsys, "--data", str(data))
    assert (code, found["start"]) == (1, ("fail", "cannot look into the file store: Not a directory"))


def test_a_missing_secret_of_the_router(
    app: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_OF_TEST")
    code, found = doctor(app, capsys)
    message = "SECRET_OF_TEST is not set, so the handlers that need it answer 503"
    assert code == 1 and found["secrets"] == ("fail", message)


def test_a_port_for_everybody_that_believes_any_host(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everywhere = ("--host", "0.0.0.0")
    assert doctor(app, capsys, *everywhere)[1]["hosts"][0] == "warning"
    for flags in (("--origin", "https://a.example"), ("--hosts", "a.example"), ("--host", "127.0.0.1")):
        assert doctor(app, capsys, *everywhere, *flags)[1]["hosts"][0] == "ok"


@pytest.mark.parametrize(
    ("flags", "verdict", "message"),
    [
        (("--host", "0.0.0.0"), "warning", "no proxy is set"),
        (("--host", "0.0.0.0", "--trusted-proxy", "*"), "fail", "anyone may forge X-Forwarded-For"),
        (("--host", "::", "--trusted-proxy", "127.0.0.1", "--origin", "https://a"), "warning", "past it"),
        (("--host", "::", "--trusted-proxy", "10.0.0.1", "--origin", "https://a"), "ok", "10.0.0.1"),
        (("--origin", "https://a.example"), "warning", "trusted_proxy is not set"),
        (("--origin", "http://a.example"), "warning", "is not https"),
        (("--trusted-proxy", "127.0.0.1"), "warning", "origin is not set"),
        (("--trusted-proxy", "127.0.0.1", "--origin", "https://a.example"), "ok", "trusted proxy: 127.0.0.1"),
    ],
)
def test_proxy_settings(
    app: Path, flags: tuple[str, ...], verdict: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = doctor(app, capsys, *flags)
    assert code == int(verdict == "fail") and found["proxy"][0] == verdict and message in found["proxy"][1]


@pytest.mark.parametrize(
    ("descriptors", "code", "verdict"), [(40, 1, "fail"), (200, 0, "warning"), (1000, 0, "ok")]
)
def test_few_descriptors(app: Path, descriptors: int, code: int, verdict: str) -> None:
    command = f"ulimit -n {descriptors} && exec {sys.executable} -m minihttp doctor app.py --json"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], cwd=app.parent, env=environ, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert worst(done.stdout)["descriptors"][0] == verdict


@pytest.mark.parametrize("is_here", [True, False])
def test_the_unrelated_package_of_this_name(
    app: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_here: bool
) -> None:
    found = doctor(app, capsys, "--data", str(app.parent / "data"))[1]
    assert "package" not in found
    folder = app.parent / "site"
    info = folder / "minihttp-1.2.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: minihttp\nVersion: 1.2.3\n")
    monkeypatch.syspath_prepend(str(folder))
    if is_here:  # as if this program lay there
        monkeypatch.setattr(sys.modules["minihttp.cli.doctor"], "__file__", str(folder / "minihttp/cli/x.py"))
    code, found = doctor(app, capsys, "--data", str(app.parent / "data"))
    verdict, said = found["package"]
    assert "minihttp 1.2.3" in said and code == int(is_here)
    assert verdict == ("fail" if is_here else "warning")
    assert ("pip install --force-reinstall minihttp-actions" in said) is is_here


# ---------------------------------------------------------------- stores that other machines use too


@pytest.mark.xdist_group("seaweedfs")
def test_the_servers_of_several_machines(
    app: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.postgresql_server import postgresql, schema_for
    from tests.servers import seaweedfs

    place = "postgresql:" + postgresql().location(schema_for(tmp_path), "connections=400")
    with seaweedfs() as bucket:
        files = bucket.url("doctor", redirect=1000)
        code, found = doctor(app, capsys, "--data", place, "--files", files)
        assert code == 0, [row for row in found.items() if row[1][0] == "fail"]
        assert found["start"][0] == "ok"
        assert found["durability"] == ("warning", "fsync is off: a power failure loses the database")
        verdict, detail = found["database connections"]
        assert verdict == "warning" and "a process may take 400, so 1 may run" in detail
        assert found["database clock"][0] == "ok"
        assert found["replication"][1].startswith("no standby")
        assert "conflicts" not in found
        assert "sent to the bucket itself" in found["object store"][1]
    code, found = doctor(app, capsys, "--data", place, "--files", files)
    assert code == 1 and found["store"][0] == "fail"
    assert "ci" not in found["store"][1].split("=")
