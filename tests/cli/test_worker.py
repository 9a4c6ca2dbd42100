# SPDX-License-Identifier: MIT
"""`worker`: runs jobs until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.cli.jobs_shell import Shell, shell

__all__ = ["shell"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_worker_runs_jobs_until_it_is_told_to_stop(shell: Shell) -> None:
    job = shell.schedule("note", "text=from before")
    command = [sys.executable, "-m", "minihttp", "worker", "--workers", "2"]
    with subprocess.Popen(
        command,
        cwd=shell.folder,
        env=shell.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None and worker.stderr is not None
        assert worker.stderr.readline() == "worker: 2 jobs side by side, until SIGTERM\n"
        assert worker.stdout.readline() == "noted from before\n"
        worker.send_signal(signal.SIGTERM)
        worker.communicate()
    assert worker.returncode == 0
    (shown,) = shell.jobs("show", job)
    assert shown["state"] == {"kind": "success"}


def test_a_worker_needs_workers(shell: Shell) -> None:
    done = shell.python("-m", "minihttp", "worker", code=1)
    assert done.stderr == "minihttp: a worker needs workers: this app has 0, give it --workers 4\n"
