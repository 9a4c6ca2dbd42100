# SPDX-License-Identifier: MIT
"""What a machine may bring that no test is about: a proxy in the environment is not the way to 127.0.0.1."""

from __future__ import annotations

import os

for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = f"{os.environ.get(name, '')},127.0.0.1".lstrip(",")
