# SPDX-License-Identifier: MIT
"""The settings of the command line: one table, and where each value in force came from.

A flag wins over a `MINIHTTP_*` environment variable, that over `minihttp.toml` (or `[tool.minihttp]` of
`pyproject.toml`), that over what the app's code says, that over the default. The limits are settings too:
`max_body_bytes` in the table `[limits]`, `MINIHTTP_LIMITS_MAX_BODY_BYTES`, `--limits-max-body-bytes`. What is
in none of the tables is an error with a suggestion. `.env` is read here too and never overrides the
environment. Knows nothing of what a setting does.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError, did_you_mean
from ..limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from argparse import ArgumentParser

PREFIX = "MINIHTTP_"
LIMITS = "limits."  # how the names of limits begin here: `limits.max_body_bytes`, as TOML spells it
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _switch(value: Any) -> bool:
    word = str(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if (
            isinstance(value, bool)
            or not re.fullmatch(r"[0-9]{1,15}", str(value))
            or not low <= int(value) <= high
        ):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return convert


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", str(value)):
        raise ValueError("a number of seconds")
    return float(value)


def _positive_seconds(value: Any) -> float:
    seconds = _seconds(value)
    if not seconds:
        raise ValueError("more than 0 seconds")
    return seconds


def _address(value: Any) -> str:
    from ipaddress import ip_address  # rare, and 5 ms to import

    try:
        return "*" if value == "*" else str(ip_address(_text(value)))
    except ValueError:
        raise ValueError("an IP address, or * for any") from None


def _url(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]+", value):
        raise ValueError("a URL such as https://api.example.com")
    return value.rstrip("/")


def _one_of(*words: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in words:
            raise ValueError("one of " + ", ".join(words))
        return str(value)

    return convert


class Setting(NamedTuple):
    """One setting; `convert` makes its value of a text, or raises a ValueError that says the rule.

    `help` is empty for what no list of flags shows: there are too many limits.
    """

    default: Any
    convert: Callable[[Any], Any]
    help: str


SETTINGS: dict[str, Setting] = {
    "host": Setting("127.0.0.1", _text, "address to listen on; 0.0.0.0 for every interface"),
    "port": Setting(8080, _whole(0, 65535), "port to listen on; 0 lets the system choose"),
    "threads": Setting(16, _whole(1, 1000), "handlers that run at the same time"),
    "connections": Setting(
        None,
        _whole(1, 100_000),
        "clients connected at the same time; 1000, or what the limit of open files allows",
    ),
    "grace": Setting(30.0, _seconds, "seconds that requests in flight and jobs may take after SIGTERM"),
    "data": Setting(None, _text, "data directory or database URL; the app's own if absent"),
    "files": Setting(None, _text, "directory or URL of the stored files; beside the data if absent"),
    "workers": Setting(None, _whole(0, 1000), "job threads; the app's own if absent, 0 for none"),
    "origin": Setting(None, _url, "public URL of the app, such as https://api.example.com, for links"),
    "trusted_proxy": Setting(
        None, _address, "address of the proxy whose X-Forwarded-* and X-Request-Id are believed"
    ),
    "admin_key": Setting(
        None, _text, "opens internal functions to its holder; never shown, best kept in .env"
    ),
    "forward": Setting(None, _url, "URL to which the ready-made webhook inbox passes deliveries on"),
    "development": Setting(False, _switch, "show errors of the app in responses"),
    "metrics": Setting(False, _switch, "answer /_/metrics"),
    "log_format": Setting("auto", _one_of("auto", "text", "json"), "text, json, or auto: text on a terminal"),
    "log_level": Setting("info", _one_of("debug", "info", "warning", "error"), "least level that is logged"),
}
_LIMIT_KINDS = {int: _whole(1, 10**15 - 1), float: _positive_seconds}
SETTINGS |= {
    LIMITS + name: Setting(default, _LIMIT_KINDS[type(default)], "")
    for name, default in DEFAULT_LIMITS.items()
}
LIMIT_SETTINGS = tuple(name for name in SETTINGS if name.startswith(LIMITS))
APP_SETTINGS = (
    "data",
    "files",
    "workers",
    "origin",
    "admin_key",
    "development",
)  # what `App.configure` takes
SECRETS = ("admin_key",)  # never shown, and no flag: other users of the machine see command lines


class Settings:
    """The settings in force.

    Attributes:
        values: name -> value, for every name of `SETTINGS`.
        origins: name -> where it came from: `default`, `--port`, `MINIHTTP_PORT` or a file's name.
    """

    def __init__(self, layers: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        self.values = {name: setting.default for name, setting in SETTINGS.items()}
        self.origins = dict.fromkeys(SETTINGS, "default")
        for form, layer in layers:
            for name, value in layer.items():
                self._put(name, value, form)

    def _put(self, name: str, value: Any, form: str) -> None:
        origin = form.format(flag=_flag(name), name=name.replace(".", "_").upper())
        if name not in SETTINGS:
            raise ConfigurationError(f"{origin}: there is no setting {name!r}{did_you_mean(name, SETTINGS)}")
        try:
            self.values[name] = SETTINGS[name].convert(value)
        except ValueError as rule:
            raise ConfigurationError(f"{origin}: {name} must be {rule}, not {value!r}") from None
        self.origins[name] = origin

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def for_app(self) -> dict[str, Any]:
        """The keywords of `App.configure`: only what somebody set; otherwise the app's own choice stands."""
        return {name: self.values[name] for name in APP_SETTINGS if self.origins[name] != "default"}

    @property
    def limits(self) -> dict[str, Any]:
        """The limits that somebody set, by their names in `Limits`."""
        return {
            name.removeprefix(LIMITS): self.values[name]
            for name in LIMIT_SETTINGS
            if self.origins[name] != "default"
        }


def add_flags(parser: ArgumentParser, *names: str) -> None:
    """Gives `parser` a flag for each setting named: `--log-format FORMAT`, and `--metrics` for a switch."""
    from argparse import SUPPRESS

    for name in names:
        setting = SETTINGS[name]
        kind: dict[str, Any] = (
            {"action": "store_true"} if setting.convert is _switch else {"metavar": "VALUE"}
        )
        default = "" if setting.default in (None, False) else f" (default {setting.default})"
        help_text = setting.help + default if setting.help else SUPPRESS
        if help_text is SUPPRESS:
            parser.epilog = "Every limit that `config` lists is a flag too, such as --limits-max-body-bytes."
        parser.add_argument("--" + _flag(name), dest=name, default=None, help=help_text, **kind)


def _flag(name: str) -> str:
    return re.sub("[._]", "-", name)


def resolve(flags: Mapping[str, Any], environ: Mapping[str, str], folder: str = ".") -> Settings:
    """The settings in force.

    Args:
        flags: what argparse found; None is a flag that was not given, other names are left alone.
        environ: environment variables; those that begin with `MINIHTTP_` count.
        folder: where `minihttp.toml` or `pyproject.toml` may be.

    Raises:
        ConfigurationError: an unknown name, or a value that breaks its rule; it says which and where.
    """
    path, table = _file_table(folder)
    variables = {_name_of(k): v for k, v in environ.items() if k.startswith(PREFIX)}
    given = {k: v for k, v in flags.items() if k in SETTINGS and v is not None}
    limits = _as_table(table.pop("limits", {}), f"{path}: limits")
    table.update((LIMITS + name, value) for name, value in limits.items())
    table = {name.replace("-", "_"): value for name, value in table.items()}
    return Settings([(path, table), (PREFIX + "{name}", variables), ("--{flag}", given)])


def _name_of(variable: str) -> str:
    """The setting that an environment variable means."""
    return re.sub("^limits_", LIMITS, variable[len(PREFIX) :].lower())


def _file_table(folder: str) -> tuple[str, dict[str, Any]]:
    for file, keys in (("minihttp.toml", ()), ("pyproject.toml", ("tool", "minihttp"))):
        path = os.path.join(folder, file)
        if not os.path.isfile(path):
            continue
        text = _read(path)
        if keys and "[tool.minihttp" not in text:
            continue
        table = _parse_toml(text, file)
        for key in keys:
            table = _as_table(table.get(key, {}), f"{file}: {key}")
        return file, table
    return "", {}


def _as_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} must be a table, not {value!r}")
    return value


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not text in UTF-8: byte {error.start}") from None


def _parse_toml(text: str, file: str) -> dict[str, Any]:
    try:
        tomllib: Any = importlib.import_module("tomllib")
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{file} needs Python 3.11 or newer, which reads TOML; use {PREFIX}* variables or flags"
        ) from None
    try:
        table: dict[str, Any] = tomllib.loads(text)
        return table
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from None


_ENV_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=([^\0]*)")
_ENV_QUOTED = re.compile(r"""[ \t]*(["'])(.*?)\1[ \t]*(?:#.*)?""")


def read_env_file(path: str = ".env") -> dict[str, str]:
    """The variables of a `.env` file; none if there is no such file.

    A line is `NAME=value`, `export NAME="value"`, a `# comment` or blank. A comment may follow a value, after
    white space where the value is not in quotes. What is in quotes is taken as it stands, in one line.

    Raises:
        ConfigurationError: a line that is none of these, or a file that cannot be read.
    """
    if not os.path.isfile(path):
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigurationError(f"{path}:{number}: a line must be NAME=value or a comment")
        name, value = match.groups()
        quoted = _ENV_QUOTED.fullmatch(value)
        found[name] = quoted[2] if quoted else re.split(r"[ \t]#", value, maxsplit=1)[0].strip()
        if not quoted and found[name][:1] in ("'", '"'):
            raise ConfigurationError(
                f"{path}:{number}: the value of {name} begins with a quote that is not closed"
            )
    return found
