# SPDX-License-Identifier: MIT
"""What the text of an Authorization header proves: an identity, the admin key, or nothing."""

from __future__ import annotations

from base64 import b64decode

from ..errors import AuthError
from .admin import AdminKey
from .authenticator import Authenticator
from .caller import NOBODY, Caller
from .identity import Identity
from .token import decode_object


def read_header(
    header: str, authenticator: Authenticator, admin_key: AdminKey, peer: str
) -> tuple[bool, Caller]:
    """What an Authorization header proves: whether it holds the admin key, and who calls.

    Args:
        header: `Bearer <token>`, `Convex <admin key>`, or `Convex <admin key>:<base64 of an identity>`. An
            identity beside the key is read when somebody asks for it.
        peer: the address that it came from.

    Raises:
        AuthError: 401 for one that proves nothing, with Convex's code; HTTPError 503 as `identify`, 429 as
            `AdminKey.open`.
    """
    scheme, value = _split(header)
    if not value:
        raise AuthError("InvalidHeaderFailure", "The Authorization header has no credentials")
    if scheme == "bearer":
        identity = authenticator.identify(value)
        return False, Caller(lambda: identity)
    acting = admin_key.open(value, peer) if scheme == "convex" else None
    if acting is None:
        raise AuthError("InvalidAuthHeader", "The Authorization header is not valid here")
    return True, Caller(lambda: _acting_identity(acting)) if acting else NOBODY


def proves_nothing(header: str, admin_key: AdminKey) -> bool:
    """Whether a header is seen to be refused without asking anybody: then no body is needed."""
    scheme, value = _split(header)
    return not value or (scheme != "bearer" and (scheme != "convex" or admin_key.acting(value) is None))


def _split(header: str) -> tuple[str, str]:
    scheme, _, value = header.strip().partition(" ")
    return scheme.lower(), value.strip()


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
