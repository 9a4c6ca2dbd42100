# SPDX-License-Identifier: MIT
"""Run suites once more on PostgreSQL: `CI_DOCUMENTS=postgresql pytest tests/data tests/functions`.

Every `:memory:` and every path of an sqlite database becomes a schema of a server. Tests that look into,
lock, damage or measure the sqlite engine fail then: they are about nothing else.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import storage_backends.sqlite
from storage_backends.postgresql import DocumentBackend
from tests.postgresql_server import postgresql, schema_for


class OnPostgreSQL(DocumentBackend):
    def __init__(self, location: str, **options: Any) -> None:
        place = secrets.token_hex(8) if location == ":memory:" else os.path.abspath(location)
        super().__init__(postgresql().location(schema_for(place)))


storage_backends.sqlite.DocumentBackend = OnPostgreSQL  # type: ignore[assignment,misc]
