# SPDX-License-Identifier: MIT
"""`data`: tables, pages of one, an index, formats."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cli.asked import ask, filled
from tests.cli.shell import shell

__all__ = ["ask", "shell"]


def test_data_lists_tables(ask: Any) -> None:
    filled(ask)
    assert ask("data").out.split() == ["table", "documents", "indexes", "items", "5", "by_name"]
    [row] = ask("data", "--json").rows
    assert row["indexes"] == {"by_name": ["name"]} and row["validator"]["type"] == "object"
    assert any(row["name"] == "_storage" for row in ask("data", "--system", "--json").rows)


def test_data_pages_through_a_table(ask: Any) -> None:
    filled(ask)
    first = ask("data", "items", "--limit", "3", "--order", "desc", "--json")
    assert [row["n"] for row in first.rows] == [4, 3, 2]
    [cursor] = re.findall(r"^more: --after (\S+)$", first.err, re.MULTILINE)
    rest = ask("data", "items", "--limit", "3", "--order", "desc", "--json", "--after", cursor)
    assert [row["n"] for row in rest.rows] == [1, 0] and "more:" not in rest.err
    assert len(ask("data", "items", "--limit", "5000", "--json").rows) == 5


@pytest.mark.parametrize("cursor", ["-x", "--X9_a="])
def test_a_cursor_that_begins_with_a_dash_is_no_flag(ask: Any, cursor: str) -> None:
    filled(ask)
    assert "Cursor" in ask("data", "items", "--after", cursor, code=1).err
    assert "expected one argument" in ask("data", "items", "--after", "--json", code=2).err
    assert "expected one argument" in ask("data", "items", "--after", "--jsn", code=2).err


def test_data_by_an_index(ask: Any) -> None:
    filled(ask)
    found = ask("data", "items", "--index", "by_name", "--eq", "item 3", "--json").rows
    assert [row["n"] for row in found] == [3]
    assert ask("data", "items", "--index", "by_name", "--eq", '["item 3"]', "--json").rows == found
    [row] = found
    assert json.loads(ask("data", "items", row["_id"]).out) == row


def test_data_as_csv_and_as_a_table(ask: Any) -> None:
    filled(ask)
    lines = ask("data", "items", "--format", "csv").out.splitlines()
    assert lines[0] == "_id,_creationTime,n,name" and lines[1].endswith(",0,item 0")
    assert ask("data", "items").out.splitlines()[0].split() == ["_id", "_creationTime", "n", "name"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("item",), "there is no table 'item'; did you mean 'items'?"),
        (("items", "0" * 32), "there is no document"),
        (("items", "--index", "nope"), "nope"),
        (("items", "--after", "x"), "Cursor"),
    ],
)
def test_data_says_what_is_wrong(ask: Any, argv: tuple[str, ...], message: str) -> None:
    assert message in ask("data", *argv, code=1).err


def test_empty_lists_say_so_on_stderr(ask: Any) -> None:
    done = ask("data", "items")
    assert (done.out, done.err) == ("", "no such documents\n")
