# SPDX-License-Identifier: MIT
"""What the tests of PostgreSQL share: a database in a schema of its own, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql_server import postgresql, schema_for

pytest.importorskip("psycopg", reason="the extra postgresql is not installed")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Any]:
    backend = open_backend(postgresql().location(schema_for(tmp_path)))
    yield backend
    backend.close()


def open_backend(location: str) -> Any:
    from storage_backends.postgresql import DocumentBackend

    return DocumentBackend(location)


def refused(number: int, location: str) -> str:
    from storage_backends.postgresql import DocumentBackend

    with pytest.raises(DocumentBackend.Fault) as caught:
        DocumentBackend(location)
    assert caught.value.errno == number, caught.value
    return str(caught.value)
