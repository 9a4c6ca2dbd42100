# SPDX-License-Identifier: MIT
"""The command line in this process: verbs, exit codes, tables."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from minihttp import cli

APP = """
from minihttp import App, HttpRouter, internal_mutation, v
from minihttp.webhooks import stripe
http = HttpRouter()

@http.route(path="/items", method="GET")
def list_items(ctx, request):
    return []

@http.route(path_prefix="/files/", method="GET")
def file(ctx, request):
    return {}

@internal_mutation(args={"delivery": v.any()})
def on_event(ctx, delivery):
    pass

http.webhook("/hooks/stripe", stripe.provider(secret="STRIPE_SECRET_OF_TEST"), on_event)
app = App(http, modules=[__name__])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an app of a name that no other test imports."""
    monkeypatch.chdir(tmp_path)
    name = "app_" + tmp_path.name.replace("-", "_")
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / f"{name}.py"


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"], {}) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in ("config", "doctor", "routes", "serve"))
    assert "_reload" not in text


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


def test_routes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["routes", folder.name], {}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["method", "path", "handler", "location"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["POST", "/hooks/stripe"],
        ["GET", "/items"],
        ["GET", "/files/*"],
    ]
    handler, place = lines[2].split()[2:]
    assert handler == "list_items" and place in (f"{folder.name}:6", f"{folder.name}:7")  # Python 3.10 says 7


def test_routes_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["routes", folder.name, "--json"], {}) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1]["path"] == "/items" and rows[1]["handler"] == "list_items"


@pytest.mark.parametrize("verb", ["routes", "config"])
def test_a_mistake_that_would_stop_a_start_is_told_after_the_rows(
    verb: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_text(APP.replace("modules=[__name__]", "modules=['no_such_module']"))
    assert cli.main([verb, folder.stem], {}) == 1
    told = capsys.readouterr()
    assert told.out and told.err.startswith("minihttp: App(modules=…): no module named 'no_such_module'")
    assert told.err.count("\n") == 1


def test_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"MINIHTTP_THREADS": "3", "MINIHTTP_ADMIN_KEY": "do-not-show"}
    assert cli.main(["config", folder.name, "--port", "1", "--json"], environ) == 0
    text = capsys.readouterr().out
    rows = {row["setting"]: (row["value"], row["from"]) for row in map(json.loads, text.splitlines())}
    assert rows["port"] == (1, "--port")
    assert rows["threads"] == (3, "MINIHTTP_THREADS")
    assert rows["data"] == ("data", "the app")
    assert rows["admin_key"] == ("(set)", "MINIHTTP_ADMIN_KEY")
    assert rows["STRIPE_SECRET_OF_TEST"] == ("missing", "webhook /hooks/stripe")
    assert "do-not-show" not in text


def test_config_masks_every_url(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = ("forward", "origin", "auth_jwks", "backup", "data", "files")
    environ = {f"MINIHTTP_{name.upper()}": "https://me:hunter2@h/x?token=hunter3" for name in urls}
    cli.main(["config", folder.name, "--json"], environ)
    text = capsys.readouterr().out
    assert "hunter" not in text
    for row in map(json.loads, text.splitlines()):
        if row["setting"] in urls:
            assert row["value"] == "https://…@h/x?token=…"


def test_a_mistake_in_a_setting_shows_no_secret(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "minihttp.toml").write_text("admin_key = 123456789\n")
    for environ in ({"MINIHTTP_FORWARD": "ftp://me:hunter2@h?password=hunter3"}, {}):
        assert cli.main(["config", folder.name], environ) == 1
        told = capsys.readouterr().err
        assert "must be" in told and "hunter" not in told and "123456789" not in told


def test_a_limit_that_is_set_wins_over_the_code_which_keeps_its_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "limited.py").write_text(
        "from minihttp import App, Limits\napp = App(limits=Limits(max_json_depth=7, max_form_parts=8))\n"
    )
    environ = {"MINIHTTP_LIMITS_MAX_JSON_DEPTH": "9"}
    assert cli.main(["config", "limited.py", "--json"], environ) == 0
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    limits = {row["setting"]: (row["value"], row["from"]) for row in rows}
    assert limits["limits.max_json_depth"] == (9, "MINIHTTP_LIMITS_MAX_JSON_DEPTH")
    assert limits["limits.max_form_parts"] == (8, "the app")
    assert limits["limits.query_seconds"] == (1.0, "default")
    app = cli.load_app(argparse.Namespace(target="limited.py", environ=environ))
    assert (app.limits.max_json_depth, app.limits.max_form_parts) == (9, 8)


def test_the_env_file_never_overrides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / ".env").write_text("MINIHTTP_PORT=1\nMINIHTTP_THREADS=2\n")
    environ = {"MINIHTTP_PORT": "3"}
    assert cli.main(["config", folder.name, "--json"], environ) == 0
    rows = {r["setting"]: r["value"] for r in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (rows["port"], rows["threads"]) == (3, 2)
    assert environ == {"MINIHTTP_PORT": "3", "MINIHTTP_THREADS": "2"}


def test_doctor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", folder.name, "--host", "0.0.0.0", "--trusted-proxy", "*", "--json"], {}) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {(row["check"], row["verdict"]) for row in rows}
    assert {("secrets", "fail"), ("proxy", "fail"), ("proxy", "warning"), ("clock", "ok")} <= found
    assert {"python", "sqlite", "disk", "descriptors"} <= {row["check"] for row in rows}


def test_print_rows_escapes_what_strangers_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    cli.print_rows([{"id": 1, "name": "a\x1b[2J\nb"}, {"id": None, "name": "é"}], False)
    assert capsys.readouterr().out == "id  name\n1   a\\x1b[2J\\nb\n-   é\n"
    cli.print_rows([], False)
    assert capsys.readouterr().out == ""


def test_types(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["types", folder.name], {}) == 0
    printed = capsys.readouterr().out
    assert "TypedDict" in printed
    assert cli.main(["types", folder.name, "-o", "documents.py"], {}) == 0
    assert Path("documents.py").read_text("utf-8") == printed and capsys.readouterr().out == ""


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
