# SPDX-License-Identifier: MIT
"""Documents as data: which Python values are Convex values, how they are written, and how they are ordered.

None, bool, int and float (both float64), `Int64`, str, bytes, list and dict; `UNSET` for what is not there.
Knows no schema, no tables and no database.
"""

from __future__ import annotations

from .formats import (
    MAX_EXACT_INT,
    copy,
    decode,
    dumps,
    dumps_changed,
    encode_clean,
    encode_wire,
    loads,
    untag,
)
from .order import compare, index_key
from .plain import UNSET, Int64, Unset, show
from .sizes import largest_part, size_bytes
from .stored import StoredDocument, stored_text
from .walk import WireBounds

__all__ = [
    "MAX_EXACT_INT",
    "UNSET",
    "Int64",
    "StoredDocument",
    "Unset",
    "WireBounds",
    "compare",
    "copy",
    "decode",
    "dumps",
    "dumps_changed",
    "encode_clean",
    "encode_wire",
    "index_key",
    "largest_part",
    "loads",
    "show",
    "size_bytes",
    "stored_text",
    "untag",
]
