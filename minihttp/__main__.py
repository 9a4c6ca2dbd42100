# SPDX-License-Identifier: MIT
"""`python -m minihttp`: the command line, under whatever name the package was copied to."""

from .cli import main

raise SystemExit(main())
