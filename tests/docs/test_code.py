# SPDX-License-Identifier: MIT
"""Every block of code in README, docs/ and the other pages: Python runs, its tests pass, commands parse."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import cli
from tests.docs.pages import PAGES, ROOT, Block, blocks, name_of, prose

LANGUAGES = {"python", "sh", "json", "toml", "text", "nginx", "html", "javascript"}
_KEY = {"kty": "RSA", "kid": "1", "use": "sig", "n": "uw" * 170 + "-w", "e": "AQAB"}
FILES = {"docs/auth.md": {"keys.json": json.dumps({"keys": [_KEY]})}}  # what a page takes for granted
PACKAGES = {"CONTRIBUTING.md": "minihttp.webhooks"}  # whose modules a page shows
WITH_PYTHON = [page for page in PAGES if any(b.language == "python" for b in blocks(page))]
PEERS = ("flask", "werkzeug")  # may be missing where the suite runs
TUTORIAL = ROOT / "docs" / "tutorial.md"  # test_tutorial.py goes through it step by step


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, from which modules are imported; they are forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        where = getattr(sys.modules[name], "__file__", None) or ""
        if name.startswith("page_") or where.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_python_of_a_page_runs_and_its_tests_pass(page: Path, folder: Path) -> None:
    if page == TUTORIAL:
        return
    code = [block for block in blocks(page) if block.language == "python"]
    for peer in PEERS:
        if any(re.search(f"^(from|import) {peer}", b.code, re.MULTILINE) for b in code):
            pytest.importorskip(peer)
    for name, text in FILES.get(name_of(page), {}).items():
        (folder / name).write_text(text)
    for block in code:
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.code)
    module = types.ModuleType("page_" + re.sub(r"\W", "_", name_of(page)))
    module.__package__ = PACKAGES.get(name_of(page))
    sys.modules[module.__name__] = module
    for block in code:
        if block.file and block.file.startswith("test_"):
            run_pytest(folder, block.file)
        else:
            run_block(page, block, module)


def run_block(page: Path, block: Block, module: types.ModuleType) -> None:
    """A block in the module of its page, with the lines of the page in tracebacks; and the tests in it."""
    before = dict(vars(module))
    exec(compile("\n" * block.line + block.code, str(page), "exec"), vars(module))
    for name, value in vars(module).items():
        if name.startswith("test_") and before.get(name) is not value:
            value()


def run_pytest(folder: Path, file: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file]
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language_and_is_written_in_it(page: Path) -> None:
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line}"
        plain = name_of(page) == "ARCHITECTURE.md" and block.language == ""  # the drawing of the house
        assert plain or block.language in LANGUAGES, f"{where}: {block.language!r}"
        if block.language == "json":
            json.loads(block.code)
        elif block.language == "toml" and sys.version_info >= (3, 11):
            check_toml(block.code)
        elif block.language == "sh":
            subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)


def check_toml(code: str) -> None:
    """`minihttp.toml`: its names are settings."""
    import tomllib

    from minihttp.cli._settings import LIMITS, SETTINGS

    table = tomllib.loads(code)
    names = {LIMITS + name for name in table.pop("limits", {})} | set(table)
    assert names <= set(SETTINGS)


def commands(code: str) -> Iterator[list[str]]:
    """The arguments of each `python -m minihttp …` in a block for the shell."""
    for line in code.replace("\\\n", " ").splitlines():
        found = re.search(r"(?:^|[ /])python3? -m [\w.]*minihttp((?: .*)?)$", line)
        if found:
            words = shlex.split(found[1], comments=True)
            stops = [at for at, word in enumerate(words) if word in ("|", "&&", ";", ">", "<", "&", "2>&1")]
            yield words[: stops[0]] if stops else words


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_are_commands(page: Path) -> None:
    said = io.StringIO()
    for block in blocks(page):
        if block.language != "sh":
            continue
        for arguments in commands(block.code):
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                try:
                    parse(arguments)
                except SystemExit as stop:
                    pytest.fail(f"{name_of(page)}:{block.line}: {arguments} ({stop.code})\n{said.getvalue()}")
    for verb in re.findall(r"`python -m minihttp ([a-z]+)", prose(page)):
        assert verb in cli.verbs() or verb == "help", f"{name_of(page)}: {verb}"


def parse(arguments: list[str]) -> Any:
    if arguments[:1] == ["help"] or arguments in (["--version"], []):
        return None
    return cli._parser(arguments[:1]).parse_args(arguments)


def test_a_wrong_command_would_be_found() -> None:
    assert list(commands("A=b python -m minihttp serve app.py --port 0 | head  # x\n")) == [
        ["serve", "app.py", "--port", "0"]
    ]
    with contextlib.redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
        parse(["serve", "--prot", "0"])


def test_flask_is_there_in_the_gate() -> None:
    assert importlib.util.find_spec("flask") or "CI_REQUIRE_SERVERS" not in os.environ
