# SPDX-License-Identifier: MIT
"""`postgres:` is another name of `postgresql:`, as libpq has it."""

from .postgresql import DocumentBackend

__all__ = ["DocumentBackend"]
