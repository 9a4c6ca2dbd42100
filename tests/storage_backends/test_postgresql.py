# SPDX-License-Identifier: MIT
"""The PostgreSQL engine: the contract on each version that is here, and what it promises beyond it."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.contracts.documents import DocumentBackendContract, get, put
from tests.cutting_proxy import CuttingProxy
from tests.postgresql_server import VERSIONS, postgresql, schema_for
from tests.storage_backends.on_a_server import backend, open_backend

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


# ---------------------------------------------------------------- the end of a snapshot


def snapshots(name: str) -> int:
    where = f"application_name = '{name}' AND state = 'idle in transaction'"
    [(count,)] = postgresql().execute(f"SELECT count(*) FROM pg_stat_activity WHERE {where}")
    return int(count)


def test_a_snapshot_that_nobody_follows_ends_all_the_same(tmp_path: Path) -> None:
    name = schema_for(tmp_path)
    backend = open_backend(postgresql().location(name, f"application_name={name}"))
    backend.listen(lambda: None)
    assert get(backend, "a") is None
    assert snapshots(name) <= 1
    end = monotonic() + 30
    while snapshots(name):
        assert monotonic() < end
    put(backend, "a", "1")
    assert get(backend, "a") == ("table", "1")
    backend.close()


def test_each_snapshot_is_a_new_one_and_a_broken_line_no_error(tmp_path: Path) -> None:
    proxy = CuttingProxy(postgresql().port)
    backend = open_backend(postgresql().location(schema_for(tmp_path), port=proxy.port))
    backend.listen(lambda: None)
    for n in range(20):
        put(backend, "a", str(n))
        assert get(backend, "a") == ("table", str(n))
        if n % 5 == 4:
            proxy.break_all()
    backend.close()
    proxy.close()


def test_without_one_who_looks_a_snapshot_ends_at_once(tmp_path: Path) -> None:
    name = schema_for(tmp_path)
    backend = open_backend(postgresql().location(name, f"application_name={name}"))
    assert get(backend, "a") is None
    end = monotonic() + 30
    while snapshots(name):
        assert monotonic() < end
    backend.close()


@pytest.mark.parametrize("name", ["user", "MyApp", "%22My-app%22"])
def test_a_schema_of_any_name_is_made(name: str) -> None:
    stored = {"user": "user", "MyApp": "myapp", "%22My-app%22": "My-app"}[name]
    postgresql().execute(f'DROP SCHEMA IF EXISTS "{stored}" CASCADE')
    backend = open_backend(postgresql().location(name))
    put(backend, "a", "1")
    assert postgresql().execute(f'SELECT json FROM "{stored}".documents') == [("1",)]
    backend.close()
    postgresql().execute(f'DROP SCHEMA "{stored}" CASCADE')
