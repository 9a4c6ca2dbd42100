# SPDX-License-Identifier: MIT
"""`run`: on a folder, and on a running server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.asked import ask
from tests.cli.shell import Done, Shell, shell

__all__ = ["ask", "shell"]


def test_run_prints_the_result_and_logs_to_stderr(ask: Any) -> None:
    done: Done = ask("run", "app:create", '{"name": "pen", "n": 5}')
    assert len(json.loads(done.out)) == 32
    assert done.err == "WARNING shop: creating pen\n"
    assert ask("run", "app:count").out == "1\n"


def test_run_reads_stdin_and_prints_one_line(ask: Any) -> None:
    done = ask("run", "app:create", "-", "--json", stdin='{"name": "ink"}')
    assert done.out.count("\n") == 1
    assert ask("data", "items", "--json").rows[0]["name"] == "ink"


def test_run_as_somebody(ask: Any) -> None:
    assert ask("run", "app:whoami").out == "null\n"
    assert ask("run", "app:whoami", "--as", '{"subject": "u1"}').out == '"u1"\n'
    assert "a subject" in ask("run", "app:whoami", "--as", "{}", code=1).err
    assert "--as takes a JSON object" in ask("run", "app:whoami", "--as", "x", code=2).err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("app:creat",), "there is no function 'app:creat'; did you mean 'app:create'?"),
        (("create",), "there is no function 'create'; did you mean 'app:create'?"),
        (("app:create", "{}"), "missing the required field `name`"),
        (("app:create", "{"), "the arguments are no JSON"),
        (("app:create", "[]"), "the arguments must be an object"),
        (("app:fail",), "ValueError: no luck"),
    ],
)
def test_run_says_what_is_wrong(ask: Any, argv: tuple[str, ...], message: str) -> None:
    done = ask("run", *argv, code=1)
    assert message in done.err and not done.out
    assert "inspection.py" not in done.err, "what never came to the app's code shows no frames of ours"


def test_an_error_shows_the_app_s_own_line(shell: Shell) -> None:
    assert "app.py" in shell("run", "app:fail", code=1).err
