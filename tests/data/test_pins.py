# SPDX-License-Identifier: MIT
"""How long a pinned snapshot is kept: for thirty seconds, and none while the engine's log is too long."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from minihttp.data.pins import MAX_LOG_BYTES, MAX_PINS, PIN_SECONDS, Pins
from minihttp.errors import DocumentError


class Engine:
    """Counts the snapshots that are open."""

    Fault = OSError

    def __init__(self) -> None:
        self.open = self.log_bytes = 0
        self.now = 0.0
        self.taken: list[int] = []

    @contextmanager
    def read(self, deadline: float | None) -> Iterator[Any]:
        self.open += 1
        yield self
        self.open -= 1

    def get(self, id: str) -> None:
        return None

    def statistics(self) -> dict[str, int]:
        return {"wal_bytes": self.log_bytes}

    def publish(self, snapshot: Any, number: int, seconds: float) -> bool:
        return number not in self.taken

    def published(self, number: int) -> Any:
        raise OSError(errno.ENOENT, "there are no others")

    def pins(self) -> Pins:
        return Pins(self, lambda: self.now, lambda: self.now)  # type: ignore[arg-type]


def test_use_does_not_renew_a_pin() -> None:
    engine = Engine()
    pins = engine.pins()
    at = pins.pin()
    for _ in range(3):
        engine.now += PIN_SECONDS / 4
        with pins.at(at):
            pass
    engine.now += PIN_SECONDS / 2
    with pytest.raises(DocumentError, match="No snapshot"), pins.at(at):
        pass
    pins.release_stale()
    assert engine.open == 0


def test_a_pin_that_grew_too_old_while_it_was_used_goes_afterwards() -> None:
    engine = Engine()
    pins = engine.pins()
    with pins.at(pins.pin()):
        engine.now += PIN_SECONDS + 1
        pins.release_stale()
        assert engine.open == 1
    assert engine.open == 0


def test_a_number_that_another_process_has_is_not_used() -> None:
    engine = Engine()
    engine.taken = [1, 2]
    assert engine.pins().pin() == 3


def test_pins_are_few() -> None:
    engine = Engine()
    pins = engine.pins()
    for _ in range(3 * MAX_PINS):
        pins.pin()
    assert engine.open == MAX_PINS
    pins.close()
    assert engine.open == 0


def test_all_go_when_the_log_is_too_long() -> None:
    engine = Engine()
    pins = engine.pins()
    for _ in range(3):
        pins.pin()
    engine.log_bytes = MAX_LOG_BYTES + 1
    pins.release_stale()
    assert engine.open == 0
