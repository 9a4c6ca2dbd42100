# SPDX-License-Identifier: MIT
"""`psycopg.pq`, which is libpq, without the rest of psycopg.

`import psycopg` loads adapters, cursors and types for 4 MiB that this engine does not use. It begins with
`psycopg.pq`; here that module is imported alone. An app that imports psycopg later has the whole package,
with the modules that are there already. Not a backend itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType

_NAME = "psycopg"


class _Rest(MetaPathFinder, Loader):
    """Imports the package itself, once somebody wants it: as the module whose children are imported."""

    def __init__(self, package: ModuleType, spec: ModuleSpec, loader: Loader) -> None:
        self._package, self._spec, self._loader = package, spec, loader
        spec.loader = self

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        return self._spec if fullname == _NAME else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._package

    def exec_module(self, module: ModuleType) -> None:
        self._spec.loader = module.__loader__ = self._loader
        sys.meta_path.remove(self)
        self._loader.exec_module(module)


def _import_libpq() -> None:
    spec = None if _NAME in sys.modules else find_spec(_NAME)
    if spec is None or spec.loader is None:
        return
    sys.modules[_NAME] = package = module_from_spec(spec)
    try:
        import_module(f"{_NAME}.pq")
    finally:
        del sys.modules[_NAME]
    sys.meta_path.insert(0, _Rest(package, spec, spec.loader))


try:
    _import_libpq()
    # Not `from psycopg import`, which would import the package.
    from psycopg.errors import Error
    from psycopg.pq import Conninfo, ConnStatus, DiagnosticField, ExecStatus, PGconn, PollingStatus
except ImportError as missing:  # psycopg without a libpq raises a plain ImportError
    raise ModuleNotFoundError(str(missing), name=_NAME) from None

__all__ = ("ConnStatus", "Conninfo", "DiagnosticField", "Error", "ExecStatus", "PGconn", "PollingStatus")
