# SPDX-License-Identifier: MIT
"""Request bodies too large for memory, in nameless files in a folder of the app's choice.

Waitress's own go to TMPDIR, and are opened so that they can never get a name. On the disk on which the app
keeps its files a file store can take one over, instead of writing an upload twice. Knows no file store.
"""

from __future__ import annotations

import os
from typing import Any

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer


class SpoolBuffer(OverflowableBuffer):  # type: ignore[misc]
    """A body as it arrives: in memory up to `overflow_bytes`, then in a file in `folder`."""

    buf: Any

    def __init__(self, overflow_bytes: int, folder: str) -> None:
        super().__init__(overflow_bytes)
        self.folder = folder

    def _set_large_buffer(self) -> None:
        before = self.buf
        self.buf = _SpoolFile(self.folder, before)
        if before is not None:
            before.close()
        self.overflowed = True


class _SpoolFile(TempfileBasedBuffer):  # type: ignore[misc]
    def __init__(self, folder: str, before: Any) -> None:
        self.folder = folder
        super().__init__(before)

    def newfile(self) -> Any:
        try:
            descriptor = os.open(self.folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except (OSError, AttributeError):  # a file system, or a system, without O_TMPFILE
            return super().newfile()
        return os.fdopen(descriptor, "w+b")
