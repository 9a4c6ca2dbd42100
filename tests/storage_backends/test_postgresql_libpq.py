# SPDX-License-Identifier: MIT
"""libpq is imported alone, and an app that imports psycopg before or after has the whole of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live import ROOT

pytest.importorskip("psycopg", reason="the extra postgresql is not installed")


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


AFTER = """
import sys
from storage_backends import postgresql_libpq
from storage_backends.postgresql_connection import Connection, Fault, Target
assert "psycopg" not in sys.modules and "psycopg.cursor" not in sys.modules
finders = len(sys.meta_path)
"""
WHOLE = """
import psycopg
assert sys.modules["psycopg"] is psycopg and psycopg.pq is sys.modules["psycopg.pq"]
assert psycopg.Error is postgresql_libpq.Error is psycopg.errors.Error
assert type(psycopg.__spec__.loader).__name__ == type(psycopg.__loader__).__name__ == "SourceFileLoader"
for connect in (psycopg.connect, lambda url: postgresql_libpq.Conninfo.parse(url.encode())):
    try:
        connect("host=")
        connect("nonsense")
    except psycopg.Error:
        pass
    else:
        raise AssertionError
import psycopg.rows, psycopg.types.json
assert psycopg.rows.dict_row and psycopg.types.json.Jsonb and psycopg.sql.SQL
"""
FIRST = (
    "import psycopg",
    "import psycopg.rows",
    "from psycopg import sql",
    "from psycopg import connect, errors",
    "from psycopg.errors import UniqueViolation",
    "from psycopg.types.json import Jsonb",
    "import importlib.util; assert importlib.util.find_spec('psycopg').origin.endswith('__init__.py')",
)


@pytest.mark.parametrize("first", FIRST)
def test_psycopg_is_whole_when_it_is_imported_later(first: str) -> None:
    run(f"{AFTER}{first}\n{WHOLE}assert len(sys.meta_path) == finders - 1")


def test_psycopg_that_is_there_already_is_used() -> None:
    run(f"import psycopg, sys\nfrom storage_backends import postgresql_libpq\n{WHOLE}")


def test_without_psycopg_it_says_what_is_missing() -> None:
    program = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{hidden}":
            raise {error}
sys.meta_path.insert(0, Hidden())
try:
    import storage_backends.postgresql
except ModuleNotFoundError as error:
    print(error.name, "psycopg" in sys.modules)
"""
    absent = program.format(hidden="psycopg", error="ModuleNotFoundError(name, name=name)")
    assert run(absent) == "psycopg False"
    no_libpq = program.format(hidden="psycopg_binary", error="ImportError(name)")
    assert run("import os; os.environ['PSYCOPG_IMPL'] = 'binary'" + no_libpq) == "psycopg False"
