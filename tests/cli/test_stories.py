# SPDX-License-Identifier: MIT
"""A person's hour: the command line typed in a real terminal, with a server that is killed in between."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import ROOT, Shell, shell

__all__ = ["shell"]

PATIENCE_SECONDS = 90.0


def _take_terminal() -> None:
    """Make standard input the terminal of this session: else Ctrl-C, typed into it, would reach nobody."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background of a script ignores it


class Terminal:
    """One command on a pseudo-terminal of 80 columns."""

    def __init__(
        self, folder: Path, *argv: str, env: dict[str, str] | None = None, columns: int = 80
    ) -> None:
        main, side = pty.openpty()
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "COLUMNS": str(columns),
        }
        environ |= {"PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        command = [sys.executable, "-m", "minihttp", *argv]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=side, stdout=side, stderr=side, start_new_session=True,
            preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(side)
        self._main = main
        self.text = ""

    def read(self, seconds: float) -> bool:
        """Read what comes; whether there may be more."""
        if not select.select([self._main], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._main, 65_536)
        except OSError:  # the other side is closed
            return False
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := re.search(pattern, self.text, re.MULTILINE)) is None:
            assert time.monotonic() < end and self.read(0.5), self.text
        return found

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; returns the exit code and all that was written."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.read(0.2) and self.process.poll() is None:
            assert time.monotonic() < end, self.text
        while self.read(0.0) and select.select([self._main], [], [], 0)[0]:
            pass
        return self.process.wait(PATIENCE_SECONDS), self.text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._main)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.close()


HOOK = """

from minihttp.webhooks import github

http.webhook("/hook", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler="items:pushed")
"""
PUSHED = """
from minihttp import internal_mutation


@internal_mutation
def pushed(ctx, delivery):
    ctx.db.insert("items", {"name": delivery["event_type"]})
"""


def test_from_init_to_a_killed_server_and_back(tmp_path: Path, terminals: list[Terminal]) -> None:
    """init, serve --reload, a file broken and mended, run, a webhook, kill -9, request, export, check."""

    def start(folder: Path, *argv: str) -> Terminal:
        env = {
            "MINIHTTP_ADMIN_KEY": "the-key-of-the-operator",
            "GITHUB_WEBHOOK_SECRET": "a secret of sixteen bytes",
        }
        terminals.append(Terminal(folder, *argv, env=env))
        return terminals[-1]

    def done(folder: Path, *argv: str) -> str:
        code, text = start(folder, *argv).end()
        assert code == 0, text
        return text

    assert "serve --reload" in done(tmp_path, "init", "shop")
    shop = tmp_path / "shop"
    with open(shop / "backend" / "routes.py", "a") as routes:
        routes.write(HOOK)
    with open(shop / "backend" / "items.py", "a") as functions:
        functions.write(PUSHED)
    server = start(shop, "serve", "--reload", "--port", "0")
    url = server.wait_for(r"minihttp serves (http://127\.0\.0\.1:[0-9]+)")[1]
    server.wait_for(r"3 routes")
    server.wait_for(r"try: curl")
    server.wait_for(r"stop: Ctrl-C")
    items = shop / "backend" / "items.py"
    good = items.read_text()
    items.write_text("def broken(:\n")
    server.wait_for(r"SyntaxError")
    items.write_text(good)
    server.wait_for(r"(?s)SyntaxError.*minihttp serves")
    assert re.search(r'"[0-9a-v]{32}"', done(shop, "run", "items:create", '{"name": "pen"}', "--server", url))
    assert "pen" in done(shop, "data", "items", "--server", url)
    assert "200" in done(shop, "webhooks", "send", "github", "push", f"{url}/hook", "--duplicate", "1")
    assert "push" in done(shop, "webhooks", "list", "--server", url)
    assert "success" in done(shop, "jobs", "list", "--server", url)
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert '"name":"ink"' in done(shop, "request", "POST", "/api/items", "-d", '{"name": "ink"}')
    code, text = start(shop, "request", "GET", "/api/items/nothing", "-i").end()
    assert code == 1 and "404 Not Found" in text
    again = start(shop, "serve", "--port", "0")
    again.wait_for(r"minihttp serves")
    again.process.send_signal(signal.SIGINT)
    code, text = again.end()
    assert code == 0, text
    assert "3 documents" in done(shop, "export", "shop.zip")
    assert "items" in done(shop, "import", "shop.zip", "--data", "elsewhere")
    assert "nothing is wrong" in done(shop, "check", "--data", "elsewhere")
    assert "pen" in done(shop, "data", "items", "--data", "elsewhere")


def test_what_removes_asks_on_a_terminal(tmp_path: Path, shell: Shell, terminals: list[Terminal]) -> None:
    shell("run", "app:create", '{"name": "pen"}')
    shell("export", "s.zip")
    for answer, code in (("n", 1), ("y", 0)):
        terminal = Terminal(tmp_path, "import", "s.zip", "--replace")
        terminals.append(terminal)
        terminal.wait_for(r"\[y/N\] ")
        terminal.type(answer + "\n")
        assert terminal.end()[0] == code
    assert "nothing was changed" in terminals[0].text


@pytest.mark.parametrize("verb", ["export", "backup"])
def test_ctrl_c_in_the_middle_leaves_nothing(
    tmp_path: Path, shell: Shell, terminals: list[Terminal], verb: str
) -> None:
    lines = "".join(json.dumps({"name": f"item {n} " + "x" * 2_000}) + "\n" for n in range(12_000))
    (tmp_path / "many.jsonl").write_text(lines)
    shell("data", "import", "items", "many.jsonl")
    before = set(os.listdir(tmp_path))
    terminal = Terminal(tmp_path, verb, "s.zip" if verb == "export" else "backups")
    terminals.append(terminal)
    end = time.monotonic() + PATIENCE_SECONDS
    while not list(tmp_path.glob("**/*.partial")) and terminal.process.poll() is None:
        assert time.monotonic() < end
        terminal.read(0.001)
    terminal.type("\x03")
    code, text = terminal.end()
    assert "Traceback" not in text
    left = set(os.listdir(tmp_path)) - before
    if code == 130:
        assert not list(tmp_path.glob("**/*.partial")) and "s.zip" not in left
        assert not (tmp_path / "backups").exists() or not os.listdir(tmp_path / "backups")
    else:
        assert code == 0, text  # it was done before the key was typed


def test_a_broken_pipe_is_no_traceback(shell: Shell) -> None:
    for number in range(3):
        shell("run", "app:create", json.dumps({"name": f"item {number}"}))
    process = shell.process("data", "items", "--json")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE_SECONDS) in (0, 1)


def test_no_colours_and_a_narrow_terminal(tmp_path: Path, shell: Shell, terminals: list[Terminal]) -> None:
    shell("run", "app:create", '{"name": "pen"}')
    terminal = Terminal(tmp_path, "data", "items", env={"NO_COLOR": "1"}, columns=30)
    terminals.append(terminal)
    code, text = terminal.end()
    assert code == 0 and "\x1b" not in text and "pen" in text
