# SPDX-License-Identifier: MIT
"""What a target names, and what a person reads when it names nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minihttp import App
from minihttp.app.loader import load_package
from minihttp.errors import ConfigurationError, RouteError

APP = "from minihttp import App, HttpRouter\nhttp = HttpRouter()\napp = App(http)\n"
ROUTER = "from minihttp import HttpRouter\nhttp = HttpRouter()\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what a test imports from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or str(getattr(sys.modules[name], "__path__", ""))
        if str(tmp_path) in file:
            del sys.modules[name]


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("target", ["one:app", "one:http", "one", "one.py", "one.py:app", "./one.py"])
def test_a_module(folder: Path, target: str) -> None:
    write(folder, one=APP)
    assert isinstance(App.from_target(target), App)


def test_a_module_with_a_router_alone(folder: Path) -> None:
    write(folder, two=ROUTER)
    assert App.from_target("two").http is sys.modules["two"].http


def test_a_module_is_imported_once(folder: Path) -> None:
    write(folder, three=APP)
    assert App.from_target("three.py") is App.from_target("three") is sys.modules["three"].app


def test_a_file_with_the_name_of_a_standard_module(folder: Path) -> None:
    write(folder, http=APP)
    assert isinstance(App.from_target("http.py"), App)


def test_a_folder(folder: Path) -> None:
    write(
        folder,
        bakery__http="from minihttp import HttpRouter\nfrom . import items\nhttp = HttpRouter()\n",
        bakery__schema="schema = None\n",
        bakery__items="",
        bakery__admin__users="from ..items import __name__ as items\n",
        bakery___private="raise SystemExit('not to be imported')",
        bakery__test_items="raise SystemExit('not to be imported')",
    )
    package = load_package("bakery")
    assert package.http is sys.modules["bakery.http"].http and package.crons is None
    assert sorted(package.modules) == ["admin/users", "http", "items", "schema"]
    assert load_package("bakery").modules == package.modules
    assert isinstance(App.from_target("bakery"), App)


def test_a_folder_with_routes_py(folder: Path) -> None:
    """The name of Convex's file shadows Python's own package for whoever works inside the folder."""
    write(folder, booth__routes=ROUTER, booth__items="")
    assert load_package("booth").http is sys.modules["booth.routes"].http
    write(folder, old__http=ROUTER, old__routes="")
    assert load_package("old").http is sys.modules["old.http"].http


def test_the_current_folder(folder: Path) -> None:
    write(folder, http=ROUTER)
    assert list(load_package(".").modules) == ["http"]


def test_a_package_by_name(folder: Path) -> None:
    write(folder, outer__inner__http=ROUTER, outer____init__="", outer__inner____init__="")
    assert load_package("outer.inner").http is sys.modules["outer.inner.http"].http


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bakry", r"no module named 'bakry' in .*; did you mean 'bakery'\?"),
        ("bakery.htp", r"no module named 'bakery.htp' in .*bakery or .*; did you mean 'http'\?"),
        ("one.yp", r"no module named 'one.yp' in one, which is no package, or "),
        ("one.yp.py", r"there is no file 'one.yp.py'"),
        ("on.py", r"there is no file 'on.py' in .*; did you mean 'one.py'\?"),
        ("one:ap", r"one.py has no 'ap', which 'one:ap' names; did you mean 'app'\?"),
        ("one:sys", r"'one:sys' is of type module; it must be an App or an HttpRouter"),
        ("empty", r"empty.py has no `app` \(an App\) and no `http` \(an HttpRouter\)"),
        ("bare", r"bare has no routes.py \(or http.py\) with `http = HttpRouter\(\)`"),
        ("half", r"half/http.py does not export `http`"),
        ("none", r"none/http.py has no `http = HttpRouter\(\)`"),
        ("..one", r"'\.\.one' is no module, no \.py file and no folder in "),
        (":app", r"'' is no module"),
        ("one.", r"'one\.' is no module"),
        ("json", r"has no `app`"),
    ],
)
def test_what_is_not_there(folder: Path, target: str, message: str) -> None:
    write(folder, one=APP + "import sys\n", bakery__http=ROUTER, empty="", bare__items="1 / 0", half__http="")
    write(folder, none__http="http = None\n")
    with pytest.raises(ConfigurationError, match=message):
        App.from_target(target)


def test_a_folder_with_the_name_of_a_loaded_module(folder: Path) -> None:
    write(folder, json__http=ROUTER)
    with pytest.raises(ConfigurationError, match="has the name of another module, 'json'; rename it"):
        load_package("json")


@pytest.mark.parametrize("target", ["bad", "bad.py", "caller"])
def test_a_syntax_error_is_three_lines(folder: Path, target: str) -> None:
    write(folder, bad="x = 1\ndef f(:\n", caller="import bad\n")
    with pytest.raises(ConfigurationError) as caught:
        App.from_target(target)
    lines = str(caught.value).split(": ", 1)[1].splitlines()
    assert lines[0].startswith("bad.py:2: SyntaxError: ")
    assert lines[1].strip() == "def f(:" and lines[2].strip() == "^"


def test_an_error_in_the_users_code_shows_their_frames_only(folder: Path) -> None:
    write(folder, outer="import inner_\n", inner_="def f():\n    return 1 / 0\nf()\n")
    with pytest.raises(ConfigurationError) as caught:
        App.from_target("outer")
    text = str(caught.value)
    assert text.startswith("cannot import 'outer': ZeroDivisionError: division by zero\n")
    assert "outer.py" in text and "inner_.py" in text and "return 1 / 0" in text
    assert "importlib" not in text and "loader.py" not in text


def test_a_missing_library(folder: Path) -> None:
    write(folder, user="import no_such_library\n")
    with pytest.raises(
        ConfigurationError, match=r"cannot import 'user': ModuleNotFoundError: .*'no_such_library'"
    ):
        App.from_target("user")


def test_sys_exit_at_import(folder: Path) -> None:
    write(folder, leaves="raise SystemExit(3)\n")
    with pytest.raises(ConfigurationError, match="cannot import 'leaves': SystemExit: 3"):
        App.from_target("leaves")


def test_a_mistake_that_minihttp_finds_says_where(folder: Path) -> None:
    text = ROUTER + "http.route(path='x', method='GET', handler=print)\n"
    write(folder, wrong=text)
    with pytest.raises(RouteError, match=r"wrong\.py:3"):
        App.from_target("wrong")


def test_a_failed_import_can_be_tried_again(folder: Path) -> None:
    write(folder, again="raise ValueError\n")
    with pytest.raises(ConfigurationError):
        App.from_target("again.py")
    write(folder, again=APP)
    assert isinstance(App.from_target("again.py"), App)
