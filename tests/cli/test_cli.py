# SPDX-License-Identifier: MIT
"""The command line in this process: help, exit codes, and rules that hold for every verb."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import minihttp
from minihttp import cli
from tests.cli.folder import folder

__all__ = ["folder"]


def said_of_every_verb() -> list[str]:
    """What the list of verbs says, the verbs themselves being asked."""
    return [f" {verb} {importlib.import_module(f'minihttp.cli.{verb}').HELP} " for verb in cli.verbs()]


def test_help_says_of_every_verb_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"], {}) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert [said for said in said_of_every_verb() if said not in text] == []
    assert "_reload" not in text


def test_help_is_in_an_archive_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        for path in Path(minihttp.__file__).parent.rglob("*.py"):
            archive.write(path, path.relative_to(Path(minihttp.__file__).parent.parent))
    command = [sys.executable, "-m", "minihttp", "--help"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "lib.zip")}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    text = " ".join(done.stdout.split())
    assert [said for said in said_of_every_verb() if said not in text] == []


@pytest.mark.parametrize("command", [["--help"], ["routes", "plain.py"]])
def test_a_verb_that_asks_little_loads_little(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "plain.py").write_text("from minihttp import App\napp = App()\n")
    program = f"import sys; from minihttp import cli; cli.main({command}, {{}}); print(*sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", program]
    done = subprocess.run(arguments, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "minihttp.cli" in loaded
    assert not loaded & {"sqlite3", "ssl", "random", "minihttp.data", "minihttp.jobs", "minihttp.webhooks"}


def test_no_arguments_and_no_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["minihttp"])
    assert cli.main(environ={}) == 0
    assert "serve" in capsys.readouterr().out


def test_help_speaks_of_the_limits_without_listing_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--help"], {}) == 0
    assert capsys.readouterr().out.count("--limits-") == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["routes", "--nonsense"],
        ["jobs", "list", "--limit", "-1"],
        ["webhooks", "list", "--limit", "1_0"],
    ],
)
def test_a_mistake_in_the_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv, {}) == 2
    assert "usage: minihttp" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "suggestion"),
    [
        (["serve", "app", "--prot", "80"], "did you mean '--port'?"),
        (["serve", "app", "--limits-max-body-byte=1"], "did you mean '--limits-max-body-bytes'?"),
        (["serve", "app", "--relo"], "did you mean '--reload'?"),
        (["jobs", "list", "--stat", "failed"], "did you mean '--state'?"),
    ],
)
def test_a_flag_that_is_none(argv: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv, {}) == 2
    assert capsys.readouterr().err.endswith(f"; {suggestion}\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["routes", "no_such_module"], "minihttp: no module named 'no_such_module' in "),
        (["serve", "no_such_module"], "minihttp: no module named 'no_such_module' in "),
    ],
)
def test_a_mistake_in_the_app(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv, {}) == 1
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1


def test_a_wrong_value_is_2_where_a_flag_has_it_and_1_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["--port", "x"], ["--limits-max-body-bytes", "-1"], ["--workers=many"], ["--origin", "a"]):
        assert cli.main(["serve", "no_such_module", *argv], {}) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"minihttp: {argv[0].partition('=')[0]}: ") and error.count("\n") == 1
    assert cli.main(["serve", "no_such_module"], {"MINIHTTP_PORT": "x"}) == 1
    assert capsys.readouterr().err.startswith("minihttp: MINIHTTP_PORT: port must be a whole number")


def test_print_rows_escapes_what_strangers_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    cli.print_rows([{"id": 1, "name": "a\x1b[2J\nb"}, {"id": None, "name": "é"}], False)
    assert capsys.readouterr().out == "id  name\n1   a\\x1b[2J\\nb\n-   é\n"
    cli.print_rows([], False)
    assert capsys.readouterr().out == ""


SILENT = {  # verbs whose output is no rows
    *("init", "serve", "worker", "types", "completion"),
}


def parsers() -> list[tuple[str, argparse.ArgumentParser]]:
    """The parser of every verb, and of every action of a verb."""
    found = []
    for verb in cli.verbs():
        parser = cli.new_parser(verb)
        actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        inner = [(f"{verb} {name}", p) for action in actions for name, p in action.choices.items()]
        found += inner or [(verb, parser)]
    return found


def test_every_value_says_what_it_is() -> None:
    for verb, parser in parsers():
        for action in parser._actions:
            takes_a_value = action.nargs != 0 and action.help is not argparse.SUPPRESS
            named = action.metavar and action.metavar != "VALUE"
            assert not takes_a_value or named, f"{verb} {action.option_strings or action.dest}"
            assert action.help, f"{verb} {action.option_strings or action.dest}"


def test_a_flag_means_one_thing() -> None:
    """The same flag takes the same kind of value, or none, wherever it is."""
    seen: dict[str, tuple[str, Any]] = {}
    for verb, parser in parsers():
        for action in parser._actions:
            for flag in action.option_strings:
                first, kind = seen.setdefault(flag, (verb, action.metavar))
                assert action.metavar == kind, f"{flag} of {first} and of {verb}"


def test_what_prints_rows_prints_json_and_target_may_be_left_out() -> None:
    for verb, parser in parsers():
        flags = {flag for action in parser._actions for flag in action.option_strings}
        assert "--json" in flags or verb in SILENT, verb
        for action in parser._actions:
            assert action.dest != "target" or action.nargs == "?" or action.option_strings, verb


def test_a_command_that_there_is_not_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["srve"], {}) == 2
    assert "there is no command 'srve'; did you mean 'serve'?" in capsys.readouterr().err


def test_a_folder_without_an_app_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data"], {}) == 1
    assert "make an app with `init DIR`" in capsys.readouterr().err


def test_doctor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", folder.name, "--host", "0.0.0.0", "--trusted-proxy", "*", "--json"], {}) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {(row["check"], row["verdict"]) for row in rows}
    assert {("secrets", "fail"), ("proxy", "fail"), ("proxy", "warning"), ("clock", "ok")} <= found
    assert {"python", "sqlite", "disk", "descriptors"} <= {row["check"] for row in rows}
