# SPDX-License-Identifier: MIT
"""The tutorial step by step, as somebody types it: files written, commands run, output compared."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks

TUTORIAL = ROOT / "docs" / "tutorial.md"
LISTENING = re.compile(r"http://127\.0\.0\.1:[0-9]+")
PATIENCE_SECONDS = 60


class Reader:
    """Somebody who follows a page: a folder, a shell whose variables stay, a server in another terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin = folder / ".bin"
        bin.mkdir()
        (bin / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (bin / "python").chmod(0o755)
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MINIHTTP_")},
            "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "MINIHTTP_LIMITS_MUTATION_SECONDS": str(PATIENCE_SECONDS),
            "MINIHTTP_LIMITS_QUERY_SECONDS": str(PATIENCE_SECONDS),
        }
        self.variables = folder / ".variables"
        self.server: subprocess.Popen[str] | None = None
        self.url = ""
        self.is_old = False  # a file changed since the server was started
        self.output = ""
        self.compared: list[str] = []

    def save(self, block: Block) -> None:
        assert block.file is not None
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        is_more = block.code.splitlines()[0].endswith("(more)")
        path.write_text((path.read_text() if is_more else "") + block.code)
        self.is_old = True

    def serve(self) -> None:
        self.stop()
        command = [sys.executable, "-m", "minihttp", "serve", "--port", "0"]
        self.server = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.server.stdout is not None
        seen = []
        for line in self.server.stdout:
            seen.append(line)
            if found := LISTENING.search(line):
                self.url = found[0]
                break
        else:
            raise AssertionError("the server ended:\n" + "".join(seen))
        self.is_old = False

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            said, _ = self.server.communicate(timeout=PATIENCE_SECONDS)
            assert self.server.returncode == 0, said
            self.server = None

    def run(self, code: str) -> None:
        if self.is_old and self.server is not None and "http://127.0.0.1:8080" in code:
            self.serve()  # what --reload does
        code = code.replace("http://127.0.0.1:8080", self.url)
        script = f"set -eo pipefail; touch {self.variables}; . {self.variables}\n{code}\n"
        script += f"declare -p KEY ITEM URL > {self.variables} 2>/dev/null || true\n"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environ, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
        self.output = done.stdout
        self.is_old = self.is_old or ".env" in code

    def compare(self, expected: str) -> None:
        """The output of the last commands with what the page shows, where … stands for anything."""
        lines = [".*".join(map(re.escape, line.split("…"))) for line in expected.strip().splitlines()]
        said = "\n".join(re.sub(r"(?<=[}\]])(?=[{\[])", "\n", self.output).strip().splitlines())
        assert re.fullmatch("\n".join(lines), said, re.DOTALL), f"{said}\n!=\n{expected}"


@pytest.mark.slow
def test_each_step_of_the_tutorial_works(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        follow(reader)
        items = reader.compared[-1]
        assert "pen" in items and "air" not in items, "the cron ran, the backup is back"
        assert (tmp_path / "lost" / "app.db").exists()
    finally:
        reader.stop()


def follow(reader: Reader) -> None:
    for block in blocks(TUTORIAL):
        where = f"line {block.line}"
        if block.file:
            reader.save(block)
        elif block.language == "text":
            reader.compare(block.code)
            reader.compared.append(reader.output)
        elif block.code.startswith("python3 -m venv"):
            continue  # what the gate does for the whole suite
        elif " serve " in block.code:
            reader.serve()
        else:
            assert block.language == "sh", where
            if block.code.startswith("mv data"):
                reader.stop()
            reader.run(block.code)
