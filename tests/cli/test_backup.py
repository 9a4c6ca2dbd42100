# SPDX-License-Identifier: MIT
"""`backup` and `restore` as a person has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.shell import ROOT

KILLED = """
import os, sys
from tests.snapshot.world import make_app
from minihttp.limits import DEFAULT_LIMITS
app = make_app(sys.argv[1], limits=DEFAULT_LIMITS.changed(mutation_seconds=60.0))
with app:
    storage, number = app.files.outside(), 0
    while True:
        number += 1
        id = storage.store(b"%d" % number * 1000)
        app.run_mutation("tests/snapshot/world:fill", count=2)
        if number % 3 == 0:
            storage.delete(id)
        print(number * 2, flush=True)
"""


def test_backups_of_an_app_that_is_killed(tmp_path: Path) -> None:
    """Backups beside a process that is killed: each, restored, is whole and has what was told before."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = 0
    for round_ in range(3):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "data")]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        before = told
        for _ in range(10):
            told = before + int(process.stdout.readline())
        backup = [sys.executable, "-m", "minihttp", "backup", str(tmp_path / f"backups{round_}")]
        app = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.snapshot.world import make_app; "
        (tmp_path / "app.py").write_text(app + f"app = make_app({str(tmp_path / 'data')!r})\n")
        pipe = {"stderr": subprocess.PIPE, "text": True}
        making = subprocess.Popen([*backup, "app.py"], cwd=tmp_path, env=env, **pipe)
        if round_ == 1:
            process.kill()  # while the backup is made
        _, error = making.communicate()
        assert making.returncode == 0, error
        process.kill()
        process.stdout.close()
        process.wait()
        told_at_backup, told = told, 0
        restored = tmp_path / f"restored{round_}"
        from minihttp.cli import main

        here = os.getcwd()
        os.chdir(tmp_path)
        try:
            arguments = ["restore", str(tmp_path / f"backups{round_}"), "--data", str(restored), "app.py"]
            sys.modules.pop("app", None)
            assert main(arguments, dict(env)) == 0
        finally:
            os.chdir(here)
            sys.modules.pop("app", None)
        from tests.snapshot.world import documents, make_app

        with make_app(restored) as again:
            assert again.run_action("_app:check") == []
            assert len(documents(again)["users"]) >= told_at_backup
        with make_app(tmp_path / "data") as live:
            told = len(documents(live)["users"])
