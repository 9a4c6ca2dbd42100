# SPDX-License-Identifier: MIT
"""The TypedDicts of a schema: what is written runs, and type checkers find mistakes by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minihttp.data.schema import Schema, Table
from minihttp.data.typed_dicts import typed_dicts
from minihttp.data.validators import v
from tests.live import ROOT

SCHEMA = Schema(
    users=Table(
        {
            "name": v.string(),
            "age": v.optional(v.number()),
            "tags": v.array(v.string()),
            "address": v.object({"city": v.string(), "zip": v.optional(v.int64())}),
            "role": v.union(v.literal("admin"), v.literal("user")),
            "photo": v.nullable(v.bytes()),
            "friends": v.array(v.id("users")),
            "scores": v.record(v.string(), v.object({"n": v.number()})),
            "anything": v.any(),
        }
    ),
    odd_names=Table({"class": v.string(), "a-b": v.optional(v.boolean()), "never": v.union()}),
    events=Table(
        v.union(
            v.object({"kind": v.literal("a"), "n": v.number()}),
            v.object({"kind": v.literal("b")}),
        )
    ),
    free=Table(v.any()),
)
USE = """
from docs import EventsDoc, FreeDoc, OddNamesDoc, UsersDoc

def right(user: UsersDoc, odd: OddNamesDoc, event: EventsDoc, free: FreeDoc) -> None:
    name: str = user["name"]
    id: str = user["_id"]
    city: str = user["address"]["city"]
    n: float = user["scores"]["x"]["n"]
    text: str = odd["class"]
    if event["kind"] == "a":
        number: float = event["n"]
    user["role"] = "admin"

def wrong(user: UsersDoc) -> None:
    a: int = user["name"]
    user["nme"]
    user["role"] = "root"
    user["address"]["street"]
"""


def test_what_is_written_runs_on_this_python(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(typed_dicts(SCHEMA), "docs.py", "exec"), names)
    assert names["__all__"] == ["EventsDoc", "FreeDoc", "OddNamesDoc", "UsersDoc"]
    assert set(names["UsersDoc"].__annotations__) > {"_id", "_creationTime", "name", "age"}
    assert set(names["OddNamesDoc"].__annotations__) == {"_id", "_creationTime", "class", "a-b", "never"}
    assert "tags" in names["UsersDoc"].__annotations__


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_type_checker_finds_mistakes_by_them(checker: str, tmp_path: Path) -> None:
    pytest.importorskip(checker)
    (tmp_path / "docs.py").write_text(typed_dicts(SCHEMA), "utf-8")
    (tmp_path / "use.py").write_text(USE, "utf-8")
    arguments = ["--strict", "--cache-dir", str(tmp_path / "cache")] if checker == "mypy" else []
    done = subprocess.run(
        [sys.executable, "-m", checker, *arguments, "use.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    first_wrong = USE[: USE.index("def wrong")].count("\n") + 1
    found = {
        int(line.split(":")[1]) - first_wrong
        for line in done.stdout.splitlines()
        if "error" in line and "use.py:" in line
    }
    assert found == {1, 2, 3, 4}, done.stdout
