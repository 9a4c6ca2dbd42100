# SPDX-License-Identifier: MIT
"""Expiring tokens in URLs: `<expiry in Unix seconds>-<HMAC-SHA256 over the expiry and the subject>`.

The subject is what the token is good for: the word `upload`, or the id of the file it lets read.
"""

from __future__ import annotations

import re

from .. import hashing
from ..errors import HTTPError

UPLOAD = "upload"
_match = re.compile(r"([0-9]{1,12})-([0-9a-f]{64})").fullmatch


def sign(secret: bytes, subject: str, expires_at: int) -> str:
    """A token that `check` accepts for this subject until `expires_at` (Unix seconds)."""
    message = f"file {expires_at} {subject}".encode()
    return f"{expires_at}-{hashing.hmac.digest(secret, message, 'sha256').hex()}"


def check(secret: bytes, subject: str, token: str | None, now: float) -> int:
    """The expiry of a good token.

    Raises:
        HTTPError: 400 without a token, 401 for a forged or expired one (`docs/convex.md` §5).
    """
    if not token:
        raise HTTPError(400, "the URL has no token", code="StorageTokenMissing")
    match = _match(token)
    expires_at = int(match[1]) if match else 0
    if match is None or not hashing.compare_digest(token, sign(secret, subject, expires_at)):
        raise HTTPError(401, "the token of this URL is not valid", code="StorageTokenInvalid")
    if now >= expires_at:
        raise HTTPError(401, "the token of this URL has expired", code="StorageTokenExpired")
    return expires_at
