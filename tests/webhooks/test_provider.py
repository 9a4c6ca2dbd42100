# SPDX-License-Identifier: MIT
"""The module of a provider: what only verifies and signs needs nothing of an endpoint."""

from __future__ import annotations

import subprocess
import sys


def test_a_module_that_only_verifies_loads_none_of_it() -> None:
    program = (
        "import sys; from minihttp.webhooks import github\n"
        "assert 'minihttp.webhooks.configured' not in sys.modules\n"
        "assert github.provider('GITHUB').name == 'github'\n"
        "assert 'minihttp.webhooks.configured' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
