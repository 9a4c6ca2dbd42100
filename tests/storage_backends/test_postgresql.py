# SPDX-License-Identifier: MIT
"""The PostgreSQL engine: the contract on each version that is here, and what it promises beyond it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contracts.documents import DocumentBackendContract, get, put
from tests.postgresql_server import VERSIONS, postgresql, schema_for
from tests.storage_backends.on_a_server import backend

__all__ = ["backend"]


@pytest.mark.parametrize("version", VERSIONS, scope="class", ids=lambda version: f"PostgreSQL-{version}")
class TestPostgreSQL(DocumentBackendContract):
    backend_class = "storage_backends.postgresql:DocumentBackend"
    kills = 10

    @pytest.fixture(autouse=True)
    def server(self, version: str) -> None:
        self._server = postgresql(version)

    def location(self, tmp_path: Path) -> str:
        return self._server.location(schema_for(tmp_path))


def test_after_closing(backend: Any) -> None:
    backend.close()
    for call in (lambda: put(backend, "a", "1"), lambda: get(backend, "a")):
        with pytest.raises(backend.Fault, match="closed"):
            call()
