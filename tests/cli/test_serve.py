# SPDX-License-Identifier: MIT
"""`serve` as a process of its own: banner, log lines, start-up mistakes, reload."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.programs import APP, PATIENCE_SECONDS, ROOT, Program, get, programs

__all__ = ["programs"]


def test_banner_log_lines_and_metrics(tmp_path: Path, programs: list[Program]) -> None:
    (tmp_path / "app.py").write_text(APP)
    program = Program(tmp_path, "serve", "app:app", "--port", "0", "--metrics", "--log-format", "json")
    programs.append(program)
    url = program.wait_for(r"minihttp serves (http://127\.0\.0\.1:[0-9]+)$")[1]
    program.wait_for(r"GET +/fails")
    program.wait_for(r"GET +/hello/\{name\}")
    assert get(url + "/hello/you?token=secret")[0] == 200
    text = program.wait_for(r".*minihttp\.access.*")[0]
    line = json.loads(text)
    assert (line["method"], line["route"], line["status"], line["bytes"]) == ("GET", "/hello/{name}", 200, 5)
    assert line["client"] == "127.0.0.1" and re.fullmatch("[0-9a-f]{16}", line["request_id"])
    assert "secret" not in text and "you" not in text
    status, headers, body = get(url + "/fails")
    assert (status, json.loads(body)) == (500, {"error": "Internal server error"})
    error = json.loads(program.wait_for(".*ValueError.*")[0])
    assert error["error"].startswith("ValueError: this went\nwrong\n")
    assert headers["X-Request-Id"] in error["message"]
    program.wait_for('"route":"/fails"')  # what is logged has been counted
    metrics = get(url + "/_/metrics")[2]
    assert 'minihttp_requests_total{method="GET",route="/fails",status="500"} 1' in metrics
    assert get(url + "/_/ready")[0] == 200
    assert program.end() == 0


def test_text_lines_cannot_be_forged(tmp_path: Path, programs: list[Program]) -> None:
    (tmp_path / "app.py").write_text(APP)
    program = Program(tmp_path, "serve", "app.py", "--port", "0", "--log-format", "text")
    programs.append(program)
    url = program.wait_for(r"serves (.*)")[1]
    get(url + "/%0d%0aFORGED")
    program.wait_for(r"GET /%0d%0aFORGED 400 [0-9.]+ms [0-9]+B [0-9a-f]{16} 127\.0\.0\.1$")
    get(url + "/fails")
    program.wait_for("ERROR GET /fails failed: ValueError")
    assert [program.wait_for(".*")[0].strip() for _ in range(4)][:2] == ["ValueError: this went", "wrong"]
    assert program.end(signal.SIGINT) == 0


def test_no_arguments_serve_what_is_here(tmp_path: Path, programs: list[Program]) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "http.py").write_text(APP.replace("app = App(http)", ""))
    program = Program(tmp_path, env={"MINIHTTP_PORT": "0"})
    programs.append(program)
    assert get(program.wait_for(r"serves (.*)")[1] + "/hello/x")[2] == "hello"
    assert program.end() == 0


@pytest.mark.parametrize("is_one_there", [False, True])
def test_a_secret_of_a_webhook_that_is_missing_is_said_once(
    is_one_there: bool, tmp_path: Path, programs: list[Program]
) -> None:
    provider = 'http.webhook("/h", github.provider(secret=["NEW_SECRET", "OLD_SECRET"]), None)'
    text = APP.replace("app = App(", f"{provider}\napp = App(").replace(
        "from minihttp import", "from minihttp.webhooks import github\nfrom minihttp import", 1
    )
    (tmp_path / "app.py").write_text(text)
    if is_one_there:
        (tmp_path / ".env").write_text("NEW_SECRET=0123456789abcdef0123\n")
    program = Program(tmp_path, "serve", "app", "--port", "0")
    programs.append(program)
    said = ""
    while "stop: Ctrl-C" not in said:
        said += program.wait_for(".*")[0]
    assert said.count("OLD_SECRET") == 1
    means = "; /h uses 1 of its 2 secrets" if is_one_there else ", so it answers 503"
    assert f"OLD_SECRET is not set{means}" in said


def test_the_banner_says_where_it_listens_and_what_that_means(
    tmp_path: Path, programs: list[Program]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    program = Program(tmp_path, "serve", "app", "--port", "0", "--host", "0.0.0.0", "--development")
    programs.append(program)
    url = program.wait_for(
        r"minihttp serves (http://127\.0\.0\.1:[0-9]+) on every interface \(0\.0\.0\.0\)$"
    )[1]
    program.wait_for(r"warning: --development shows errors of the app to everybody who can reach 0\.0\.0\.0$")
    status, _, body = get(url + "/fails")
    said = json.loads(body)
    assert (status, said["message"]) == (500, "ValueError: this went\nwrong")
    assert said["frames"] == ["helper (app.py:14)", "fails (app.py:11)"]


def test_development_by_the_variable_and_on_this_machine_only(
    tmp_path: Path, programs: list[Program]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    program = Program(tmp_path, "serve", "app", "--port", "0", env={"MINIHTTP_DEVELOPMENT": "true"})
    programs.append(program)
    url = program.wait_for(r"minihttp serves (http://127\.0\.0\.1:[0-9]+)$")[1]
    assert "frames" in json.loads(get(url + "/fails")[2])
    assert not any("warning" in line for line in program.lines)


def test_a_port_in_use(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = run_to_the_end(tmp_path, "serve", "app", "--port", str(port))
    assert code == 1 and text.count("\n") == 1
    assert text.startswith(
        f"minihttp: cannot listen on 127.0.0.1:{port}: the port is in use by pid {os.getpid()} ("
    )


def test_a_data_directory_in_use(tmp_path: Path, programs: list[Program]) -> None:
    (tmp_path / "app.py").write_text(APP.replace("App(http)", "App(http, modules=[__name__])"))
    program = Program(tmp_path, "serve", "app", "--port", "0")
    programs.append(program)
    program.wait_for("serves")
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0")
    assert code == 1 and text.count("\n") == 1 and "data" in text


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 99", "the database of another program or a newer version (format 99, not 1)"),
        ("CREATE TABLE theirs (x)", "the database of another program"),
        (None, "is not a database"),
    ],
)
@pytest.mark.parametrize("file", ["app.db", "files.db"])
def test_a_data_directory_that_cannot_be_read(
    tmp_path: Path, file: str, statement: str | None, message: str
) -> None:
    (tmp_path / "app.py").write_text(APP.replace("App(http)", "App(http, modules=[__name__])"))
    (tmp_path / "data").mkdir()
    if statement is None:
        (tmp_path / "data" / file).write_bytes(b"no database at all" * 100)
    else:
        with closing(sqlite3.connect(tmp_path / "data" / file)) as connection:
            connection.execute(statement)
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0", "--files", "sqlite")
    assert code == 1 and text.startswith("minihttp: cannot use ") and message in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('data="no-such-scheme:x"', "there is no storage backend 'no-such-scheme'"),
        ('data="mysql://a/b"', "there is no storage backend 'mysql'; there are: "),
        ('data="/proc/nowhere"', "/proc/nowhere"),
        ('data="sqlte:x.db"', "did you mean 'sqlite'?"),
        ('data="other://user:secret@host/name"', "there is no storage backend 'other'"),
        ("schema={'a': 1}", 'App(schema=…) takes a Schema, not {"a": 1}'),
        ("crons=5", "App(crons=…) takes a Crons, not 5"),
        ("schema=Schema(items=Table({}).index('by_x', ['no_such_field']))", "no_such_field"),
    ],
)
def test_an_app_that_does_not_open(tmp_path: Path, setting: str, message: str) -> None:
    text = APP.replace("App(http)", f"App(http, modules=[__name__], {setting})")
    (tmp_path / "app.py").write_text(text.replace("import App,", "import App, Schema, Table,"))
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0")
    assert code == 1 and message in text and "Traceback" not in text and "secret" not in text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP.replace("App(http)", "App(http, modules=[__name__])"))
    (tmp_path / "data" / "files").mkdir(parents=True)
    (tmp_path / "data" / "files" / "00").touch()  # where a folder is expected
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0")
    assert (code, text) == (1, "minihttp: cannot look into the file store: Not a directory\n")


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ("'app'", 'App(modules=…) takes a list such as [__name__], not "app"'),
        ("5", "App(modules=…) takes a list such as [__name__], not 5"),
        ("[3]", "App(modules=…) takes modules and their names, not 3"),
        ("['nowhere.items']", "App(modules=…): no module named 'nowhere' in "),
        ("['brokn']", "; did you mean 'broken'?"),
        ("['broken']", "App(modules=…): cannot import 'broken': ZeroDivisionError: "),
    ],
)
def test_modules_that_are_none(tmp_path: Path, modules: str, message: str) -> None:
    (tmp_path / "app.py").write_text(APP.replace("App(http)", f"App(http, modules={modules})"))
    (tmp_path / "broken.py").write_text("1 / 0\n")
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0")
    assert code == 1 and text.startswith("minihttp: ") and message in text
    assert re.findall('File "(.*?)"', text) == ([str(tmp_path / "broken.py")] if "ZeroDiv" in text else [])


@pytest.mark.parametrize(
    ("registration", "message"),
    [
        ('cron("x", "61 * * * *", function="m:f")', "app.py:4: cron expression '61 * * * *': minute '61'"),
        ('hourly("x", hour=3, function="m:f")', "app.py:4: crons.hourly() has no argument 'hour'"),
        ('hourly("x")', "app.py:4: crons.hourly() needs a function"),
        ('daily("x", hour_utc=24, function="m:f")', "app.py:4: Hour of day must be an integer from 0 to 23"),
    ],
)
def test_a_bad_cron(tmp_path: Path, registration: str, message: str) -> None:
    app = (
        f"from minihttp import App, Crons\n\ncrons = Crons()\ncrons.{registration}\napp = App(crons=crons)\n"
    )
    (tmp_path / "app.py").write_text(app)
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0")
    assert code == 1 and text.count("\n") == 1 and text.startswith(f"minihttp: {message}")


def test_a_wrong_keyword_shows_the_users_frames_only(tmp_path: Path) -> None:
    app = "from minihttp import Crons\n\nCrons().daily('x', hour=3, function='m:f')\n"
    (tmp_path / "app.py").write_text(app)
    code, text = run_to_the_end(tmp_path, "serve", "app", "--port", "0")
    assert code == 1 and "TypeError" in text and "hour" in text
    assert re.findall(r'File ".*?([^/"]+)", line (\d+)', text) == [("app.py", "3")]


def test_a_secret_that_is_missing_is_said_at_start(tmp_path: Path, programs: list[Program]) -> None:
    (tmp_path / "app.py").write_text(APP.replace("HttpRouter()", "HttpRouter(secrets=['NO_SUCH_SECRET'])"))
    program = Program(tmp_path, "serve", "app", "--port", "0")
    programs.append(program)
    program.wait_for("warning: NO_SUCH_SECRET is not set, so the handlers that need it answer 503$")


def test_the_dashboard_on_a_port_of_its_own(tmp_path: Path, programs: list[Program]) -> None:
    (tmp_path / "app.py").write_text(APP)
    key = {"MINIHTTP_ADMIN_KEY": "a long admin key"}
    argv = ("serve", "app.py", "--port", "0", "--dashboard-listen", "127.0.0.1:0")
    program = Program(tmp_path, *argv, env=key)
    programs.append(program)
    url = program.wait_for(r"serves (.*)")[1]
    own = program.wait_for(r"dashboard: (http://127\.0\.0\.1:[0-9]+)/_/$")[1]
    assert own != url
    assert get(url + "/_/login")[0] == 404
    status, _, page = get(own + "/")
    assert status == 200
    assert "Admin key" in page
    assert "<h1>app</h1>" in page
    assert get(own + "/hello/you")[0] == 404
    assert get(url + "/hello/you")[0] == 200
    assert program.end() == 0


@pytest.mark.parametrize("value", ["8081", "localhost", "127.0.0.1:x", "::1:80", "127.0.0.1:70000"])
def test_what_is_no_address_of_the_dashboard(tmp_path: Path, value: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    code, said = run_to_the_end(tmp_path, "serve", "app.py", "--dashboard-listen", value)
    assert code == 2
    assert "dashboard_listen must be an address with a port, such as 127.0.0.1:8081" in said


def test_a_port_without_a_dashboard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    code, said = run_to_the_end(
        tmp_path, "serve", "app.py", "--port", "0", "--dashboard-listen", "127.0.0.1:0"
    )
    assert code == 1
    assert "set MINIHTTP_ADMIN_KEY" in said


def test_a_session_of_development_outlives_a_reload(tmp_path: Path, programs: list[Program]) -> None:
    path = tmp_path / "app.py"
    path.write_text(APP)
    program = Program(tmp_path, "serve", "app.py", "--port", "0", "--reload")
    programs.append(program)
    link = program.wait_for(r"dashboard: (http.*/_/login\?code=.*)")[1]
    _, headers, page = get(link)
    assert "Signed in" in page
    path.write_text(APP + "# changed\n")
    program.wait_for(r"dashboard: ")
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    request = urllib.request.Request(link.partition("login")[0] + "functions", headers=cookie)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
        assert "<h1>Functions</h1>" in reply.read().decode()
    assert program.end() == 0


def run_to_the_end(folder: Path, *argv: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "minihttp", *argv]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS
    )
    return done.returncode, done.stderr
