# SPDX-License-Identifier: MIT
"""What the tests of the engine share: where the file is, one that is open, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage_backends.sqlite import DocumentBackend


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "app.db")


@pytest.fixture
def backend(path: str) -> Iterator[DocumentBackend]:
    backend = DocumentBackend(path, busy_seconds=0.05, max_batch_seconds=60)
    yield backend
    backend.close()


def refused(number: int, call: Any) -> str:
    with pytest.raises(DocumentBackend.Fault) as caught:
        call()
    assert caught.value.errno == number, caught.value
    return str(caught.value)
