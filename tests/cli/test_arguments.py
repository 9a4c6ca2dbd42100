# SPDX-License-Identifier: MIT
"""The tables that parsers of verbs are made of."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import pytest

from minihttp.cli._arguments import APP, Action, configure, limit, option, switch, word


def parser_of(**verb: object) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("verb")
    configure(parser, SimpleNamespace(**verb))
    return parser


def test_own_arguments_shared_ones_and_settings() -> None:
    parser = parser_of(
        ARGUMENTS=(word("file", "FILE", "which"), option("--to", "URL", "where to"), "json", *APP)
    )
    args = parser.parse_args(["a.zip", "app:app", "--to", "b", "--json", "--data", "place"])
    assert (args.file, args.to, args.json, args.data, args.target) == ("a.zip", "b", True, "place", "app:app")


def test_an_action_has_its_own_arguments_and_says_what_runs_it() -> None:
    actions = {
        "list": Action(print, "list them", (limit(7),)),
        "drop": Action(repr, "drop one", (switch("--now", "at once"), "yes")),
    }
    parser = parser_of(ACTIONS=actions)
    listed, dropped = parser.parse_args(["list"]), parser.parse_args(["drop", "--now", "-y"])
    assert (listed.action, listed.limit) == (print, 7)
    assert (dropped.action, dropped.now, dropped.yes, "limit" in dropped) == (repr, True, True, False)


@pytest.mark.parametrize("text", ["-1", "1234567", "x", ""])
def test_a_limit_is_a_whole_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser_of(ARGUMENTS=(limit(7),)).parse_args([f"--limit={text}"])
    assert f"{text!r} is not a whole number from 0 to 999999" in capsys.readouterr().err
