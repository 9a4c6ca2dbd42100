# SPDX-License-Identifier: MIT
"""A connection that cannot be: its URL, its server, its database."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.contracts.documents import get, together
from tests.postgresql_server import Server, free_port, postgresql, schema_for
from tests.storage_backends.on_a_server import backend, open_backend, refused

__all__ = ["backend"]


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    server = postgresql()
    assert "does not exist" in refused(errno.ENOENT, f"//minihttp@127.0.0.1:{server.port}/nowhere")
    assert "does not exist" in refused(errno.EACCES, f"//nobody_here@127.0.0.1:{server.port}/minihttp")


@pytest.mark.parametrize(
    "location",
    ["//h/x?writers=9", "//h/x?connections=many", "//h/x?prepare=2", "//h/x?unknown=1", "//a:se cret@[h/x"],
)
def test_a_url_that_is_none_is_refused_without_its_password(location: str) -> None:
    assert "cret" not in refused(errno.EINVAL, location)


def test_a_server_without_free_connections(tmp_path: Path) -> None:
    import psycopg

    server = Server(postgresql().version, max_connections="6", superuser_reserved_connections="0").create()
    place = f"postgresql://minihttp@127.0.0.1:{server.port}/minihttp"
    taken = [psycopg.connect(place) for _ in range(6)]
    try:
        assert "connections= of the URL" in refused(errno.EAGAIN, server.location("public"))
    finally:
        for connection in taken:
            connection.close()
        server.remove()


@pytest.fixture
def bouncer(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """pgbouncer in transaction mode with four connections to the server; its port and a role."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        assert "CI_REQUIRE_SERVERS" not in os.environ, "there is no pgbouncer here"
        pytest.skip("there is no pgbouncer here")
    from storage_backends.postgresql_connection import SETTINGS

    server, role, schema, port = postgresql(), "bounced", schema_for(tmp_path), free_port()
    for statement in (
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        f"CREATE SCHEMA {schema} AUTHORIZATION {role}",
        f"ALTER ROLE {role} SET search_path = {schema}",
        *(f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in SETTINGS.items()),
    ):
        server.execute(statement)
    config = tmp_path / "pgbouncer.ini"
    (tmp_path / "users.txt").write_text(f'"{role}" ""\n')
    config.write_text(
        f"[databases]\nminihttp = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {tmp_path}/users.txt\n"
        "pool_mode = transaction\ndefault_pool_size = 4\nignore_startup_parameters = options\n"
    )
    user = "postgres" if os.getuid() == 0 else ""
    for path in (tmp_path, *tmp_path.parents[:2], config, tmp_path / "users.txt"):
        path.chmod(path.stat().st_mode | 0o055)
    command = [program, "-q", str(config)]
    process = subprocess.Popen([*command[:1], "-u", user, *command[1:]] if user else command)
    end = monotonic() + 30
    while monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
    yield port, role
    process.kill()
    process.wait()


def test_behind_a_pooler(bouncer: tuple[int, str]) -> None:
    port, role = bouncer
    backend = open_backend(f"//{role}@127.0.0.1:{port}/minihttp?prepare=0")
    backend.listen(lambda: None)

    def increment(w: Any) -> None:
        w.put("n", "table", str(int((w.get("n") or ("", "0"))[1]) + 1), [], ())

    def work() -> None:
        for _ in range(40):
            backend.write(increment, None)
            with backend.read(None) as reading:
                assert reading.get("n") is not None

    together([work] * 6)
    assert get(backend, "n") == ("table", "240")
    backend.close()
