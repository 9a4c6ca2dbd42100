# SPDX-License-Identifier: MIT
"""`python -m tests.validated …` is `python -m minihttp …` with every request inside `wsgiref.validate`."""

from __future__ import annotations

import sys
from typing import Any

from minihttp import cli, server

from .live import Validated


def main() -> int:
    serve = server.serve

    def validated(app: Any, **settings: Any) -> None:
        serve(Validated(app), **settings)

    server.serve = validated
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
