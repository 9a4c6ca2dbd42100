# SPDX-License-Identifier: MIT
"""`ctx.auth`: who makes a call. Every request has one, so this file imports as good as nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import AuthError

if TYPE_CHECKING:
    from .identity import Identity


class Caller:
    """Who makes a call; handed down through every nested call, and found out once, when it is first needed.

    Args:
        find: returns the identity or None, or raises; it may fetch keys.
    """

    __slots__ = ("_error", "_find", "_identity")

    def __init__(self, find: Callable[[], Identity | None] | None = None) -> None:
        self._find = find
        self._identity: Identity | None = None
        self._error: Exception | None = None

    def get_user_identity(self) -> Identity | None:
        """The identity of who calls, None without a token; never one in a scheduled function.

        Raises:
            AuthError: 401 for a token that is not valid.
            HTTPError: 503 for one that cannot be checked now.
        """
        self.prepare()
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._identity

    def require_user_identity(self) -> Identity:
        """The identity of who calls.

        Raises:
            AuthError: 401 also without a token (RFC 6750 §3).
            HTTPError: 503 as above.
        """
        identity = self.get_user_identity()
        if identity is None:
            raise AuthError("Unauthenticated", "This needs a bearer token")
        return identity

    def prepare(self) -> None:
        """Find out now, before a transaction opens; what fails is raised when somebody asks."""
        find, self._find = self._find, None
        if find is not None:
            try:
                self._identity = find()
            except Exception as error:
                self._error = error


NOBODY = Caller()
