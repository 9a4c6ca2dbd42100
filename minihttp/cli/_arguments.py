# SPDX-License-Identifier: MIT
"""The arguments of verbs, as tables: a verb lists its own, and names settings and what several verbs have.

The parser of a verb is made of its `ARGUMENTS`, or of its `ACTIONS` where its first word says what to do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from ._settings import add_flags

Argument = tuple[tuple[str, ...], Mapping[str, Any]]
"""What `ArgumentParser.add_argument` takes: names, and the rest by keyword."""


def switch(*words: str, **options: Any) -> Argument:
    """A flag without a value: its names, then what it does."""
    *names, help_text = words
    return tuple(names), {"action": "store_true", "help": help_text, **options}


def option(*words: str, **options: Any) -> Argument:
    """A flag with a value: its names, then what the value is in `--help`, and what it does."""
    *names, metavar, help_text = words
    return tuple(names), {"metavar": metavar, "help": help_text, **options}


word = option
"""An argument without a flag, of the same three words."""


def limit(most: int) -> Argument:
    """How many rows are listed: `--limit`."""
    return option("--limit", "N", f"how many, {most} by default", type=count, default=most)


class Action:
    """One of the actions of a verb: what runs it, what it does, and its arguments."""

    def __init__(self, run: Callable[..., Any], help: str, arguments: tuple[str | Argument, ...]) -> None:
        self.run, self.help, self.arguments = run, help, arguments


_SHARED = {
    "target": word(
        "target",
        "TARGET",
        "module:app, a module, a file, or a folder; by default the app of the current folder",
        nargs="?",
    ),
    "app": option("--app", "TARGET", "the app; by default the current folder's", dest="target"),
    "server": option("--server", "URL", "ask a running server, with MINIHTTP_ADMIN_KEY"),
    "json": switch("--json", "one JSON object a line instead of a table"),
    "yes": switch("-y", "--yes", "do not ask"),
}
APP = ("target", "data", "files")
ACCESS = (*APP, "server")  # for `access`
FREE_ACCESS = ("app", "data", "files", "server")  # the same for a verb whose last words are free


def configure(parser: argparse.ArgumentParser, verb: Any) -> None:
    """Give the parser of a verb the arguments, or the actions, that its module lists."""
    if hasattr(verb, "ACTIONS"):
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        for name, action in verb.ACTIONS.items():
            sentence = f"{action.help[0].upper()}{action.help[1:]}."
            command = actions.add_parser(name, help=action.help, description=sentence)
            _add(command, action.arguments)
            command.set_defaults(action=action.run)
    else:
        parser.usage = getattr(verb, "USAGE", None)
        _add(parser, verb.ARGUMENTS)


def _add(parser: argparse.ArgumentParser, arguments: tuple[str | Argument, ...]) -> None:
    for argument in arguments:
        known = _SHARED.get(argument) if isinstance(argument, str) else argument
        if known is not None:
            names, options = known
            parser.add_argument(*names, **options)
        else:
            add_flags(parser, str(argument))


def count(text: str) -> int:
    """How many rows, for `argparse`."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 999999")
    return int(text)
