# SPDX-License-Identifier: MIT
"""The command line: one file a verb, and one message and an exit code for every mistake.

A verb is a module of this package whose name does not begin with `_`. It holds `HELP`, one line; `ARGUMENTS`
or `ACTIONS` (`_arguments.py`); and `run(args)`, which returns the exit code. Only the verb that was asked for
is imported. `args.argv` is the command as given, `args.environ` the environment with `.env`,
`args.shell_environ` the one without. What several verbs need is at the end of this file.

Exit codes: 0 done, 1 a mistake in the app, its settings or its data, 2 a mistake in the command, 130
interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import ConfigurationError, MinihttpError, did_you_mean
from ..settings import read_env_file
from ..shown import one_line
from ._arguments import configure
from ._settings import MisuseError, Settings, resolve
from ._terminal import columns, open_streams, safe, safe_output

if TYPE_CHECKING:
    from ..app.wsgi import App

PROGRAM = __name__.rpartition(".")[0]
INBOX_TARGET = f"{__name__}._inbox:app"
_INBOX_SECRETS = ("GITHUB_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET", "CLERK_WEBHOOK_SECRET")
_USUAL_PLACES = {  # file -> target
    "backend/routes.py": "backend",
    "backend/http.py": "backend",
    "app.py": "app.py",
    "routes.py": ".",
    "http.py": ".",
}


def main(argv: Sequence[str] | None = None, environ: MutableMapping[str, str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        argv: the arguments after the program's name; those of the process if absent. environ: the
            environment, to which `.env` of the current folder is added without overriding; `os.environ` if
            absent.
    """
    open_streams()
    environ = os.environ if environ is None else environ
    shell_environ = dict(environ)
    try:
        for name, value in read_env_file().items():
            environ.setdefault(name, value)
        arguments = list(sys.argv[1:] if argv is None else argv)
        if arguments == ["--version"]:
            print(f"minihttp {__version__}, Python {sys.version.split()[0]}")
            return 0
        if arguments[:1] == ["help"]:
            arguments = [*arguments[1:2], "--help"]
        if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
            arguments = _usual_command(arguments, environ) + arguments
        if arguments[0] not in verbs() and not arguments[0].startswith("-"):
            near = did_you_mean(arguments[0], verbs())
            raise MisuseError(f"there is no command {arguments[0]!r}{near}; --help lists them")
        args = _parser(arguments[:1]).parse_args(arguments)
        args.argv, args.environ, args.shell_environ = arguments, environ, shell_environ
        with safe_output():
            code = int(args.run(args))
        sys.stdout.flush()  # a pipe that is closed is noticed here, and not at exit
        return code
    except MinihttpError as error:
        print(safe(f"{PROGRAM}: {error}"), file=sys.stderr)
        return 2 if isinstance(error, MisuseError) else 1
    except SystemExit as stop:  # argparse, after it has printed help (0) or a mistake (2)
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `… | head`
        _drop_output()
        return 0
    except OSError as error:  # of a file that the command names, or of its output
        if error.filename is None:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise
            _drop_output()
        print(safe(f"{PROGRAM}: {error.filename or 'the output'}: {error.strerror}"), file=sys.stderr)
        return 1


def _drop_output() -> None:
    """Let what is left of the output go nowhere: its write at exit must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def verbs() -> list[str]:
    """The name of every verb."""
    if os.path.isdir(__path__[0]):
        names = [name[:-3] for name in os.listdir(__path__[0]) if name.endswith(".py")]
    else:  # in an archive, where only pkgutil finds them; it costs 1.3 MB of memory
        import pkgutil

        names = [module.name for module in pkgutil.iter_modules(__path__)]
    return sorted(name for name in names if not name.startswith("_"))


class _Parser(argparse.ArgumentParser):
    """A parser, and those of its commands: no flag may be shortened, and an unknown one gets a suggestion."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{**settings, "allow_abbrev": False})

    def _get_formatter(self) -> argparse.HelpFormatter:
        return argparse.HelpFormatter(self.prog, width=columns() - 2)  # else it imports shutil for it

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(safe(message), file)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(self._flags_first(args), namespace)
        if unknown:
            near = did_you_mean(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return found, unknown

    def _flags_first(self, args: Sequence[str] | None) -> Sequence[str] | None:
        """The arguments of a verb with its flags before the rest: argparse would take a word that may be left
        out, such as TARGET, as left out when a flag stands before it.
        """
        if args is None or self._subparsers is not None:
            return args
        flags: list[str] = []
        words: list[str] = []
        rest = iter(args)
        for argument in rest:
            action = self._option_string_actions.get(argument)
            if argument == "--":
                words += rest
            elif action is not None and action.nargs is None:
                flags += self._with_its_value(argument, list(islice(rest, 1)))
            elif argument[:1] == "-" and argument != "-":
                flags.append(argument)
            else:
                words.append(argument)
        return [*flags, "--", *words] if words else flags

    def _with_its_value(self, flag: str, value: list[str]) -> list[str]:
        """A flag and its value, joined where argparse would see two flags: a cursor may begin with -."""
        text = "".join(value)
        is_flag = text in self._option_string_actions or re.fullmatch("--[a-z-]+(=.*)?", text, re.DOTALL)
        return [f"{flag}={text}"] if flag[:2] == "--" and text[:1] == "-" and not is_flag else [flag, *value]


def _parser(first: Sequence[str]) -> _Parser:
    alone = "Without a command: serves the app of the current folder, or where there is none an inbox for the"
    alone += f" webhooks whose secret is set: {', '.join(_INBOX_SECRETS)}."
    parser = _Parser(PROGRAM, description="HTTP actions as plain Python.", epilog=alone)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    names = verbs()
    if first[0] in names:
        verb = importlib.import_module(f".{first[0]}", __name__)
        command = commands.add_parser(first[0], description=verb.HELP)
        configure(command, verb)
        command.set_defaults(run=verb.run)
    else:  # to list them
        for name in names:
            commands.add_parser(name, help=_help_of(name))
    return parser


def _help_of(verb: str) -> str:
    """Its `HELP`, read from its text: to import all verbs takes a tenth of a second."""
    loader: Any = globals()["__loader__"]  # of a folder or an archive
    text: str = loader.get_data(os.path.join(__path__[0], f"{verb}.py")).decode()
    return text.partition('\nHELP = "')[2].partition('"\n')[0]


def new_parser(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb alone."""
    parser = _Parser(verb)
    configure(parser, importlib.import_module(f".{verb}", __name__))
    return parser


def _usual_command(flags: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """What no verb means: serve the app of the current folder, or a webhook inbox, else help."""
    target = usual_target() or inbox_target(environ)
    if flags and not target:
        secrets = ", ".join(_INBOX_SECRETS)
        raise ConfigurationError(f"nothing to serve: no app in this folder, and none of {secrets} is set")
    return ["serve", target] if target else ["--help"]


def usual_target() -> str | None:
    """The app of the current folder, if it has one where apps usually are."""
    return next((target for file, target in _USUAL_PLACES.items() if os.path.isfile(file)), None)


def inbox_target(environ: Mapping[str, str]) -> str | None:
    """The ready-made webhook inbox, where the environment has a secret for it."""
    return INBOX_TARGET if any(environ.get(name) for name in _INBOX_SECRETS) else None


# ---------------------------------------------------------------- for the verbs


def json_text(value: Any, *, pretty: bool = False) -> str:
    """A Convex value as JSON for people, `jq` and `data import`: an int64 as integer, bytes as `$bytes`."""
    return json.dumps(_shown(value), ensure_ascii=False, indent=2 if pretty else None)


def _shown(value: Any) -> Any:
    from ..values import encode_wire

    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(item) for item in value]
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) < 2**53 and str(value) != "-0.0"
        return int(value) if is_whole else encode_wire(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return encode_wire(value) if isinstance(value, bytes) else value


def utc(milliseconds: float | None) -> str | None:
    """A moment as text in UTC, to the millisecond."""
    if milliseconds is None:
        return None
    from datetime import datetime, timezone  # 1 ms, which most verbs need not spend

    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="milliseconds")


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings in force for a verb: flags, then the environment, then the file of the current folder."""
    return resolve(vars(args), args.environ)


def named_app(args: argparse.Namespace) -> App:
    """The app of `args.target`, or of the current folder, with its own settings."""
    from ..app.wsgi import App

    return App.from_target(target_of(args))


def target_of(args: argparse.Namespace) -> str:
    """`args.target`, or what the current folder has."""
    target = args.target or usual_target() or inbox_target(args.environ)
    if target is None:
        raise ConfigurationError(
            "which app? the current folder has no backend/routes.py, app.py or routes.py; name a TARGET, or"
            " make an app with `init DIR`"
        )
    return str(target)


def load_app(args: argparse.Namespace) -> App:
    """The app of `args.target`, with the settings in force, not yet opened."""
    app, settings = named_app(args), settings_of(args)
    app.configure(limits=app.limits.changed(**settings.limits), **settings.for_app())
    names = ("auth_issuer", "auth_audience", "auth_jwks")
    if any(settings[name] for name in names):
        from ..auth.providers import named_provider

        app.configure(auth=[*app.options.auth, named_provider(*(settings[name] for name in names))])
    return app


def secret_notes(app: App) -> Iterator[str]:
    """Which of several secrets of a webhook are not set, while others are."""
    for path, name, used, named in app.spare_secrets():
        yield f"{name} is not set; {path} uses {used} of its {named} secrets"


def secret_warnings(app: App, *, of_webhooks: bool = True) -> Iterator[str]:
    """What each secret that the environment lacks means.

    Args:
        of_webhooks: those of webhooks too, which an app that is prepared has logged.
    """
    for path, name in app.missing_secrets():
        answer = f"{path} answers" if path else "the handlers that need it answer"
        if of_webhooks or not path:
            yield f"{name} is not set, so {answer} 503"


@contextmanager
def receiving_nothing() -> Iterator[None]:
    """Nobody is warned meanwhile that a webhook has no secret here."""
    import logging

    log = logging.getLogger("minihttp.webhooks")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def opened_app(args: argparse.Namespace) -> Iterator[App]:
    """The app of `args.target` with its storage open and no worker; closed at the end."""
    app = load_app(args)
    with receiving_nothing():
        try:
            yield app.open()
        finally:
            app.close()


def confirm(args: argparse.Namespace, question: str) -> None:
    """Ask on a terminal before something is changed or removed; without a terminal nobody is there to ask.

    Raises:
        MinihttpError: the answer was not yes.
    """
    if args.yes or not sys.stdin.isatty():
        return
    print(f"{safe(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise MinihttpError("nothing was changed")


def note(text: str) -> None:
    """Tell a person something, on stderr: stdout is for data."""
    print(safe(text), file=sys.stderr, flush=True)


def print_rows(rows: Iterable[dict[str, Any]], as_json: bool, *, empty: str = "") -> None:
    """Prints rows of equal keys as a table, control characters escaped, or as one JSON object a line.

    Args:
        empty: what to say on stderr where there are no rows.
    """
    found = False
    if as_json:
        for row in rows:
            print(json.dumps(_shown(row), default=str))
            found = True
    elif rows := list(rows):
        from ._tables import table

        print("\n".join(table(rows, columns() if sys.stdout.isatty() else None)))
        found = True
    if empty and not found:
        note(empty)


def plain(line: str) -> str:
    """A line as a terminal may be given it: control characters escaped."""
    return one_line(line)
