# SPDX-License-Identifier: MIT
"""The PostgreSQL engine: the contract on each version that is here, and what it promises beyond it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.documents import DocumentBackendContract
from tests.postgresql_server import VERSIONS, postgresql, schema_for


@pytest.mark.parametrize("version", VERSIONS, scope="class", ids=lambda version: f"PostgreSQL-{version}")
class TestPostgreSQL(DocumentBackendContract):
    backend_class = "storage_backends.postgresql:DocumentBackend"
    kills = 10

    @pytest.fixture(autouse=True)
    def server(self, version: str) -> None:
        self._server = postgresql(version)

    def location(self, tmp_path: Path) -> str:
        return self._server.location(schema_for(tmp_path))
