# SPDX-License-Identifier: MIT
"""`serve --reload`: what has changed is served, and an interrupt ends it all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.cli.programs import APP, Program, get, programs

__all__ = ["programs"]


def test_reload(tmp_path: Path, programs: list[Program]) -> None:
    path = tmp_path / "app.py"
    path.write_text(APP)
    program = Program(tmp_path, "serve", "app.py", "--port", "0", "--reload")
    programs.append(program)
    url = program.wait_for(r"serves (.*)")[1]
    assert get(url + "/hello/x")[2] == "hello"
    path.write_text(APP.replace('"hello"', '"changed"'))
    assert program.wait_for(r"serves (.*)")[1] == url
    assert get(url + "/hello/x")[2] == "changed"
    path.write_text(APP + "def f(:\n")
    first = program.wait_for(r"app\.py:17: SyntaxError: .*")[0]
    status, headers, body = get(url + "/hello/x")
    assert status == 500 and first in body and "def f(:" in body and headers["Refresh"] == "1"
    path.write_text(APP)
    program.wait_for("serves")
    assert get(url + "/hello/x")[2] == "hello"
    assert program.end() == 0


READS = """
import os
from helper import word
from minihttp import App, HttpRouter, Response
http = HttpRouter()

@http.route(path="/", method="GET")
def root(ctx, request):
    return Response(f"{word} {os.environ['WORD']}")

app = App(http)
"""


def test_reload_sees_every_change(tmp_path: Path, programs: list[Program]) -> None:
    helper, settings = tmp_path / "helper.py", tmp_path / ".env"
    second = 1_700_000_000

    def save(path: Path, text: str, nanoseconds: int) -> None:
        """In the same second as before: its size and second are what Python knows bytecode by."""
        new = tmp_path / "new"
        new.write_text(text)
        os.utime(new, ns=(0, second * 10**9 + nanoseconds))
        new.replace(path)

    (tmp_path / "app.py").write_text(READS)
    save(helper, "word = 'one'\n", 1)
    save(settings, "WORD=a", 1)
    program = Program(
        tmp_path, "serve", "app.py", "--port", "0", "--reload", env={"PYTHONDONTWRITEBYTECODE": ""}
    )
    programs.append(program)
    url = program.wait_for(r"serves (.*)")[1]
    assert get(url)[2] == "one a"
    save(helper, "word = 'two'\n", 2)
    program.wait_for("serves")
    assert get(url)[2] == "two a"
    save(settings, "WORD=b", 2)
    program.wait_for("serves")
    assert get(url)[2] == "two b"
    helper.unlink()
    said = program.wait_for("cannot import 'app': ModuleNotFoundError: No module named 'helper'")[0]
    page = get(url)[2]
    assert said in page and page.splitlines()[-2:] == [program.wait_for(".*")[0] for _ in range(2)]
    (tmp_path / "helper").mkdir()
    (tmp_path / "helper" / "__init__.py").write_text("word = 'three'\n")
    program.wait_for("serves")
    assert get(url)[2] == "three b"
    for number in range(20):  # saves while it starts again
        helper.write_text(f"word = '{number}'\n")
        (tmp_path / "helper" / "__init__.py").write_text(f"word = 'last {number}'\n")
    while get(url)[2] != "last 19 b":
        program.wait_for("serves")
    assert program.end() == 0


def test_an_interrupt_of_a_terminal_ends_reload_and_its_child(
    tmp_path: Path, programs: list[Program]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    program = Program(tmp_path, "serve", "app.py", "--port", "0", "--reload", start_new_session=True)
    programs.append(program)
    program.wait_for("serves")
    pid = program.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.killpg(pid, signal.SIGINT)  # as Ctrl-C does: parent and child both get it
    assert program.finish() == 0
    assert children and not any(Path("/proc", child).exists() for child in children)
