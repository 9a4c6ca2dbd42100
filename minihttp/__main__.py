# SPDX-License-Identifier: MIT
"""`python -m minihttp`: the command line, under whatever name the package was copied to.

The current folder, which `-m` puts before everything, comes behind the standard library here: a backend's
`http.py`, `queue.py` or `types.py` is not Python's own for whoever works inside that folder.
"""

import sys

if not getattr(sys.flags, "safe_path", False) and sys.path:
    _paths = sys.path
    _library = [n for n, path in enumerate(_paths) if path.endswith(("lib-dynload", ".zip"))]
    _paths.insert(max(_library, default=len(_paths) - 1), _paths.pop(0))

from .cli import main

raise SystemExit(main())
