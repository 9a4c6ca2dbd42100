# SPDX-License-Identifier: MIT
"""What `doctor` says of a PostgreSQL server whose settings lose what was acknowledged, or make it slow."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("psycopg", reason="the extra postgresql is not installed")


@pytest.mark.parametrize(
    ("setting", "check", "expected"),
    [
        ("synchronous_commit = off", "durability", "synchronous_commit is off"),
        ("synchronous_standby_names = 'sb'", "replication", "synchronous_standby_names = sb; 0 connected"),
    ],
)
def test_settings_of_a_server(setting: str, check: str, expected: str) -> None:
    from storage_backends.postgresql import DocumentBackend
    from tests.postgresql_server import Server, postgresql

    name, _, value = setting.partition(" = ")
    server = Server(postgresql().version, max_pred_locks_per_transaction="64").create()
    try:
        if name == "synchronous_commit":
            server.execute(f"ALTER ROLE minihttp SET {name} = {value}")
        backend = DocumentBackend(server.location("public"))
        if name != "synchronous_commit":  # from here on no commit ends
            server.execute(f"ALTER SYSTEM SET {setting}")
            server.execute("SELECT pg_reload_conf()")
        end = time.monotonic() + 60
        while not any(found == check and expected in detail for found, _, detail in backend.findings()):
            assert time.monotonic() < end, list(backend.findings())
        assert any(found == "conflicts" for found, _, _ in backend.findings())
        server.execute("ALTER SYSTEM RESET ALL")
        server.execute("SELECT pg_reload_conf()")
        backend.close()
    finally:
        server.remove()
