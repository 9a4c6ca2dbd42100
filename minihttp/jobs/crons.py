# SPDX-License-Identifier: MIT
"""Recurring functions: what runs when, checked at registration, and the next run from a clock reading.

Schedules are Convex's (`interval`, `hourly`, `daily`, `weekly`, `monthly`, `cron`), all in UTC. A clock
schedule is a five-field cron expression as in POSIX crontab, and what crontab(5) adds: names of months and
days, `/` steps, 7 for Sunday, ranges that go on at the start (`fri-mon`, `22-2`), `@daily` and its like.
Knows no database, no threads and no function registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from .. import hashing
from ..errors import CronError

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def _numbered(names: Iterable[str], first: int) -> dict[str, int]:
    """Full names and their first three letters."""
    return {name[:chars]: number for number, name in enumerate(names, first) for chars in (3, len(name))}


_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _numbered(_MONTHS, 1)),
    ("day of week", 0, 6, _numbered(_DAYS, 0)),
)
_ITEM = re.compile(
    r"(?:(?P<star>\*)|(?P<low>[0-9a-z]{1,9})(?:-(?P<high>[0-9a-z]{1,9}))?)(?:/(?P<step>[0-9]{1,2}))?"
)
_UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600}
_HELD_SECONDS = 3 * 3600
_JITTER_SECONDS = 1.0  # by which the clocks of the processes of a store may differ
_NextRun = Callable[[float, "float | None"], float]
_SEARCH_DAYS = 366 * 8 + 1  # 29 February comes back after eight years at the latest, around 2100


class CronExpression:
    """A five-field cron expression in UTC, such as `"0 12 * * 1,5"`, or a nickname such as `"@daily"`.

    When both day fields are restricted, a day matches if either does; a field that holds a `*` does not
    restrict (POSIX crontab, and crontab(5) of Vixie's cron for steps).

    Raises:
        CronError: naming the field and its range, or for an expression that no date can match.
    """

    def __init__(self, text: str) -> None:
        words = text.lower().strip() if isinstance(text, str) else ""
        fields = _NICKNAMES.get(words, words).split()
        if len(fields) != 5:
            raise CronError(
                f"cron expression {text!r} must have five fields: minute hour day month weekday;"
                f" or be one of {', '.join(_NICKNAMES)}"
            )
        parsed = [_parse_field(text, field, *spec) for field, spec in zip(fields, _FIELDS, strict=True)]
        self._minutes, self._hours, self._days, self._months, self._weekdays = parsed
        self._either_day = "*" not in fields[2] and "*" not in fields[4]
        if self._next_day(datetime(2000, 1, 1).date().toordinal()) is None:
            raise CronError(f"cron expression {text!r} never matches a date")

    def next_run(self, after: float) -> float:
        """The first matching minute after `after`, both in seconds since the epoch."""
        first = datetime.fromtimestamp(after, timezone.utc).toordinal()
        epoch = datetime(1970, 1, 1).toordinal()
        while True:
            day = self._next_day(first)
            assert day is not None  # the constructor has looked
            midnight = (day - epoch) * 86_400
            for hour in self._hours:
                for minute in self._minutes:
                    moment = midnight + hour * 3600 + minute * 60
                    if moment > after:
                        return float(moment)
            first = day + 1

    def _next_day(self, first: int) -> int | None:
        return next((day for day in range(first, first + _SEARCH_DAYS) if self._matches(day)), None)

    def _matches(self, ordinal: int) -> bool:
        date = datetime.fromordinal(ordinal)
        if date.month not in self._months:
            return False
        day, weekday = date.day in self._days, date.isoweekday() % 7 in self._weekdays
        return day or weekday if self._either_day else day and weekday


def _parse_field(
    text: str, field: str, name: str, low: int, high: int, names: Mapping[str, int]
) -> list[int]:
    """The sorted numbers that one field matches."""
    size = high - low + 1
    most = 7 if names.get("sun") == 0 else high  # crontab(5): 7 is Sunday too

    def number(word: str) -> int:
        value = names.get(word, -1) if not word.isdigit() else int(word)
        if not low <= value <= most:
            raise CronError(f"cron expression {text!r}: {name} {word!r} is not within {low}-{most}")
        return value

    matched: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or (match["step"] and not (match["star"] or match["high"])):
            raise CronError(
                f"cron expression {text!r}: {name} {item!r} is not *, a number, a range or a range/step"
            )
        start = low if match["star"] else number(match["low"])
        stop = high if match["star"] else number(match["high"] or match["low"])
        step = int(match["step"] or 1)
        if step == 0:
            raise CronError(f"cron expression {text!r}: {name} {item!r} has a step of 0")
        if stop < start:  # it goes on at the start: fri-mon
            stop += size
        matched.update(low + (value - low) % size for value in range(start, stop + 1, step))
    return sorted(matched)


class Cron:
    """One registered cron job.

    Attributes:
        name: its identifier.
        function: a Function or its name, "module:function".
        args: the arguments of each run.
        schedule: the schedule as a document, in Convex's spelling: `{"type": "hourly", "minuteUTC": 30}`.
    """

    __slots__ = ("_next", "args", "function", "name", "schedule")

    def __init__(
        self,
        name: str,
        function: Any,
        args: Mapping[str, Any] | None,
        schedule: dict[str, Any],
        next_run: _NextRun,
    ) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[ -~]*", name):
            raise CronError(
                f"Invalid cron identifier {name}: use ASCII letters that are not control characters"
            )
        if not isinstance(args, (Mapping, type(None))):
            raise CronError(f"The args of cron {name!r} must be a dict, not {args!r}")
        self.name, self.function, self.args, self.schedule = name, function, dict(args or {}), schedule
        self._next = next_run

    def next_run(self, now: float, previous: float | None = None) -> float:
        """When it runs next, in seconds since the epoch: after `now`, or at `now` for a new interval.

        Args:
            now: the current time in seconds.
            previous: the time of its last scheduled run; runs missed since then are left out.
        """
        return self._next(now, previous)

    def replan(self, planned: float, now: float) -> float:
        """The planned next run, or an earlier one if the clock went back too far to wait for it.

        An interval keeps its beat, and takes no notice of a clock that is a little behind: of two processes
        that start together, the other may have run it already. A clock schedule holds still for up to three
        hours, as Vixie's cron does, so that 08:00 does not come twice when a clock is corrected.
        """
        held = _JITTER_SECONDS if self.schedule["type"] == "interval" else _HELD_SECONDS
        return planned if self._next(now + held, planned) >= planned else self._next(now, planned)


class Crons:
    """The cron jobs of an app: `crons = Crons()` in `crons.py`.

    Each method takes `function` (a mutation or an action, or its name) and `args`, the arguments of each run,
    as a dict. At most one run of a cron is under way at a time; one that falls into another is skipped and
    logged. `splay_seconds` spreads clock schedules: a cron starts later by a part of it that its name
    determines.

    Raises:
        CronError: each method, for a name that is taken or not printable ASCII, or a number out of its range.
    """

    def __init__(self) -> None:
        self._crons: dict[str, Cron] = {}

    def __iter__(self) -> Iterator[Cron]:
        return iter(self._crons.values())

    def __len__(self) -> int:
        return len(self._crons)

    def interval(
        self,
        name: str,
        *,
        function: Any,
        args: Mapping[str, Any] | None = None,
        seconds: int | None = None,
        minutes: int | None = None,
        hours: int | None = None,
    ) -> None:
        """Run every so many seconds, minutes or hours (exactly one of them), the first time at once."""
        units = {"seconds": seconds, "minutes": minutes, "hours": hours}
        given = {unit: value for unit, value in units.items() if value is not None}
        if len(given) != 1:
            raise CronError("Must specify one of seconds, minutes, or hours")
        ((unit, value),) = given.items()
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise CronError(f"Interval must be an integer greater than 0, not {value!r}")
        period = value * _UNIT_SECONDS[unit]

        def next_run(now: float, previous: float | None) -> float:
            return now if previous is None else previous + ((now - previous) // period + 1) * period

        self._add(Cron(name, function, args, {**given, "type": "interval"}, next_run))

    def hourly(self, name: str, *, minute_utc: int | None = None, **options: Any) -> None:
        """Run every hour at `minute_utc` (0-59, default 0)."""
        self._clock(name, "{minuteUTC} * * * *", {"minuteUTC": minute_utc, "type": "hourly"}, **options)

    def daily(self, name: str, *, hour_utc: int, minute_utc: int | None = None, **options: Any) -> None:
        """Run every day at `hour_utc` (0-23) and `minute_utc` (0-59, default 0)."""
        fields = {"hourUTC": hour_utc, "minuteUTC": minute_utc, "type": "daily"}
        self._clock(name, "{minuteUTC} {hourUTC} * * *", fields, **options)

    def weekly(
        self, name: str, *, day_of_week: str, hour_utc: int, minute_utc: int | None = None, **options: Any
    ) -> None:
        """Run every week on `day_of_week`, such as "monday", at `hour_utc` and `minute_utc`."""
        fields = {"dayOfWeek": day_of_week, "hourUTC": hour_utc, "minuteUTC": minute_utc, "type": "weekly"}
        self._clock(name, "{minuteUTC} {hourUTC} * * {dayOfWeek:.3}", fields, **options)

    def monthly(
        self, name: str, *, day: int, hour_utc: int, minute_utc: int | None = None, **options: Any
    ) -> None:
        """Run every month on `day` (1-31; a shorter month is skipped) at `hour_utc` and `minute_utc`."""
        fields = {"day": day, "hourUTC": hour_utc, "minuteUTC": minute_utc, "type": "monthly"}
        self._clock(name, "{minuteUTC} {hourUTC} {day} * *", fields, **options)

    def cron(self, name: str, expression: str, **options: Any) -> None:
        """Run as a cron expression says, for example `"0 12 * * 1,5"`: at noon on Mondays and Fridays."""
        self._clock(name, "{cron}", {"cron": expression, "type": "cron"}, **options)

    def _clock(
        self,
        name: str,
        template: str,
        fields: dict[str, Any],
        *,
        function: Any = None,
        args: Mapping[str, Any] | None = None,
        splay_seconds: int = 0,
        **unknown: Any,
    ) -> None:
        if unknown or function is None:
            problem = f"has no argument {min(unknown)!r}" if unknown else "needs a function"
            raise CronError(f"crons.{fields['type']}() {problem}")
        schedule = {field: value for field, value in fields.items() if (field, value) != ("minuteUTC", None)}
        for field, value in schedule.items():
            _check(field, value)
        if not _is_int(splay_seconds, 0, 3600):
            raise CronError(f"splay_seconds must be an integer from 0 to 3600, not {splay_seconds!r}")
        expression = CronExpression(template.format_map({"minuteUTC": 0, **schedule}))
        if splay_seconds:
            schedule["splaySeconds"] = splay_seconds
        digest = hashing.sha256(str(name).encode("utf-8", "replace")).digest()
        splay = int.from_bytes(digest[:8], "big") % (splay_seconds + 1)

        def next_run(now: float, previous: float | None) -> float:
            return expression.next_run(now - splay) + splay

        self._add(Cron(name, function, args, schedule, next_run))

    def _add(self, cron: Cron) -> None:
        if cron.name in self._crons:
            raise CronError(f"Cron identifier registered twice: {cron.name}")
        self._crons[cron.name] = cron


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


_RANGES = {
    "minuteUTC": ("Minute of hour", 0, 59),
    "hourUTC": ("Hour of day", 0, 23),
    "day": ("Day of month", 1, 31),
}


def _check(field: str, value: object) -> None:
    if field == "dayOfWeek" and value not in _DAYS:
        raise CronError(f'Day of week must be a string like "monday", not {value!r}')
    if field in _RANGES:
        what, low, high = _RANGES[field]
        if not _is_int(value, low, high):
            raise CronError(f"{what} must be an integer from {low} to {high}, not {value!r}")
