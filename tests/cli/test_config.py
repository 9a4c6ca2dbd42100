# SPDX-License-Identifier: MIT
"""`config`: what is in force and from where, without secrets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from minihttp import cli
from tests.cli.folder import folder

__all__ = ["folder"]


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
