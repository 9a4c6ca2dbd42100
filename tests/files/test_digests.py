# SPDX-License-Identifier: MIT
"""What a sender claims of its bytes."""

from __future__ import annotations

import io
from base64 import b64encode
from hashlib import sha256, sha512

import pytest

from minihttp.errors import HTTPError
from minihttp.files.digests import checked_sha512, claimed_digests

SHA256 = b64encode(sha256(b"body").digest()).decode()
SHA512 = b64encode(sha512(b"body").digest()).decode()


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, {}),
        ({"Digest": ""}, {}),
        ({"Digest": f"SHA-256={SHA256}"}, {"sha-256": SHA256}),
        ({"Digest": f"md5=AAAA, sha-256={SHA256}"}, {"sha-256": SHA256}),
        ({"Content-Digest": f"sha-512=:{SHA512}:"}, {"sha-512": SHA512}),
        (
            {"Repr-Digest": f"sha-256=:{SHA256}:, sha-512=:{SHA512}:"},
            {"sha-256": SHA256, "sha-512": SHA512},
        ),
        ({"Digest": f"sha-256={SHA256}", "Repr-Digest": f"sha-256=:{SHA256}:"}, {"sha-256": SHA256}),
    ],
)
def test_what_is_claimed(headers: dict[str, str], found: dict[str, str]) -> None:
    assert claimed_digests(headers) == found


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Digest": "md5=AAAA"}, "no list with sha-256=<base64>"),
        ({"Digest": f"sha-256={SHA256[:-4]}"}, "no list"),
        ({"Digest": f"sha-256=:{SHA256}:"}, "no list"),
        ({"Content-Digest": f"sha-256={SHA256}"}, "no list with sha-256=:<base64>:"),
        ({"Content-Digest": f"sha-256=:{SHA256}:, é"}, "no list"),
        ({"Digest": f"sha-256={SHA256}", "Content-Digest": f"sha-256=:{SHA256.swapcase()}:"}, "contradicts"),
    ],
)
def test_what_is_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(HTTPError, match=said) as caught:
        claimed_digests(headers)
    assert (caught.value.status, caught.value.code) == (400, "BadHeader")


def test_a_sha512_is_checked_at_the_end_of_the_body() -> None:
    assert b"".join(checked_sha512(io.BytesIO(b"body"), SHA512)) == b"body"
    blocks = checked_sha512(io.BytesIO(b"another"), SHA512)
    assert next(blocks) == b"another"
    with pytest.raises(HTTPError, match="SHA-512"):
        next(blocks)
