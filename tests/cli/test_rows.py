# SPDX-License-Identifier: MIT
"""Rows of a file, JSON lines or CSV, that `data import` inserts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.asked import ask
from tests.cli.shell import Shell, shell

__all__ = ["ask", "shell"]


def test_data_import_of_json_lines_and_csv(ask: Any, shell: Shell) -> None:
    (shell.folder / "a.jsonl").write_text('{"name":"a","n":1}\n{"name":"b"}\n')
    (shell.folder / "b.csv").write_text('name,n,on\n"c, d",2,true\n007,,false\n')
    ask("data", "import", "items", "a.jsonl")
    ask("data", "import", "items", "b.csv")
    ask("data", "import", "items", "-", stdin='{"name":"z"}\n')
    rows = [{n: row.get(n) for n in ("name", "n", "on")} for row in ask("data", "items", "--json").rows]
    assert rows == [
        {"name": "a", "n": 1, "on": None},
        {"name": "b", "n": None, "on": None},
        {"name": "c, d", "n": 2, "on": True},
        {"name": "007", "n": None, "on": False},
        {"name": "z", "n": None, "on": None},
    ]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.jsonl", '{"name":"a"}\n{"name":1}\n', "minihttp: a.jsonl, line 2: "),
        ("a.jsonl", '{"name":"a"}\nnope\n', "minihttp: a.jsonl, line 2, cannot be read"),
        ("a.csv", "name,n\na,x\n", "does not match"),
        ("a.csv", "name,n\na\n", "line 2 has not as many cells"),
        ("a.jsonl", '{"name":"a","other":1}\n', "extra field `other`"),
    ],
)
def test_data_import_is_all_or_nothing(ask: Any, shell: Shell, file: str, text: str, message: str) -> None:
    (shell.folder / file).write_text(text)
    assert message in ask("data", "import", "items", file, code=1).err
    assert ask("run", "app:count").out == "0\n"


def test_a_table_that_is_not_declared_is_said_of_the_file(ask: Any, shell: Shell) -> None:
    (shell.folder / "a.jsonl").write_text("{}\n")
    said = ask("data", "import", "nowhere", "a.jsonl", code=1).err
    assert said.startswith('minihttp: a.jsonl: Table "nowhere" is not in the schema')
