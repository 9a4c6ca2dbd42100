# SPDX-License-Identifier: MIT
"""Header fields: `Headers` of a response (ordered, checked), `RequestHeaders` (a view over a WSGI environ),
parameters.

Names are compared without case, repeats are kept. Knows the syntax of fields (RFC 9110 §5), not what any of
them means.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar, overload

from ..errors import MissingFieldError

T = TypeVar("T")
Pair = tuple[str, str]

is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_value = re.compile(r"[\x20-\x7e\x80-\xff]*").fullmatch
_is_media_type = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
# One `; name=value`; no quantifier is nested in another, so a hostile value costs one pass (CVE-2024-24762).
_PARAMETER = r"""[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"([^"]*)"|([^";,\s\x01]+)))?"""
_MAX_PARAMETERS = 16  # no field of a registry has more than a few


def check_field(name: str, value: str) -> Pair:
    """The pair itself, if it can be sent as one header field.

    Raises:
        ValueError: the name is no token, or the value holds CR, LF, NUL, another control character (a tab
            too) or something outside latin-1 (RFC 9110 §5.1 and §5.5; CVE-2016-9964: such a value forges
            further fields).
    """
    if not isinstance(name, str) or not is_token(name):
        raise ValueError(f"header name {name!r} is not a token of letters, digits and !#$%&'*+-.^_`|~")
    if not isinstance(value, str) or not _is_value(value):
        raise ValueError(f"value {value!r} of header {name} is not latin-1 text without control characters")
    return name, value


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """`Text/HTML; charset="utf-8"` → `("text/html", {"charset": "utf-8"})`; names in lower case.

    A backslash is an ordinary character, as browsers never escape with it in form data (WHATWG HTML,
    multipart/form-data encoding algorithm). Others write a quote as `\\"` (RFC 9110 §5.6.4): where all
    parameters can be read so, they are, and in a value with such a quote `\\\\` is one backslash.

    Raises:
        ValueError: an open quote, text after a quoted value, a repeated parameter, more than 16 of them.
    """
    if '\\"' in value and "\0" not in value and "\1" not in value:
        # What is escaped is a control character while the parameters are split.
        try:
            main, found = _split_parameters(value.replace("\\\\", "\0").replace('\\"', "\1"))
        except ValueError:  # the backslash is the end of a value, as in "C:\\"
            pass
        else:
            return main, {name: _unescape(text) for name, text in found.items()}
    return _split_parameters(value)


def _unescape(text: str) -> str:
    return text.replace("\1", '"').replace("\0", "\\" if "\1" in text else "\\\\")


def _split_parameters(value: str) -> tuple[str, dict[str, str]]:
    main = value.partition(";")[0]
    parameters: dict[str, str] = {}
    position, end, count = len(main), len(value), 0
    match_parameter = re.compile(_PARAMETER).match
    while position < end:
        count += 1
        if count > _MAX_PARAMETERS:
            raise ValueError(f"there are more than {_MAX_PARAMETERS} parameters")
        match = match_parameter(value, position)
        if match is None:
            if not value[position:].strip(" \t"):
                break
            raise ValueError(f"malformed parameter at {value[position : position + 40]!r}")
        name, quoted, plain = match.groups()
        if name is not None:
            if name.lower() in parameters:
                raise ValueError(f"parameter {name!r} is given twice")
            parameters[name.lower()] = plain if quoted is None else quoted
        position = match.end()
    return main.strip(" \t").lower(), parameters


_MAX_OPTION_CHARACTERS = 1_000  # a stranger may send thousands of options, and none means them


def connection_options(value: str) -> list[str]:
    """The options of a Connection value, in lower case: `close`, and the fields meant for one hop only.

    Source: RFC 9110 §7.6.1.
    """
    return value[:_MAX_OPTION_CHARACTERS].lower().replace(" ", "").split(",") if value else []


def parse_media_type(value: str) -> tuple[str, dict[str, str]]:
    """The media type (lower case) and parameters of a Content-Type value; `("", {})` when it is not one valid
    type.

    Two Content-Type fields joined by a comma are not one type, so `text/plain, application/json` never passes
    for JSON (CVE-2014-3137).
    """
    try:
        media_type, parameters = parse_parameters(value)
    except ValueError:
        return "", {}
    return (media_type, parameters) if _is_media_type(media_type) else ("", {})


class Headers:
    """The header fields of a response: ordered, compared without case, repeats allowed, every field checked
    when added.

    Args:
        source: a mapping, (name, value) pairs or other Headers.

    Raises:
        ValueError: a name or value that must not be sent, see `check_field`.
    """

    __slots__ = ("_pairs",)

    def __init__(self, source: HeaderSource = ()) -> None:
        # A dict need not ask the abstract class, which takes 0.3 µs.
        pairs = source.items() if isinstance(source, (dict, Headers, Mapping)) else source
        self._pairs = [check_field(name, value) for name, value in pairs]

    @classmethod
    def over(cls, pairs: list[Pair]) -> Headers:
        """Headers that read and change `pairs` itself, whose fields have been checked before."""
        headers = cls.__new__(cls)
        headers._pairs = pairs
        return headers

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: T) -> str | T: ...
    def get(self, name: str, default: T | None = None) -> str | T | None:
        """The first value of `name`, or `default`."""
        return next(iter(self.get_all(name)), default)

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self._pairs if key.lower() == wanted]

    def set(self, name: str, value: str) -> None:
        """Replace all fields of this name by one."""
        field = check_field(name, value)
        self.delete(name)
        self._pairs.append(field)

    def __getitem__(self, name: str) -> str:
        """The first value of `name`; KeyError when there is none."""
        for value in self.get_all(name):
            return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        """As `set`."""
        self.set(name, value)

    def append(self, name: str, value: str) -> None:
        """Add one more field; those of the same name stay."""
        self._pairs.append(check_field(name, value))

    def delete(self, name: str) -> None:
        """Remove all fields of this name; none is no error."""
        wanted = name.lower()
        self._pairs[:] = [pair for pair in self._pairs if pair[0].lower() != wanted]

    def items(self) -> list[Pair]:
        """All fields as (name, value) pairs, in order."""
        return list(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


HeaderSource = Headers | Mapping[str, str] | Iterable[Pair]

_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")  # in an environ without HTTP_; "" is how CGI writes "absent"


@lru_cache(maxsize=256)
def _environ_key(name: str) -> str:
    """Where an environ has this field; "" for a name with an underscore (CVE-2015-0219)."""
    if "_" in name:
        return ""
    key = name.upper().replace("-", "_")
    return key if key in _BARE else "HTTP_" + key


@lru_cache(maxsize=128)  # strangers choose these names: 128 of 64 KiB at most
def _field_name(key: str) -> str:
    """How the field of an environ key is spelled, or "" where the key is of something else."""
    bare = key.removeprefix("HTTP_")
    return bare.replace("_", "-").title() if (bare in _BARE) == (bare == key) else ""


class RequestHeaders(Mapping[str, str]):
    """The header fields of a request, read from its WSGI environ when asked for; a Mapping without case.

    A server joins repeated fields before WSGI sees them, so each name has one value, in latin-1. A name with
    an underscore is never found: in an environ it could not be told from one with a hyphen.
    """

    __slots__ = ("environ", "lacked")

    is_taken_whole = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.lacked = False  # whether a name was looked up that is not there

    def __getitem__(self, name: str) -> str:
        """The value of `name`.

        Raises:
            MissingFieldError: 400 when there is none.
        """
        value: str | None = self.get(name)
        if value is None:
            raise MissingFieldError(name, "header")
        return value

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | T) -> str | T: ...
    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default`."""
        key = _environ_key(name)
        value = self.environ.get(key)
        if value or (value is not None and key not in _BARE):
            return value
        self.lacked = True
        return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def get_all(self, name: str) -> list[str]:
        """The value of `name` as a list of one, or an empty list."""
        return [self[name]] if name in self else []

    def items(self) -> ItemsView[str, str]:
        """All fields as (name, value) pairs; a Mapping would look up each name again."""
        return dict(self._pairs()).items()

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs())

    def _pairs(self) -> Iterator[Pair]:
        for key, value in self.environ.items():
            if key[:5] == "HTTP_" or (value and key in _BARE):
                name = _field_name(key)
                if name:
                    yield name, value

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"RequestHeaders({dict(self)!r})"
