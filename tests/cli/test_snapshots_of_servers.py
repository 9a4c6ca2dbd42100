# SPDX-License-Identifier: MIT
"""`export`, `backup` and `import` with `--server`: large ones, over lines that break, and interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Shell, shell
from tests.cli.test_stories import PATIENCE_SECONDS, Terminal, terminals
from tests.proxies import Proxy

__all__ = ["shell", "terminals"]
KEY = "the-key-of-the-operator"
LARGE = 20_000_000  # bytes of a file that no compression makes smaller: more than one part
MANY = 8_000


@pytest.fixture
def url(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a server with an empty database."""
    with shell.served(monkeypatch) as url:
        yield url


@pytest.fixture
def large(shell: Shell, tmp_path: Path) -> bytes:
    """Have `large.zip`, a snapshot with one large file; returns its bytes."""
    (tmp_path / "app.py").write_text((tmp_path / "app.py").read_text() + _KEEP)
    data = random.Random(1).randbytes(LARGE)
    (tmp_path / "large").write_bytes(data)
    shell("run", "app:keep_file", "--data", "other")
    shell("export", "large.zip", "--data", "other")
    return data


_KEEP = """
from pathlib import Path
@action(args={})
def keep_file(ctx):
    ctx.storage.store(Path(__file__).with_name("large").read_bytes())
"""


def stored(path: Path) -> list[bytes]:
    """The files in a snapshot."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        is_file = [name.startswith("_storage/") and not name.endswith(".jsonl") for name in names]
        return [archive.read(name) for name, is_one in zip(names, is_file, strict=True) if is_one]


def test_a_large_snapshot_there_and_back_over_lines_that_break(
    shell: Shell, tmp_path: Path, large: bytes, url: str
) -> None:
    with Proxy(url, max_up=LARGE // 10) as proxy:
        shell("import", "large.zip", "--server", proxy.url)
        assert proxy.broken == 1, "the part was sent again"
    with Proxy(url, max_down=LARGE // 3) as proxy:
        shell("export", "again.zip", "--server", proxy.url)
        assert proxy.broken >= 2, "each time it went on from where it was"
    assert stored(tmp_path / "again.zip") == [large]
    assert not left_behind(shell, url, files=1)


def test_a_server_that_goes_away_is_one_sentence(
    shell: Shell, tmp_path: Path, large: bytes, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minihttp.cli._http._PAUSE_SECONDS", 0.0)
    with Proxy(url, max_down=0) as proxy:
        for argv in (["export", "s.zip"], ["backup", "s.zip"], ["import", "large.zip"], ["check"]):
            done = shell(*argv, "--server", proxy.url, code=1)
            assert done.err.startswith("minihttp: ") and done.err.count("\n") == 1, done.err
    assert not (tmp_path / "s.zip").exists()


def test_a_snapshot_that_the_server_refuses_leaves_nothing(shell: Shell, tmp_path: Path, url: str) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("items/documents.jsonl", '{"_id": 1}\n')
    assert "items/documents.jsonl, line 1" in shell("import", "s.zip", "--server", url, code=1).err
    assert not left_behind(shell, url)


def left_behind(shell: Shell, url: str, files: int = 0) -> list[Any]:
    """What is in the file store beyond so many files, and in the data directory of a snapshot on its way."""
    rows = shell("data", "_storage", "--system", "--json", "--server", url).rows
    return rows[files:] + list((shell.folder / "data").glob("snapshot-*"))


# ---------------------------------------------------------------- Ctrl-C


@pytest.fixture
def server(shell: Shell) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its URL; its app and `many.zip` have many documents.

    The app has no cron: its first run would add a document at a time of its own.
    """
    app = shell.folder / "app.py"
    app.write_text(app.read_text().replace("crons=crons, ", ""))
    lines = "".join(json.dumps({"name": f"item {n} " + "x" * 2_000}) + "\n" for n in range(MANY))
    (shell.folder / "many.jsonl").write_text(lines)
    shell("data", "import", "items", "many.jsonl")
    shell("export", "many.zip")
    shell.environ["MINIHTTP_ADMIN_KEY"] = KEY
    process = shell.process("serve", "--port", "0", "--log-format", "text", stderr=subprocess.STDOUT)
    assert process.stdout is not None
    line = next(line for line in process.stdout if "minihttp serves " in line)
    yield process, line.split()[-1]
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)


def interrupted(
    shell: Shell, process: subprocess.Popen[str], argv: list[str], is_time: Callable[[], Any]
) -> tuple[int, str]:
    """Press Ctrl-C in a terminal with this command once it is time; the server stands still for a moment, so
    that it is not done before."""
    terminal = Terminal(shell.folder, *argv, env={"MINIHTTP_ADMIN_KEY": KEY})
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_time():
            assert time.monotonic() < end and terminal.process.poll() is None, terminal.text
            terminal.read(0.001)
        process.send_signal(signal.SIGSTOP)
        terminal.type("\x03")
        process.send_signal(signal.SIGCONT)
        return terminal.end()
    finally:
        process.send_signal(signal.SIGCONT)
        terminal.close()


@pytest.mark.parametrize("verb", ["export", "backup"])
def test_ctrl_c_while_a_server_writes_a_snapshot(
    shell: Shell, server: tuple[subprocess.Popen[str], str], verb: str
) -> None:
    process, url = server
    before, count = set(os.listdir(shell.folder)), shell("run", "app:count", "--server", url).out
    argv = [verb, "s.zip", "--server", url]
    code, text = interrupted(shell, process, argv, lambda: list((shell.folder / "data").glob("snapshot-*")))
    assert code == 130 and "Traceback" not in text
    assert set(os.listdir(shell.folder)) == before, "neither the file nor a part of it"
    wait_for(lambda: not left_behind(shell, url))
    assert shell("run", "app:count", "--server", url).out == count
    shell(verb, "s.zip", "--server", url)


def test_ctrl_c_while_a_server_reads_a_snapshot(
    shell: Shell, server: tuple[subprocess.Popen[str], str]
) -> None:
    """The table is as it was; the server goes on; the same command does it then."""
    process, url = server
    shell("run", "app:create", '{"name": "one more"}', "--server", url)
    count = shell("run", "app:count", "--server", url).out
    log = shell.folder / "data" / "app.db-wal"
    began_with = log.stat().st_size
    argv = ["import", "many.zip", "--replace", "-y", "--server", url]
    code, text = interrupted(shell, process, argv, lambda: log.stat().st_size > began_with + 2**20)
    assert code == 130 and "Traceback" not in text
    wait_for(lambda: not left_behind(shell, url))
    assert shell("run", "app:count", "--server", url).out == count
    assert "an import of more than these tables has not ended" in shell("check", "--server", url, code=1).out
    shell("import", "many.zip", "--replace", "-y", "--server", url)
    assert shell("run", "app:count", "--server", url).out == f"{MANY}\n"
    assert shell("check", "--server", url).err == "nothing is wrong\n"


def wait_for(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end
