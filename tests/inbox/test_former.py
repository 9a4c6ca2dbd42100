# SPDX-License-Identifier: MIT
"""Whether rows of an earlier version are known to be there, and what is loaded for them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from minihttp.inbox.former import kept_indexes
from storage_backends.sqlite import DocumentBackend
from tests.inbox.test_upgrade import DUMP, ROOT, made

pytestmark = pytest.mark.sqlite


def test_the_index_stays_while_there_are_rows_that_need_it(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "app.db")
    connection.executescript(DUMP.read_text("utf-8"))
    connection.close()
    found = []
    for _ in range(2):
        backend = DocumentBackend(str(tmp_path / "app.db"))
        with backend.read(None) as engine:
            found.append(kept_indexes(engine))
        backend.close()
        made(tmp_path).open().close()
    assert found == [{("_webhook_deliveries", "by_key")}, frozenset()]


def test_without_such_rows_nothing_is_loaded_for_them(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tests.inbox.test_upgrade import made
made(Path({str(tmp_path)!r})).open().close()
print("minihttp.inbox.upgrade" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")
