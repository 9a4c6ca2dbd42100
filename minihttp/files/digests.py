# SPDX-License-Identifier: MIT
"""What a sender says of its bytes: `Digest` (RFC 3230), `Content-Digest` and `Repr-Digest` (RFC 9530).

Each is a list of algorithms. SHA-256 and SHA-512 are checked, others are ignored beside one of these.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from .. import hashing
from ..errors import HTTPError
from ..http.body import BLOCK_BYTES

_LENGTHS = {"sha-256": 44, "sha-512": 88}  # of the digest in base64
_is_entry = re.compile(r"([A-Za-z0-9-]{1,32})=([A-Za-z0-9+/]{1,100}={0,2})").fullmatch
_is_field_entry = re.compile(
    r"([a-z*][a-z0-9_.*-]{0,31})=:([A-Za-z0-9+/]{0,100}={0,2}):(?:;[!-~]*)?"
).fullmatch
_GRAMMARS = {"Digest": _is_entry, "Content-Digest": _is_field_entry, "Repr-Digest": _is_field_entry}


def claimed_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """The digests that a request claims for its body, in base64, by algorithm: `sha-256`, `sha-512` or both.

    Raises:
        HTTPError: 400 for a field that cannot be read, holds no algorithm that is known, or contradicts
            another.
    """
    claims: dict[str, str] = {}
    for name, is_entry in _GRAMMARS.items():
        value = headers.get(name)
        if not value:
            continue
        entries = [is_entry(entry.strip(" \t")) for entry in value.split(",")]
        found = {entry[1].lower(): entry[2] for entry in entries if entry}
        known = {algorithm: found[algorithm] for algorithm in _LENGTHS if algorithm in found}
        if not all(entries) or not known or any(len(known[a]) != _LENGTHS[a] for a in known):
            form = ":<base64>:" if "-" in name else "<base64>"
            raise HTTPError(400, f"{name} {value[:100]!a} is no list with sha-256={form}", code="BadHeader")
        if any(claims.get(algorithm, digest) != digest for algorithm, digest in known.items()):
            raise HTTPError(400, f"{name} contradicts another digest of this request", code="BadHeader")
        claims |= known
    return claims


def checked_sha512(body: Any, claim: str) -> Iterator[bytes]:
    """The blocks of a body; at its end an HTTPError 400, unless its SHA-512 is the one in base64."""
    digest = hashing.hashlib.sha512()
    while block := body.read(BLOCK_BYTES):
        digest.update(block)
        yield block
    if not hashing.compare_digest(digest.digest(), b64decode(claim)):
        raise HTTPError(400, "the bytes do not have the SHA-512 that was claimed", code="Sha512Mismatch")
