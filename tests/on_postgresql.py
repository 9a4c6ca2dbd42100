# SPDX-License-Identifier: MIT
"""Run suites once more on PostgreSQL: `CI_DOCUMENTS=postgresql pytest tests/data tests/functions`.

Every `:memory:` and every path of an sqlite database becomes a schema of a server. Tests marked `sqlite` are
left out: they look into, lock, damage, patch or measure that engine, or start it in a process of its own.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import minihttp.app.services
import storage_backends.sqlite
from storage_backends.postgresql import DocumentBackend
from tests.postgresql_server import postgresql, schema_for


class OnPostgreSQL(DocumentBackend):
    def __init__(self, location: str, **options: Any) -> None:
        place = secrets.token_hex(8) if location == ":memory:" else os.path.abspath(location)
        super().__init__(postgresql().location(schema_for(place)))


postgresql()  # from this thread: the server ends with the thread that has started it
storage_backends.sqlite.DocumentBackend = OnPostgreSQL  # type: ignore[assignment,misc]
# The files of a test are in the folder of its database, which an app of several machines has to name.
minihttp.app.services._refuse_files_of_one_machine = lambda *stores: None  # type: ignore[assignment]
