# SPDX-License-Identifier: MIT
"""Hashes, random words and comparisons that take as long for every text, without OpenSSL until it pays.

`hashlib` and `hmac` bring OpenSSL: 4 MB and some ms, of which an idle server makes no use. `hashing.hashlib`
and `hashing.hmac` are those modules, imported when one is first asked for: for signatures, and for what may
be large. `sha256` is the interpreter's own, for what is small.
"""

from __future__ import annotations

import os

# What `hmac` has where there is no OpenSSL
from _operator import _compare_digest as compare_digest
from binascii import b2a_base64
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import hashlib as hashlib
    import hmac as hmac
    from hashlib import sha256 as sha256
else:
    try:
        from _sha2 import sha256  # 3.12 and newer
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:  # an interpreter that was built without
            from hashlib import sha256

_URL_SAFE = bytes.maketrans(b"+/", b"-_")

__all__ = ["compare_digest", "hashlib", "hmac", "sha256", "token_hex", "token_urlsafe"]


def token_hex(count: int) -> str:
    """So many random bytes, in hex."""
    return os.urandom(count).hex()


def token_urlsafe(count: int) -> str:
    """So many random bytes, in base64 for URLs, without padding."""
    text = b2a_base64(os.urandom(count), newline=False).rstrip(b"=")
    return text.translate(_URL_SAFE).decode()


def __getattr__(name: str) -> Any:
    if name not in ("hashlib", "hmac"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = globals()[name] = import_module(name)
    return module
