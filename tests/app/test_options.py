# SPDX-License-Identifier: MIT
"""One table of options: a line in `app/options.py` is a keyword, a flag, a variable, a setting and a row."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minihttp
from minihttp import App, HttpRouter, testing
from minihttp.app.options import APP_OPTIONS, SERVER_OPTIONS
from minihttp.errors import ConfigurationError
from minihttp.server import Server
from minihttp.server.listener import Listener

PACKAGE = Path(minihttp.__file__).parent
SWITCH = '    brevity: Annotated[int, Option(3, "how short everything is", whole(0, 9))]\n'


def test_an_unknown_option_is_refused_with_a_suggestion() -> None:
    for make in (App, App().configure):
        with pytest.raises(ConfigurationError, match="is not a setting of App; did you mean 'workers'"):
            make(worker=1)  # type: ignore[call-arg]


def test_none_asks_for_the_default_limits_and_environment() -> None:
    app = App(limits=None, environment=None)  # type: ignore[arg-type]
    assert app.options.limits is APP_OPTIONS["limits"].default and app.options.environment is os.environ


def test_every_option_of_the_server_is_a_keyword_of_it() -> None:
    keywords = {**Server.__init__.__kwdefaults__, **Listener.__init__.__kwdefaults__}  # which it hands on
    assert {name: option.default for name, option in SERVER_OPTIONS.items()}.items() <= keywords.items()


def test_a_copy_in_memory_has_the_options_of_its_app() -> None:
    app = App(HttpRouter(), origin="https://a.example", development=True, function_api=False, workers=3)
    copy, own = vars(testing.in_memory(app).options), {"data", "files", "workers", "metrics", "clock"}
    assert {name for name, value in vars(app.options).items() if copy[name] != value} <= own
    assert (copy["data"], copy["workers"]) == (":memory:", 0)


def test_a_new_switch_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "minihttp", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "storage_backends", tmp_path / "storage_backends")
    table = tmp_path / "minihttp" / "app" / "options.py"
    line = next(line for line in table.read_text().splitlines(True) if "    development: " in line)
    table.write_text(table.read_text().replace(line, SWITCH + line))
    (tmp_path / "app.py").write_text(
        "from minihttp import App, testing\n"
        "app = App(brevity=5)\n"
        "assert App().options.brevity == 3 and App().configure(brevity=4).options.brevity == 4\n"
        "assert testing.in_memory(app).options.brevity == 5\n"
    )

    def row(*flags: str, **environ: str) -> Any:
        command = [sys.executable, "-m", "minihttp", "config", "app.py", "--json", *flags]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        rows = map(json.loads, done.stdout.splitlines())
        return [(row["value"], row["from"]) for row in rows if row["setting"] == "brevity"]

    assert row() == [(5, "the app")]
    assert row(MINIHTTP_BREVITY="6") == [(6, "MINIHTTP_BREVITY")]
    assert row("--brevity", "7") == [(7, "--brevity")]
    (tmp_path / "minihttp.toml").write_text("brevity = 8\n")
    assert row() == [(8, "minihttp.toml")] or sys.version_info < (3, 11)
    shown = subprocess.run(
        [sys.executable, "-m", "minihttp", "serve", "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "how short everything is" in shown.stdout
