# SPDX-License-Identifier: MIT
"""`run`, `data`, `functions`, `crons`, `env`, `request`, `logs`: on a folder, and on a running server."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from minihttp.app import log_ring
from tests.cli.shell import Done, Shell, shell

__all__ = ["shell"]


@pytest.fixture(params=["folder", "server"])
def ask(shell: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a command on the folder, or on a server of it."""
    if request.param == "folder":
        yield shell
        return
    with shell.served(monkeypatch) as url:
        yield lambda *argv, **options: shell(*argv, "--server", url, **options)


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


def filled(ask: Any) -> None:
    for number in range(5):
        ask("run", "app:create", json.dumps({"name": f"item {number}", "n": number}))


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


def test_a_mistake_in_the_command_is_misuse(ask: Any) -> None:
    assert "data takes TABLE" in ask("data", "a", "b", "c", code=2).err
    assert "must end with .jsonl or .csv" in ask("data", "import", "items", "a.txt", code=2).err


def test_empty_lists_say_so_on_stderr(ask: Any) -> None:
    done = ask("data", "items")
    assert (done.out, done.err) == ("", "no such documents\n")


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
        ("a.jsonl", '{"name":"a"}\n{"name":1}\n', "line 2: "),
        ("a.jsonl", '{"name":"a"}\nnope\n', "line 2, cannot be read"),
        ("a.csv", "name,n\na,x\n", "does not match"),
        ("a.csv", "name,n\na\n", "line 2 has not as many cells"),
        ("a.jsonl", '{"name":"a","other":1}\n', "extra field `other`"),
    ],
)
def test_data_import_is_all_or_nothing(ask: Any, shell: Shell, file: str, text: str, message: str) -> None:
    (shell.folder / file).write_text(text)
    assert message in ask("data", "import", "items", file, code=1).err
    assert ask("run", "app:count").out == "0\n"


def test_functions(ask: Any) -> None:
    lines = ask("functions").out.splitlines()
    assert lines[0].split() == ["name", "kind", "visibility", "args", "returns", "location"]
    [line] = [line for line in lines if line.startswith("app:create ")]
    assert "name: string" in line and "n?: bigint" in line and "id<items>" in line
    rows = {row["name"]: row for row in ask("functions", "--json").rows}
    assert rows["app:create"]["args"]["value"]["n"] == {"fieldType": {"type": "bigint"}, "optional": True}
    assert rows["app:fail"]["visibility"] == "internal"


def test_crons(ask: Any) -> None:
    [row] = ask("crons", "--json").rows
    assert row["name"] == "tidy" and row["function"] == "app:create"
    assert "interval" in ask("crons").out
    assert len(json.loads(ask("crons", "run", "tidy").out)) == 32
    assert ask("run", "app:count").out == "1\n"
    assert "there is no cron 'nope'" in ask("crons", "run", "nope", code=1).err
    assert "takes the NAME" in ask("crons", "run", code=2).err


def test_env(shell: Shell) -> None:
    assert "GITHUB_WEBHOOK_SECRET" in shell("env").out
    [row] = shell("env", "--json", "--check", code=1).rows
    assert row == {
        "name": "GITHUB_WEBHOOK_SECRET",
        "set": False,
        "from": None,
        "for": "webhook /hooks/github",
    }
    (shell.folder / ".env").write_text("GITHUB_WEBHOOK_SECRET=abcdefghijklmnopqrst\n")
    [row] = shell("env", "--json", "--check", "--show").rows
    assert (row["from"], row["value"]) == (".env", "abcd…")
    shell.environ["GITHUB_WEBHOOK_SECRET"] = "short"
    [row] = shell("env", "--json", "--show").rows
    assert (row["from"], row["value"]) == ("the environment", "…")


def test_request_goes_through_the_app(shell: Shell) -> None:
    assert len(json.loads(shell("request", "POST", "/items", "-d", '{"name": "pen"}').out)["id"]) == 32
    assert shell("request", "get", "/items?x=1").out == '{"count":1}'
    done = shell("request", "GET", "/nope", "-i", code=1)
    assert done.out.startswith("HTTP/1.1 404 Not Found\n") and done.out.endswith('{"error":"Not found"}')
    (shell.folder / "body").write_text('{"name": "ink"}')
    shell("request", "POST", "/items", "-d", "@body", "-H", "X-A: b", "-H", "Content-Type: application/json")
    shell("request", "POST", "/items", "-d", "@-", stdin='{"name": "ink"}')
    assert shell("run", "app:count").out == "3\n"
    assert "-H takes a field" in shell("request", "GET", "/", "-H", "nope", code=2).err
    assert "must begin with /" in shell("request", "GET", "items", code=2).err


def test_logs_of_a_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = log_ring.install()
    try:
        with shell.served(monkeypatch) as url:
            shell("run", "app:create", '{"name": "pen"}', "--server", url)
            rows = shell("logs", "--server", url, "--function", "app:create", "--jsonl").rows
            assert rows[-1]["message"] == "creating pen" and rows[-1]["level"] == "warning"
            assert "creating pen" in shell("logs", "--server", url, "--level", "warning").out
            done = shell("logs", "--server", url, "--request", "none-such")
            assert (done.out, done.err) == ("", "no such lines so far\n")
    finally:
        logging.getLogger().removeHandler(ring)


def test_a_server_without_its_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with shell.served(monkeypatch) as url:
        del shell.environ["MINIHTTP_ADMIN_KEY"]
        assert "MINIHTTP_ADMIN_KEY must be set" in shell("data", "--server", url, code=1).err
        shell.environ["MINIHTTP_ADMIN_KEY"] = "wrong"
        assert shell("data", "--server", url, code=1).err.count("\n") == 1


def test_beside_a_server_the_message_says_what_to_do(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with shell.served(monkeypatch):
        for command in ("data", "run app:count", "check", "export s.zip", "request GET /"):
            assert "in use by process" in shell(*command.split(), code=1).err


def test_snapshots_and_check_of_a_server(ask: Any, shell: Shell) -> None:
    filled(ask)
    ask("run", "app:keep", '{"data": {"$bytes": "AAE="}}')
    assert ask("export", "s.zip").err.endswith("1 files\n")
    assert ask("check").err == "nothing is wrong\n"
    assert "has documents" in ask("import", "s.zip", code=1).err
    ask("run", "app:create", '{"name": "more"}')
    rows = ask("import", "s.zip", "--replace", "--json").rows
    assert {"table": "items", "documents": 5} in rows
    assert ask("run", "app:count").out == "5\n"
    assert ask("check").err == "nothing is wrong\n"
    assert "is there already" in ask("export", "s.zip", code=1).err
    ask("export", "s.zip", "-y")


def test_json_goes_through_jq(shell: Shell) -> None:
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("no jq here")
    filled(shell)
    out = shell("data", "items", "--json").out
    picked = subprocess.run([jq, "-r", ".name"], input=out, capture_output=True, text=True, check=True)
    assert picked.stdout.splitlines() == [f"item {number}" for number in range(5)]


def test_flags_may_stand_anywhere(shell: Shell) -> None:
    """TARGET may be left out, and does not mind what stands before it."""
    for argv in (("routes", "--json", "app.py"), ("routes", "app.py", "--json"), ("routes", "--json")):
        assert len(shell(*argv).rows) == 3
    shell("export", "--data", "other", "s.zip", "app.py")
    assert "unrecognized arguments: --jso" in shell("routes", "--jso", "app.py", code=2).err


def test_help_and_version(shell: Shell) -> None:
    assert shell("--version").out.startswith("minihttp ")
    assert "FUNCTION" in shell("help", "run").out
    assert "import" in shell("help").out
