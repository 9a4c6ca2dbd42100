# SPDX-License-Identifier: MIT
"""Labels of encodings: those in the table and no other."""

from __future__ import annotations

import codecs

import pytest

from minihttp.errors import HTTPError
from minihttp.http import charsets
from minihttp.http.charsets import codec_of


@pytest.mark.parametrize("label", sorted(charsets._CODECS))
def test_each_label_is_a_codec_of_text_that_reads_ascii(label: str) -> None:
    codec = codec_of(label.upper())
    encoded = "plain".encode(codec)
    assert encoded.decode(codec) == "plain"
    assert codecs.lookup(codec)._is_text_encoding


@pytest.mark.parametrize("label", ["", "punycode", "rot13", "hex", "utf-7", "x" * 10_000, "utf-8\0", "ütf-8"])
def test_any_other_is_415_with_a_short_message(label: str) -> None:
    with pytest.raises(HTTPError) as caught:
        codec_of(label)
    assert caught.value.status == 415
    assert len(caught.value.message) < 200 and caught.value.message.isascii()
