# SPDX-License-Identifier: MIT
"""Every option of an app, of its server and of its process, in one table.

A line of `AppOptions` is a keyword of `App`, of `App.configure` and of `testing.in_memory`; where it can be
read from text (`convert`) it is also a flag, a `MINIHTTP_*` variable, a name in `minihttp.toml` and a row of
`config`. So a new switch is one line here. The annotations are read as data: nothing from `__future__` here.
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, did_you_mean
from ..limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from typing import Annotated, TypedDict

    from ..auth.providers import IdentityProvider, Resolver
    from ..data.schema import Schema
    from ..jobs.crons import Crons
    from .metrics import Metrics
else:  # what `typing` makes of the table takes 0.4 ms, in every start

    class TypedDict:
        def __init_subclass__(cls, total: bool) -> None: ...

    class Annotated:
        def __class_getitem__(cls, type_and_option: tuple[Any, Any]) -> Any:
            return type_and_option[1]


Modules = Iterable[str | ModuleType] | Mapping[str, str | ModuleType]
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class Option:
    """One option.

    Attributes:
        default: its value where nobody says another.
        help: one line, without a full stop.
        convert: makes its value of a text, or raises a ValueError that says the rule; None where only code
            can give it.
        secret: it is never shown, and is no flag: other users of the machine see command lines.
    """

    __slots__ = ("convert", "default", "help", "secret")

    def __init__(
        self,
        default: Any,
        help: str = "",
        convert: Callable[[Any], Any] | None = None,
        secret: bool = False,
    ) -> None:
        self.default, self.help, self.convert, self.secret = default, help, convert, secret


# ------------------------------------------------------------ what texts may say


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def words(value: Any) -> list[str]:
    """Words with commas between them, or a list of them."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise ValueError("words with commas between them")
    return [word.strip() for word in found if word.strip()]


def switch(value: Any) -> bool:
    word = str(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def whole(low: int, high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        digits = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,15}", str(value))
        if not digits or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return convert


def seconds(value: Any) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", str(value)):
        raise ValueError("a number of seconds")
    return float(value)


def duration(value: Any) -> float:
    """Seconds of `90s`, `30m`, `6h` or `1d`."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
    if match is None or not int(match[1]):
        raise ValueError("a time such as 30m or 6h")
    return float(int(match[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[match[2]])


def positive_seconds(value: Any) -> float:
    if not seconds(value):
        raise ValueError("more than 0 seconds")
    return seconds(value)


def networks(value: Any) -> str:
    """IP addresses and networks, separated by commas; each in one spelling."""
    from ipaddress import ip_address, ip_network  # rare, and 5 ms to import

    try:
        parts = [part.strip() for part in text(value).split(",")]
        if parts == ["*"]:
            return "*"
        return ",".join(str(ip_network(part) if "/" in part else ip_address(part)) for part in parts)
    except ValueError:
        raise ValueError("an IP address, or * for any") from None


def address(value: Any) -> str:
    """`127.0.0.1:8081`, or `[::1]:8081`."""
    host, _, port = text(value).rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535 or (":" in host and host[:1] != "["):
        raise ValueError("an address with a port, such as 127.0.0.1:8081")
    return str(value)


def url(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]+", value):
        raise ValueError("a URL such as https://api.example.com")
    return value.rstrip("/")


class one_of:
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError("one of " + ", ".join(self.words))
        return str(value)


# ------------------------------------------------------------ the table


class AppOptions(TypedDict, total=False):
    """The keywords of `App`."""

    schema: Annotated["Schema | None", Option(None, "the tables; without it documents are free of form")]
    modules: Annotated[Modules, Option((), "where functions are: names or modules, or wire name -> module")]
    crons: Annotated["Crons | None", Option(None, "the cron jobs")]
    auth: Annotated[
        "Iterable[IdentityProvider | Resolver]", Option((), "whose tokens are believed: docs/auth.md")
    ]
    data: Annotated[str | os.PathLike[str], Option("data", "data directory, database URL, or :memory:", text)]
    files: Annotated[
        str | None, Option(None, "directory or URL of the stored files; beside the data if absent", text)
    ]
    workers: Annotated[int, Option(4, "jobs that run side by side here, 0 for none", whole(0, 1000))]
    origin: Annotated[str, Option("", "public URL, such as https://api.example.com, for links", url)]
    hosts: Annotated[
        Iterable[str], Option((), "hosts that requests may name, with commas between; * for any", words)
    ]
    admin_key: Annotated[
        str | None,
        Option(None, "opens internal functions; best kept in .env", text, secret=True),
    ]
    function_api: Annotated[bool, Option(True, "serve /api/query and its siblings", switch)]
    api_origins: Annotated[
        Iterable[str],
        Option(("*",), "origins whose pages may call /api/*, with commas between; * for any", words),
    ]
    consistent_queries: Annotated[bool, Option(True, "serve /api/query_ts and /api/query_at_ts", switch)]
    wire_names: Annotated[
        str | None,
        Option(None, "camelCase: such names for functions and arguments", one_of("camelCase")),
    ]
    development: Annotated[
        bool, Option(False, "show errors of the app and their frames in responses", switch)
    ]
    strict_media_type: Annotated[
        bool, Option(True, "refuse JSON bodies that have no media type, or text/plain", switch)
    ]
    metrics: Annotated["Metrics | bool", Option(False, "answer /_/metrics", switch)]
    openapi: Annotated[bool, Option(False, "answer /_/openapi.json", switch)]
    limits: Annotated[Limits, Option(DEFAULT_LIMITS, "other limits than the default ones")]
    clock: Annotated[Callable[[], float], Option(time.time, "Unix seconds")]
    environment: Annotated[Mapping[str, str], Option(os.environ, "where secrets are looked up")]


APP_OPTIONS: dict[str, Option] = AppOptions.__annotations__
SERVER_OPTIONS: dict[str, Option] = {
    "host": Option("127.0.0.1", "address to listen on; 0.0.0.0 for every interface", text),
    "port": Option(8080, "port to listen on; 0 lets the system choose", whole(0, 65535)),
    "threads": Option(16, "handlers that run at the same time", whole(1, 1000)),
    "connections": Option(
        None, "clients at the same time; 1000, or what the limit of open files allows", whole(1, 100_000)
    ),
    "trusted_proxy": Option(
        None, "addresses or networks of proxies whose X-Forwarded-* and X-Request-Id are believed", networks
    ),
    "trusted_proxy_hops": Option(
        None, "proxies in a row; as many as trusted_proxy names if absent, one for *", whole(1, 20)
    ),
}
PROCESS_OPTIONS: dict[str, Option] = {
    "grace": Option(30.0, "seconds that requests in flight and jobs may take after SIGTERM", seconds),
    "auth_issuer": Option(None, "issuer whose tokens are believed too: docs/auth.md", text),
    "auth_audience": Option(None, "what its tokens must name; needed for discovery", text),
    "auth_jwks": Option(None, "URL, file or data: URI of its keys; by discovery if absent", text),
    "forward": Option(None, "URL to which the ready-made webhook inbox passes deliveries on", url),
    "dashboard": Option("read", "what /_/ does for the admin key", one_of("off", "read", "write")),
    "dashboard_listen": Option(
        None, "a port of its own for /_/ of the dashboard, such as 127.0.0.1:8081", address
    ),
    "backup": Option(None, "folder for backups that are made while it serves: docs/backup.md", text),
    "backup_every": Option(6 * 3_600.0, "how often, such as 30m or 6h", duration),
    "backup_keep": Option(28, "how many backups stay", whole(1, 100_000)),
    "log_format": Option("auto", "auto is text on a terminal, else json", one_of("auto", "text", "json")),
    "log_level": Option("info", "least level that is logged", one_of("debug", "info", "warning", "error")),
}


class Options(SimpleNamespace):
    """The options of one app that are in force, as attributes."""


def changed(options: Options, changes: Mapping[str, Any]) -> Options:
    """Options of an app, but for those given.

    Raises:
        ConfigurationError: for a name that is no option, with a suggestion.
    """
    for name in changes:
        if name not in APP_OPTIONS:
            raise ConfigurationError(f"{name!r} is not a setting of App{did_you_mean(name, APP_OPTIONS)}")
    made = Options(**{**vars(options), **changes})
    made.data = os.fspath(made.data)
    for name in ("limits", "environment"):  # None asks for the default, as code that passes one on does
        if getattr(made, name) is None:
            setattr(made, name, APP_OPTIONS[name].default)
    return made


DEFAULTS = Options(**{name: option.default for name, option in APP_OPTIONS.items()})
