# SPDX-License-Identifier: MIT
"""Hashes without OpenSSL are the same hashes, and OpenSSL comes with the first that needs it."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import hashing
from tests.live import ROOT


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_sha256_is_sha256(parts: list[bytes]) -> None:
    whole = hashing.sha256(b"".join(parts))
    grown = hashing.sha256()
    for part in parts:
        grown.update(part)
    assert whole.digest() == grown.digest() == hashlib.sha256(b"".join(parts)).digest()


def test_openssl_comes_with_the_first_signature() -> None:
    code = (
        "import sys\n"
        "from minihttp import hashing\n"
        "hashing.sha256(b''), hashing.token_hex(8), hashing.compare_digest(b'', b'')\n"
        "print('_hashlib' in sys.modules)\n"
        "print(hashing.hmac.digest(b'key', b'text', 'sha256').hex()[:8], '_hashlib' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "6afa9046", "True"], done.stderr


def test_random_words() -> None:
    assert len(bytes.fromhex(hashing.token_hex(8))) == 8
    word = hashing.token_urlsafe(32)
    assert len(word) == 43 and word.replace("-", "").replace("_", "").isalnum()
    assert hashing.token_urlsafe(32) != word


def test_comparison_takes_bytes_and_ascii() -> None:
    assert hashing.compare_digest(b"same", b"same")
    assert not hashing.compare_digest(b"same", b"sane")
    with pytest.raises(TypeError):
        hashing.compare_digest("\xe4", "\xe4")


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="md5"):
        hashing.md5  # noqa: B018
