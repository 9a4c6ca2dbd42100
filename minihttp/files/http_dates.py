# SPDX-License-Identifier: MIT
"""HTTP dates, `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110 §5.6.7), both ways and in any locale.

The two obsolete forms are not read: a condition with a date that is not understood is ignored, which is safe.
"""

from __future__ import annotations

import re
import time
from calendar import timegm

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_match = re.compile(
    rf"(?:{'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
).fullmatch


def http_date(unix_seconds: float) -> str:
    """The date, in whole seconds."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(unix_seconds)
    clock = f"{hour:02}:{minute:02}:{second:02}"
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {clock} GMT"


def parse_http_date(text: str | None) -> int | None:
    """Unix seconds, or None when the text is no IMF-fixdate."""
    match = _match(text) if text else None
    if match is None or match[3] < "1970":
        return None
    day, _, year, *clock = (int(part) if part.isdigit() else 0 for part in match.groups())
    return timegm((year, _MONTHS.index(match[2]) + 1, day, *clock))
