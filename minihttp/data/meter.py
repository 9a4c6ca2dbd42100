# SPDX-License-Identifier: MIT
"""How much one transaction reads and writes, against its limits. Knows no documents, only their sizes."""

from __future__ import annotations

import math
from typing import NoReturn

from ..errors import LimitError
from ..limits import Limits


class Meter:
    """Counts what one transaction reads and writes against its limits.

    Attributes:
        error: the first limit that was passed; a transaction that passed one is undone even if its code goes
            on.
    """

    bytes_read = documents_read = ranges_read = 0
    bytes_written = documents_written = 0
    error: LimitError | None = None

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def count_read(self, size_bytes: int) -> None:
        self.documents_read += 1
        self.bytes_read += size_bytes
        if self.documents_read > self.limits.max_read_documents:
            self._refuse("TooManyDocumentsRead", "documents read", self.limits.max_read_documents)
        if self.bytes_read > self.limits.max_read_bytes:
            self._refuse("TooManyBytesRead", "bytes read", self.limits.max_read_bytes)

    def count_range(self) -> None:
        self.ranges_read += 1
        if self.ranges_read > self.limits.max_read_ranges:
            self._refuse("TooManyReads", "index ranges read", self.limits.max_read_ranges)

    def count_write(self, size_bytes: int) -> None:
        self.documents_written += 1
        self.bytes_written += size_bytes
        if self.documents_written > self.limits.max_write_documents:
            self._refuse("TooManyWrites", "documents written", self.limits.max_write_documents)
        if self.bytes_written > self.limits.max_write_bytes:
            self._refuse("TooManyBytesWritten", "bytes written", self.limits.max_write_bytes)

    def _refuse(self, code: str, what: str, limit: float) -> NoReturn:
        self.error = LimitError(code, f"Too many {what} in a single function execution (limit: {limit})")
        raise self.error


SYSTEM_LIMITS = Limits(
    max_document_bytes=math.inf,
    max_document_fields=math.inf,
    max_document_depth=128,
    max_array_length=math.inf,
    max_read_bytes=math.inf,
    max_read_documents=math.inf,
    max_read_ranges=math.inf,
    max_write_bytes=math.inf,
    max_write_documents=math.inf,
)
"""The framework's own documents (jobs, deliveries, files) are bounded where they are made."""
