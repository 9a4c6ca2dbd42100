# SPDX-License-Identifier: MIT
"""Interrupts in every place, one after the other.

A signal's handler runs after a call at the earliest, which is where a profile function is called too: one
that raises there at its n-th call, for each n, is an interrupt in every place.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STEP = 7 if "CI_DOCUMENTS" in os.environ else 1
"""From one place to the next: on PostgreSQL each interrupt costs a connection, so there some of them have to
do; every place of its engine has tests of its own."""


class Interrupt(BaseException):
    """What a signal's handler raises."""


@contextmanager
def interrupted_after(calls: int) -> Iterator[None]:
    """Raise Interrupt in this thread after so many calls, if there are so many."""
    left = calls

    def count(frame: Any, event: str, arg: object) -> None:
        nonlocal left
        left -= event in ("call", "c_return")
        if left == 0:
            sys.setprofile(None)
            raise Interrupt

    gc.disable()  # what others want to be told of collections is no place of ours
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        gc.enable()
