# SPDX-License-Identifier: MIT
"""What a listening server and an idle app have in memory. What it does is in `test_server`, `test_edges`."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

from minihttp.server import Server, ServerSettings
from minihttp.server.listener import Listener, ListenerSettings
from tests.live import ROOT

HEAVY = {"unicodedata", "ssl", "email", "http.client", "zipfile", "inspect", "tempfile", "ctypes"}
HEAVY |= {"_hashlib", "shutil", "dataclasses", "urllib.request"}
SECRETS = {"GITHUB_WEBHOOK_SECRET": "a secret of the hub", "STRIPE_WEBHOOK_SECRET": "whsec_of_the_stripe_hub"}


def test_a_server_loads_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys\n"
        "from minihttp.cli import _parser, serve\n"
        "from minihttp.server import Server\n"
        "_parser(['serve']).parse_args(['serve', '--port', '0'])\n"
        "server = Server(lambda environ, start_response: [], port=0)\n"
        "server.close()\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_idle_shop_loads_nothing_that_only_requests_need(tmp_path: Path) -> None:
    """Signatures, keys from other machines, archives: with its secrets set, and its jobs running."""
    code = (
        "import sys\n"
        "from minihttp import App\n"
        f"app = App.from_target('examples/shop').configure(data={str(tmp_path / 'data')!r}).prepare()\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
        "app.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_type_checkers_are_told_the_settings_that_there_are() -> None:
    taken = get_type_hints(Listener.__init__)
    assert get_type_hints(ListenerSettings) == {
        name: hint for name, hint in taken.items() if name not in ("app", "sock", "return")
    }
    own = inspect.signature(Server.__init__).parameters.keys() - {"self", "app", "settings"}
    assert get_type_hints(ServerSettings).keys() == own | get_type_hints(ListenerSettings).keys()
