# SPDX-License-Identifier: MIT
"""What a listening server has in memory. What it does is in `test_server` and `test_edges`."""

from __future__ import annotations

import subprocess
import sys

from tests.live import ROOT

HEAVY = {"unicodedata", "ssl", "email", "http.client", "zipfile", "inspect", "tempfile", "ctypes"}


def test_a_server_loads_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys\n"
        "from minihttp.cli import serve\n"
        "from minihttp.server import Server\n"
        "server = Server(lambda environ, start_response: [], port=0)\n"
        "server.close()\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
