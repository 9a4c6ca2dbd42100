# SPDX-License-Identifier: MIT
"""Worlds for the tests of this folder: in memory, or on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds on disk, closed after the test."""
    made: list[World] = []

    def make(name: str = "app.db", **options: Any) -> World:
        made.append(World(str(tmp_path / name), **options))
        return made[-1]

    yield make
    for world in made:
        world.close()
