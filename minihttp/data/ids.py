# SPDX-License-Identifier: MIT
"""Document ids: 32 characters of base32hex that carry their table and their creation time.

6 characters of the table (30 bits of its name's SHA-256), 11 of the creation time in microseconds, 15 random.
The alphabet `0-9a-v` sorts like the number it spells, so id order within a table is creation order. Knows no
documents.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Final

from ..hashing import sha256

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
ID_LENGTH: Final = 32
TAG_LENGTH: Final = 6
TIME_END: Final = 17
MAX_MICROSECONDS: Final = 32 ** (TIME_END - TAG_LENGTH)
ABOVE: Final = "w"  # sorts above every character of an id: `prefix + ABOVE` ends the range of a prefix
_RANDOM_LENGTH: Final = ID_LENGTH - TIME_END
_POOL_SIZE: Final = 64
_LETTERS: Final = ALPHABET.encode() * 8  # a random byte -> a random letter
_is_id = re.compile(f"[0-9a-v]{{{ID_LENGTH}}}", re.ASCII).fullmatch
_declared: dict[str, str] = {}


@lru_cache(maxsize=1024)
def table_tag(table: str) -> str:
    """The first 6 characters of every id of a table."""
    return _spell(int.from_bytes(sha256(table.encode()).digest()[:4], "big") >> 2, 5 * TAG_LENGTH)


def declare(table: str) -> str:
    """The tag of a table that the app's code names, remembered so that messages can name it (`table_of`)."""
    return _declared.setdefault(table_tag(table), table) and table_tag(table)


def table_of(id: str) -> str | None:
    """The declared table that an id belongs to, or None."""
    return _declared.get(id[:TAG_LENGTH])


def is_id(text: object) -> bool:
    """Whether a value has the form of an id (of whatever table)."""
    return isinstance(text, str) and _is_id(text) is not None


def microseconds(id: str) -> int:
    """The creation time of a document in microseconds since the epoch."""
    return int(id[TAG_LENGTH:TIME_END], 32)


_PAIRS: Final = [a + b for a in ALPHABET for b in ALPHABET]


def _spell(number: int, bits: int) -> str:
    """A number in base32hex, two characters for each 10 bits."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(bits - 10, -1, -10)])


def time_text(microseconds: int) -> str:
    """The 11 characters of a creation time inside an id."""
    return _spell_high(microseconds >> 15) + _PAIRS[microseconds >> 5 & 1023] + ALPHABET[microseconds & 31]


@lru_cache(maxsize=64)
def _spell_high(number: int) -> str:
    """The first 8 of them, which are the same for 33 ms."""
    return _spell(number, 40)


def derived(table: str, microseconds: int, source: bytes) -> str:
    """An id of a table that follows from where it comes from: the same `source` always gives the same id."""
    random = _spell(int.from_bytes(sha256(source).digest()[:10], "big"), 80)[:_RANDOM_LENGTH]
    return table_tag(table) + time_text(microseconds) + random


class IdMaker:
    """Makes ids whose creation times strictly increase, also when the clock stands still or goes back.

    Args:
        clock: Unix seconds.
        randomness: n -> n random bytes; asked for many ids at a time, since asking gives the interpreter
            lock away.
    """

    def __init__(self, clock: Callable[[], float], randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._randomness = randomness
        self._lock = Lock()
        self._last = 0
        self._pool: list[str] = []  # random ends of ids
        self._process = 0  # whose pool it is: a forked child must not give out the same ones

    def make(self, tag: str) -> str:
        """A new id of the table with that tag."""
        with self._lock:
            self._last = now = max(int(self._clock() * 1_000_000), self._last + 1)
            if not self._pool or self._process != os.getpid():
                self._fill()
            random = self._pool.pop()
        return tag + time_text(now) + random

    def _fill(self) -> None:
        letters = self._randomness(_RANDOM_LENGTH * _POOL_SIZE).translate(_LETTERS).decode()
        self._pool = [letters[n : n + _RANDOM_LENGTH] for n in range(0, len(letters), _RANDOM_LENGTH)]
        self._process = os.getpid()
