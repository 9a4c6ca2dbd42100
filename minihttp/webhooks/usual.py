# SPDX-License-Identifier: MIT
"""A short cut for the usual form of the headers: each once, one timestamp, one signature.

A few operations on texts recognise that form and take it apart, in half the time of a regular expression.
Everything else is left to `HeaderParser.read_all`; where both apply, they agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any

from .delivery import refuse_repeated
from .headers import HeaderParser, Read, is_id, is_timestamp
from .scheme import Scheme

_MAX_TIMES = 64  # are kept, as many deliveries are signed in the same second


def usual_reader(
    parser: HeaderParser, scheme: Scheme, kinds: list[str], names: list[str]
) -> Callable[[Any, str], Read]:
    """As `parser.read_all`, in less time for the usual form.

    Args:
        kinds: what is signed beside the body, in this order.
        names: lower-case names of their headers and of the signature's.
    """
    take_apart, read_all, once = _take_apart(scheme, kinds), parser.read_all, parser.once
    find_in_environ = itemgetter(*("HTTP_" + name.upper().replace("-", "_") for name in names))  # PEP 3333

    @lru_cache(maxsize=64)  # a sender spells the headers of all its deliveries alike
    def find(given: tuple[str, ...]) -> itemgetter[Any]:
        spelled = {str.lower(name): name for name in given}
        if len(spelled) < len(given):
            refuse_repeated([name.lower() for name in given], once)
        return itemgetter(*(spelled[name] for name in names))

    def read(headers: Any, url: str) -> Read:
        try:
            if headers.__class__ is dict:
                values = find(tuple(headers))(headers)
            else:
                values = find_in_environ(headers.environ)
            usual = take_apart(headers, values)
        except (AttributeError, KeyError, TypeError, ValueError):  # another shape, or one is not there
            usual = None
        return usual or read_all(headers, url)

    return read


@lru_cache(maxsize=_MAX_TIMES)
def _seconds(stamp: str) -> int:
    """A timestamp as a number; of those that are none, which are not kept, a ValueError."""
    if not is_timestamp(stamp):
        raise ValueError(stamp)
    return int(stamp)


def _take_apart(scheme: Scheme, kinds: list[str]) -> Callable[[Any, Any], Read | None]:
    """What takes the values of the headers (of the `kinds`, then the signature) apart where they have the
    usual form; else it gives None, or raises for what is of another type or not ASCII.

    A URL is in no header: where it is signed, no form is usual.
    """
    prefix, separator = scheme.prefix, scheme.separator
    first, *more = re.split(r"{\w+}", scheme.signed.removesuffix("{body}"))
    last = more[-1] if more else ""

    if kinds == ["timestamp"] and scheme.fields:
        name, mark = f"{scheme.fields[0]}=", f"{separator}{scheme.fields[1]}="

        @lru_cache(maxsize=_MAX_TIMES)
        def read_time(field: str) -> tuple[bytes, int]:
            stamp = field.removeprefix(name)
            if stamp == field:
                raise ValueError(field)
            return f"{first}{stamp}{last}".encode(), _seconds(stamp)

        def read_fields(headers: Any, value: str) -> Read | None:
            field, _, signature = value.partition(mark)
            before, seconds = read_time(field)
            if not signature or separator in signature or "=" in signature:
                return None
            return headers, (signature.encode("ascii"),), before, seconds

        return read_fields

    if kinds == ["id", "timestamp"]:
        middle = more[0]

        def read_id(headers: Any, values: tuple[str, str, str]) -> Read | None:
            id, stamp, signature = values
            seconds = _seconds(stamp)
            if not is_id(id) or not signature.startswith(prefix) or not signature:
                return None
            if separator and separator in signature:
                return None
            before = f"{first}{id}{middle}{stamp}{last}".encode()
            return headers, (signature.encode("ascii"),), before, seconds

        return read_id

    if kinds == ["timestamp"] and not separator:

        def read_timestamp(headers: Any, values: tuple[str, str]) -> Read | None:
            stamp, signature = values
            seconds = _seconds(stamp)
            before = f"{first}{stamp}{last}".encode()
            return (headers, (signature.encode("ascii"),), before, seconds) if signature else None

        return read_timestamp

    if kinds or separator:
        return lambda headers, value: None
    return lambda headers, value: (headers, (value.encode("ascii"),), b"", None) if value else None
