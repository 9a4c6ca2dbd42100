# SPDX-License-Identifier: MIT
"""Loggers that import `logging`, which takes 5 ms, with their first line: most requests write none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from logging import Logger


def get_logger(name: str) -> Logger:
    """What `logging.getLogger(name)` returns, asked for when it is used."""
    return cast("Logger", _LazyLogger(name))


class _LazyLogger:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), attribute)
