# SPDX-License-Identifier: MIT
"""The verbs `jobs` and `worker`, as processes, on an app in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App
from tests.cli.jobs_shell import APP, ROOT, Shell, shell
from tests.live import live

__all__ = ["shell"]


@pytest.fixture
def served(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[App, str]]:
    """The app in a server of this process, and its URL; `shell` knows its key."""
    monkeypatch.setenv("MINIHTTP_ADMIN_KEY", "the-key-of-the-operator")
    shell.environ["MINIHTTP_ADMIN_KEY"] = "the-key-of-the-operator"
    module = "served_" + shell.folder.name.replace("-", "_")
    (shell.folder / f"{module}.py").write_text(APP.replace('["app"]', "[__name__]"))
    monkeypatch.syspath_prepend(str(shell.folder))
    monkeypatch.chdir(shell.folder)
    with App.from_target(module) as app, live(app) as client:
        yield app, client.url


def test_list_show_run_and_retry(shell: Shell) -> None:
    note, fail = shell.schedule("note", "text=hello"), shell.schedule("fail")
    later = shell.schedule("note", "text=later", delay=3600)
    assert [row["id"] for row in shell.jobs("list", "--state", "pending")] == [note, fail, later]
    assert shell.jobs("run") == [{"ran": 2}]
    listed = {row["id"]: row for row in shell.jobs("list")}
    assert [listed[job]["state"] for job in (note, fail, later)] == ["success", "failed", "pending"]
    assert listed[fail]["error"] == "ValueError: no luck" and listed[fail]["attempts"] == 1
    (shown,) = shell.jobs("show", note)
    assert (shown["result"], shown["args"], shown["state"]) == (
        "hello",
        [{"text": "hello"}],
        {"kind": "success"},
    )
    (again,) = shell.jobs("retry", fail)
    assert [row["id"] for row in shell.jobs("list", "--state", "pending", "--limit", "1")] == [again["id"]]
    assert shell.jobs("run") == [{"ran": 1}]
    assert len(shell.jobs("list", "--state", "failed")) == 2


def test_cancel(shell: Shell) -> None:
    job = shell.schedule("note", "text=never")
    (shown,) = shell.jobs("cancel", job)
    assert shown["state"] == {"kind": "canceled"}
    assert shell.jobs("run") == [{"ran": 0}]


def test_text_for_people(shell: Shell) -> None:
    job = shell.schedule("fail")
    shell.python("-m", "minihttp", "jobs", "run", "app.py", "--data", "data")
    table = shell.python("-m", "minihttp", "jobs", "list").stdout
    assert table.splitlines()[0].split() == [
        "id",
        "state",
        "name",
        "scheduled",
        "completed",
        "attempts",
        "error",
    ]
    assert "ValueError: no luck" in table.splitlines()[1]
    shown = shell.python("-m", "minihttp", "jobs", "show", job).stdout.splitlines()
    assert {"attempts:  1", "args:      {}", "result:    -"} <= {*shown}
    assert '    raise ValueError("no luck")' in shown, "the user's line"


def test_a_terminal_gets_no_control_characters(shell: Shell) -> None:
    job = shell.schedule("colour")
    shell.jobs("run")
    for argv in (("list",), ("show", job)):
        printed = shell.python("-m", "minihttp", "jobs", *argv).stdout
        assert "\\x1b[31mred" in printed and "\x1b" not in printed


def test_beside_a_running_server_it_is_asked(shell: Shell, served: tuple[App, str]) -> None:
    app, url = served
    schedule, (module,), server = app.jobs.scheduler().run_after, app.options.modules, ("--server", url)
    note, fail = schedule(0, f"{module}:note", text="hello"), schedule(0, f"{module}:fail")
    assert [row["id"] for row in shell.jobs("list", "--state", "pending", *server)] == [note, fail]
    (shown,) = shell.jobs("cancel", note, *server)
    assert (shown["state"], shown["args"]) == ({"kind": "canceled"}, [{"text": "hello"}])
    assert app.jobs.run_due() == 1
    (listed,) = shell.jobs("list", "--state", "failed", *server)
    assert (listed["id"], listed["attempts"], listed["error"]) == (fail, 1, "ValueError: no luck")
    (again,) = shell.jobs("retry", fail, *server)
    assert shell.jobs("show", again["id"], *server)[0]["state"] == {"kind": "pending"}
    done = shell.python("-m", "minihttp", "jobs", "retry", again["id"], *server, code=1)
    assert done.stderr == f"minihttp: {again['id']} is not a job that has ended\n"
    done = shell.python("-m", "minihttp", "jobs", "list", "--server", "localhost:8080", code=2)
    assert done.stderr.endswith("--server takes a URL such as http://localhost:8080, not 'localhost:8080'\n")
    shell.environ["MINIHTTP_ADMIN_KEY"] = "wrong"
    done = shell.python("-m", "minihttp", "jobs", "list", *server, code=1)
    assert done.stderr == "minihttp: The Authorization header is not valid here\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", " did not answer in JSON"),
        (b"[]", " did not answer in JSON"),
        (b"[" * 100_000, " did not answer in JSON"),
        (b'{"status": "success"}', "/api/query: HTTP 200"),
        (b'{"errorMessage": {"code": 5}}', "{'code': 5}"),
    ],
    ids=lambda value: value[:20],
)
def test_a_server_of_something_else(shell: Shell, answer: bytes, said: str) -> None:
    def other(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]

    shell.environ["MINIHTTP_ADMIN_KEY"] = "the-key-of-the-operator"
    with live(other) as client:
        done = shell.python("-m", "minihttp", "jobs", "list", "--server", client.url, code=1)
    assert done.stderr.startswith("minihttp: ") and done.stderr.endswith(f"{said}\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "advice"),
    [
        (("list",), "--server URL asks the server that runs"),
        (("run",), "a server or worker runs what is due itself"),
    ],
)
def test_beside_a_running_server_it_says_what_to_do(
    shell: Shell, served: tuple[App, str], argv: tuple[str, ...], advice: str
) -> None:
    done = shell.python("-m", "minihttp", "jobs", *argv, code=1)
    assert f"is in use by process {os.getpid()}; {advice}" in done.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("show", "nonsense"), 'minihttp: "nonsense" is not the id of a scheduled function'),
        (("retry", "nonsense"), 'minihttp: "nonsense" is not the id of a scheduled function'),
        (("cancel", "nonsense"), 'minihttp: "nonsense" is not the id of a scheduled function'),
    ],
)
def test_a_wrong_id_is_one_line(shell: Shell, argv: tuple[str, ...], message: str) -> None:
    done = shell.python("-m", "minihttp", "jobs", *argv, code=1)
    assert done.stderr.splitlines() == [message]


def test_only_what_has_ended_can_be_retried(shell: Shell) -> None:
    job = shell.schedule("note", "text=x")
    done = shell.python("-m", "minihttp", "jobs", "retry", job, code=1)
    assert done.stderr.splitlines() == [f"minihttp: {job} is not a job that has ended"]


def test_without_an_app_it_says_so(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "minihttp", "jobs", "list"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("minihttp: which app?")
