# SPDX-License-Identifier: MIT
"""`python -m tests.validated …` is `python -m minihttp …` with every request inside `wsgiref.validate`."""

from __future__ import annotations

import os
import sys
from typing import Any

from minihttp import cli, server

from .live import Validated

if os.environ.get("CI_DOCUMENTS") == "postgresql":  # of the test that has started this process
    from . import on_postgresql  # noqa: F401


def main() -> int:
    serve = server.serve

    def validated(app: Any, **settings: Any) -> None:
        serve(Validated(app), **settings)

    server.serve = validated
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
