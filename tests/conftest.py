# SPDX-License-Identifier: MIT
"""What a machine may bring that no test is about: a proxy in the environment is not the way to 127.0.0.1."""

from __future__ import annotations

import os

for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = f"{os.environ.get(name, '')},127.0.0.1".lstrip(",")

if os.environ.get("CI_DOCUMENTS") == "postgresql":  # every database of a test in a schema of its own
    import tests.on_postgresql  # noqa: F401
