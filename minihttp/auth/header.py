# SPDX-License-Identifier: MIT
"""What the text of an Authorization header proves: an identity, the admin key, or nothing."""

from __future__ import annotations

import logging
from base64 import b64decode
from hmac import compare_digest
from time import monotonic

from ..errors import AuthError
from .authenticator import Authenticator
from .caller import NOBODY, Caller
from .identity import Identity
from .token import decode_object

log = logging.getLogger("minihttp.auth")


def read_header(header: str, authenticator: Authenticator, admin_key: str | None) -> tuple[bool, Caller]:
    """What an Authorization header proves: whether it holds the admin key, and who calls.

    Args:
        header: `Bearer <token>`, `Convex <admin key>`, or `Convex <admin key>:<base64 of an identity>`. An
            identity beside the key is read when somebody asks for it.

    Raises:
        AuthError: 401 for one that proves nothing, with Convex's code; HTTPError 503 as `identify`.
    """
    scheme, _, value = header.strip().partition(" ")
    scheme, value = scheme.lower(), value.strip()
    if not value:
        raise AuthError("InvalidHeaderFailure", "The Authorization header has no credentials")
    if scheme == "bearer":
        identity = authenticator.identify(value)
        return False, Caller(lambda: identity)
    if scheme == "convex" and is_admin_key(value, admin_key):
        return True, NOBODY
    key, _, acting = value.rpartition(":")  # base64 has no colon, and a key may have one
    if scheme != "convex" or not is_admin_key(key, admin_key):
        if scheme == "convex":
            _wrong_keys.note()
        raise AuthError("InvalidAuthHeader", "The Authorization header is not valid here")
    return True, Caller(lambda: _acting_identity(acting)) if acting else NOBODY


def is_admin_key(given: str, admin_key: str | None) -> bool:
    """Whether a text is the admin key; where there is none, nothing is."""
    return admin_key is not None and admin_key != "" and compare_digest(_bytes(given), _bytes(admin_key))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


class _WrongKeys:
    """Logs wrong admin keys, in one line a second at most."""

    def __init__(self) -> None:
        self._count = 0
        self._next = 0.0

    def note(self) -> None:
        self._count += 1
        if monotonic() >= self._next:
            log.warning("wrong admin keys refused: %d", self._count)
            self._count, self._next = 0, monotonic() + 1.0


_wrong_keys = _WrongKeys()


def _acting_identity(text: str) -> Identity:
    """The identity that an admin acts as: base64 of a JSON object with `issuer` and `subject` at least."""
    try:
        fields = decode_object(b64decode(text, validate=True))
        issuer, subject = fields["issuer"], fields["subject"]
    except (ValueError, KeyError):
        issuer = subject = None
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise AuthError("InvalidAuthHeader", "The identity beside the admin key has no issuer and subject")
    return Identity(issuer, subject, fields)
