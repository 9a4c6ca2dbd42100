# SPDX-License-Identifier: MIT
"""How long a pinned snapshot is kept: for thirty seconds, and none while the engine's log is too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from minihttp.data.pins import MAX_LOG_BYTES, MAX_PINS, PIN_SECONDS, Pins
from minihttp.errors import DocumentError


class Engine:
    """Counts the snapshots that are open."""

    def __init__(self) -> None:
        self.open = self.log_bytes = 0
        self.now = 0.0

    @contextmanager
    def read(self) -> Iterator[Any]:
        self.open += 1
        yield self
        self.open -= 1

    def get(self, id: str) -> None:
        return None

    def pins(self) -> Pins:
        return Pins(self.read, lambda: self.now, lambda: self.log_bytes, lambda: self.now)


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
