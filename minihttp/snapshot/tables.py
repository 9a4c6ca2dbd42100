# SPDX-License-Identifier: MIT
"""The system table of imports: which tables an import that has not ended has finished."""

from __future__ import annotations

from ..data.schema import Table
from ..data.validators import v

IMPORT_TABLES = {
    "_imports": Table({"snapshot": v.string(), "table": v.string(), "documents": v.number()}),
}
