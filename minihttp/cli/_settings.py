# SPDX-License-Identifier: MIT
"""The settings of the command line: the options of `app/options.py`, and where each value in force came from.

A flag wins over a `MINIHTTP_*` environment variable, that over `minihttp.toml`, that over what the app's code
says, that over the default. The limits are settings too: `max_body_bytes` in the table `[limits]`,
`MINIHTTP_LIMITS_MAX_BODY_BYTES`, `--limits-max-body-bytes`. What is in none of the tables is an error with a
suggestion.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..app.backends import check_scheme, storage_urls, without_password
from ..app.options import (
    APP_OPTIONS,
    PROCESS_OPTIONS,
    SERVER_OPTIONS,
    Option,
    duration,
    networks,
    one_of,
    positive_seconds,
    seconds,
    switch,
    url,
    whole,
)
from ..errors import ConfigurationError, MinihttpError, did_you_mean
from ..limits import DEFAULT_LIMITS
from ..settings import read_text

if TYPE_CHECKING:
    from argparse import ArgumentParser

PREFIX = "MINIHTTP_"
_METAVARS: dict[Any, str] = {  # what a value is, in `--help`: by the setting's name, else by its converter
    "host": "ADDRESS",
    "port": "PORT",
    "data": "PLACE",
    "files": "PLACE",
    "backup": "DIR",
    "dashboard_listen": "ADDRESS:PORT",
    "auth_issuer": "URL",
    "auth_audience": "NAME",
    "auth_jwks": "PLACE",
    "api_origins": "ORIGINS",
    networks: "ADDRESSES",
    seconds: "SECONDS",
    duration: "TIME",
    switch: "on|off",
    url: "URL",
}
LIMITS = "limits."  # how the names of limits begin here: `limits.max_body_bytes`, as TOML spells it
_LIMIT_KINDS = {int: whole(1, 10**15 - 1), float: positive_seconds}
_LIMIT_OPTIONS = {
    LIMITS + name: Option(default, "", _LIMIT_KINDS[type(default)])
    for name, default in DEFAULT_LIMITS.items()
}
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
APP_SETTINGS = tuple(name for name, option in APP_OPTIONS.items() if option.convert)
SETTINGS: dict[str, Option] = {
    **SERVER_OPTIONS,
    **PROCESS_OPTIONS,
    **{name: APP_OPTIONS[name] for name in APP_SETTINGS},
    **_LIMIT_OPTIONS,
}
SERVE_FLAGS = tuple(name for name, option in SETTINGS.items() if not option.secret)
_OF_A_SERVER = (  # what a worker, which answers nobody, has no use for
    *(*SERVER_OPTIONS, "forward", "dashboard", "backup", "backup_every", "backup_keep"),
    *("auth_issuer", "auth_audience", "auth_jwks", "function_api", "api_origins", "consistent_queries"),
    *("wire_names", "development", "strict_media_type", "metrics", "openapi"),
)
WORKER_FLAGS = tuple(name for name in SERVE_FLAGS if name not in _OF_A_SERVER)


class MisuseError(ConfigurationError):
    """A mistake in the command itself, not in the app or its data: its exit code is 2."""


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
        for name in ("data", "files"):
            self._check_place(name)

    def _put(self, name: str, value: Any, form: str) -> None:
        origin = form.format(flag=_flag(name), name=name.replace(".", "_").upper())
        if name not in SETTINGS:
            raise ConfigurationError(f"{origin}: there is no setting {name!r}{did_you_mean(name, SETTINGS)}")
        convert = SETTINGS[name].convert
        assert convert is not None
        try:
            self.values[name] = convert(value)
        except ValueError as rule:
            shown = "another" if SETTINGS[name].secret else without_password(repr(value))
            raise self._mistake(origin)(f"{origin}: {name} must be {rule}, not {shown}") from None
        self.origins[name] = origin

    def _check_place(self, name: str) -> None:
        """Refuses here what storage would refuse later, with the flag or variable that said it."""
        if self.origins[name] == "default":
            return
        try:
            if not self.values[name].strip():
                raise ConfigurationError(f"{name} must be a path or a URL, not {self.values[name]!r}")
            storage_urls(self.values["data"], self.values["files"])
            check_scheme(self.values[name])
        except ConfigurationError as error:
            raise self._mistake(self.origins[name])(f"{self.origins[name]}: {error}") from None

    @staticmethod
    def _mistake(origin: str) -> type[MinihttpError]:
        return MisuseError if origin.startswith("--") else ConfigurationError

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def for_server(self) -> dict[str, Any]:
        """Those of `server.serve`."""
        return {name: self.values[name] for name in SERVER_OPTIONS}

    def for_app(self) -> dict[str, Any]:
        """The keywords of `App.configure`: only what somebody set; otherwise the app's own choice stands."""
        return {name: self.values[name] for name in APP_SETTINGS if self.origins[name] != "default"}

    @property
    def limits(self) -> dict[str, Any]:
        """The limits that somebody set, by their names in `Limits`."""
        return {
            name.removeprefix(LIMITS): self.values[name]
            for name in _LIMIT_OPTIONS
            if self.origins[name] != "default"
        }


def add_flags(parser: ArgumentParser, *names: str) -> None:
    """Gives `parser` a flag for each setting named: `--log-format FORMAT`, and `--metrics` for a switch."""
    from argparse import SUPPRESS

    for name in names:
        setting = SETTINGS[name]
        kind: dict[str, Any] = (
            {"action": "store_true"}
            if setting.convert is switch and not setting.default
            else {"metavar": _metavar(name, setting)}
        )
        default = setting_text(name, setting.default or None)
        help_text = (setting.help + (default and f" (default {default})")) if setting.help else SUPPRESS
        if help_text is SUPPRESS:
            parser.epilog = "Every limit that `config` lists is a flag too, such as --limits-max-body-bytes."
        parser.add_argument("--" + _flag(name), dest=name, default=None, help=help_text, **kind)


def _metavar(name: str, setting: Option) -> str:
    if isinstance(setting.convert, one_of):
        return "|".join(setting.convert.words)
    return _METAVARS.get(name) or _METAVARS.get(setting.convert, "N")


def setting_text(name: str, value: Any) -> str:
    """A value of a setting as its flag would take it; "" for none."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if SETTINGS[name].convert is duration:
        unit, seconds = next((u, s) for u, s in _UNITS if value % s == 0)
        return f"{value / seconds:.0f}{unit}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else ("off", "on")[value] if isinstance(value, bool) else str(value)


def _flag(name: str) -> str:
    return re.sub("[._]", "-", name)


def resolve(flags: Mapping[str, Any], environ: Mapping[str, str], folder: str = ".") -> Settings:
    """The settings in force.

    Args:
        flags: what argparse found; None is a flag that was not given, other names are left alone.
        environ: environment variables; those that begin with `MINIHTTP_` count.
        folder: where `minihttp.toml` may be.

    Raises:
        ConfigurationError: an unknown name, or a value that breaks its rule; it says which and where.
    """
    path, table = "minihttp.toml", _read_toml(os.path.join(folder, "minihttp.toml"))
    variables = {_name_of(k): v for k, v in environ.items() if k.startswith(PREFIX)}
    given = {k: v for k, v in flags.items() if k in SETTINGS and v is not None}
    limits = _as_table(table.pop("limits", {}), f"{path}: limits")
    table.update((LIMITS + name, value) for name, value in limits.items())
    table = {name.replace("-", "_"): value for name, value in table.items()}
    return Settings([(path, table), (PREFIX + "{name}", variables), ("--{flag}", given)])


def _name_of(variable: str) -> str:
    """The setting that an environment variable means."""
    return re.sub("^limits_", LIMITS, variable[len(PREFIX) :].lower())


def _as_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} must be a table, not {value!r}")
    return value


def _toml_module() -> Any:
    """The standard library's reader of TOML (Python 3.11), else the package tomli, else None."""
    for name in ("tomllib", "tomli"):
        with suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    return None


def _read_toml(path: str) -> dict[str, Any]:
    """The table of a file; an empty one where there is none."""
    if not os.path.isfile(path):
        return {}
    tomllib, file = _toml_module(), os.path.basename(path)
    if tomllib is None:
        raise ConfigurationError(
            f"{file} needs Python 3.11 or newer, which reads TOML, or the package tomli;"
            f" or use {PREFIX}* variables or flags"
        )
    try:
        return dict(tomllib.loads(read_text(path)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from None
