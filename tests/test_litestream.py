# SPDX-License-Identifier: MIT
"""Litestream beside a running app, as the how-to says: what it has sent to a bucket is a whole database."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from minihttp import App
from minihttp.data.consistency import check_documents
from tests.live import PATIENCE_SECONDS, ROOT
from tests.servers import program, seaweedfs

pytest.importorskip("obstore", reason="the extra s3 is not installed")
HOWTO = ROOT / "docs" / "howto" / "litestream.md"


def configuration(database: Path, endpoint: str) -> str:
    """The one of the how-to, for this database and this bucket."""
    [text] = re.findall(r"```text\n(.*?)```", HOWTO.read_text("utf-8"), re.DOTALL)
    for shown, ours in (
        ("/srv/app/data/app.db", str(database)),
        ("https://s3.example.com", endpoint),
        ("bucket: backups", "bucket: minihttp"),
    ):
        assert shown in text
        text = text.replace(shown, ours)
    return text


@pytest.mark.xdist_group("seaweedfs")
def test_what_litestream_sends_is_restored(tmp_path: Path) -> None:
    litestream = program("litestream")
    environment = {**os.environ, "LITESTREAM_ACCESS_KEY_ID": "ci", "LITESTREAM_SECRET_ACCESS_KEY": "ci"}
    environment.pop("AWS_CA_BUNDLE", None)  # with it this version does not start
    with seaweedfs() as bucket, App(data=str(tmp_path / "data"), workers=0) as app:
        app.database.write(lambda t: t.db.insert("items", {"n": 0}))
        config = tmp_path / "litestream.yml"
        config.write_text(configuration(tmp_path / "data" / "app.db", bucket.endpoint))
        with open(tmp_path / "log", "wb") as log:
            command = [litestream, "replicate", "-config", str(config)]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            for n in range(1, 600):  # many commits, and a log that is started anew
                app.database.write(lambda t, n=n: t.db.insert("items", {"n": n, "text": "x" * 20_000}))
            end, number = time.monotonic() + PATIENCE_SECONDS, 0
            while restored(litestream, config, tmp_path / f"new{number}", environment) != 600:
                assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
                number += 1
                time.sleep(0.5)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
    with App(data=str(tmp_path / f"new{number}"), workers=0) as app:
        assert check_documents(app.database) == []
        rows = app.database.read(lambda t: t.db.query("items").collect())
        assert [row["n"] for row in rows] == list(range(600))


def restored(litestream: str, config: Path, folder: Path, environment: dict[str, str]) -> int:
    """How many documents a restored copy has."""
    import sqlite3

    folder.mkdir()
    source = str(config.parent / "data" / "app.db")
    command = [litestream, "restore", "-config", str(config), "-o", str(folder / "app.db"), source]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return -1
    with sqlite3.connect(folder / "app.db") as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM documents WHERE \"table\" = 'items'")
    connection.close()
    return int(count)
