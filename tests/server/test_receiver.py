# SPDX-License-Identifier: MIT
"""Chunked bodies as bytes: what is read, what is refused, and how much framing a body may have."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.buffers import OverflowableBuffer

from minihttp.server.receiver import ChunkedReceiver

MAX_BYTES = 1_000_000


def received(*blocks: bytes) -> tuple[ChunkedReceiver, int]:
    """A receiver after these blocks, and how many of their bytes it took."""
    receiver, taken = ChunkedReceiver(OverflowableBuffer(MAX_BYTES), MAX_BYTES), 0
    for block in blocks:
        taken += receiver.received(block)
    return receiver, taken


def framed(chunks: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


chunk = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.lists(st.sampled_from([b"\r\n", b"a", b"3\r\n", b"0"]), min_size=1, max_size=40).map(b"".join),
    st.integers(1, 3000).map(bytes),
)


@given(st.lists(chunk, max_size=30), st.lists(st.integers(1, 4000), max_size=8))
def test_any_chunks_cut_anywhere_are_read_as_they_were_written(chunks: list[bytes], cuts: list[int]) -> None:
    sent = framed(chunks)
    places = [0, *[n for n in accumulate(cuts) if n < len(sent)], len(sent)]
    blocks = [sent[a:b] for a, b in pairwise(places)]
    receiver, taken = received(*blocks[:-1], blocks[-1] + b"GET / HTTP/1.1\r\n")
    assert receiver.completed and not receiver.error
    assert taken == len(sent)  # what follows is the next request
    assert receiver.getfile().read() == b"".join(chunks)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_sizes_extensions_and_trailers_as_the_rfc_has_them(step: int) -> None:
    sent = b'00A;a="b;c";d\r\n0123456789\r\n1\r\nx\r\n000\r\nDigest: a\r\nX-Y:\r\n\r\n'
    receiver, taken = received(*[sent[n : n + step] for n in range(0, len(sent), step)])
    assert receiver.completed and taken == len(sent)
    assert receiver.getfile().read() == b"0123456789x"


@pytest.mark.parametrize(
    "sent",
    [
        b"2\nab\r\n0\r\n\r\n",
        b"\r\n2\r\nab\r\n0\r\n\r\n",
        b"2\r\nab\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"2\r\nab\n0\r\n\r\n",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"2\r\nab0\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\n\n",
        b"0\r\nA: b\n\r\n\r\n",
        b"0\r\nA b\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b" 2\r\nab\r\n0\r\n\r\n",
        b"2 \r\nab\r\n0\r\n\r\n",
        b"+2\r\nab\r\n0\r\n\r\n",
        b"0x2\r\nab\r\n0\r\n\r\n",
        b"-2\r\nab\r\n0\r\n\r\n",
        b"2_0\r\nab\r\n0\r\n\r\n",
        b"\xd9\xa2\r\nab\r\n0\r\n\r\n",
        b"00000000000000002\r\nab\r\n0\r\n\r\n",
        b"2;\x01\r\nab\r\n0\r\n\r\n",
        b'2;a="\r\nab\r\n0\r\n\r\n',
        b"2;" + b"a" * 1100,
        b"0" * 1100,
        b"0\r\n" + b"a: b\r\n" * 33 + b"\r\n",
        b"0\r\nA: " + b"b" * 8192 + b"\r\n\r\n",
        b"0\r\nA: " + b"b" * 20_000,
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_another_reader_might_take_for_something_else_is_a_400(sent: bytes, step: int) -> None:
    blocks = [sent[n : n + step] for n in range(0, len(sent), step)]
    receiver, _ = received(*blocks, b"\r\n\r\n")
    assert receiver.error is not None and receiver.error.code == 400
    assert not receiver.completed


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 2**63])
def test_a_size_beyond_the_limit_is_refused_before_its_data(size: int) -> None:
    receiver, _ = received(b"%x\r\n" % size)
    assert receiver.error is not None and receiver.error.code == 413


@pytest.mark.parametrize("data", [b"x", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 5, 8, 16])
def test_tiny_chunks_without_end_are_refused(size: int, data: bytes) -> None:
    sent = framed([(data * size)[:size]] * 40_000)
    receiver, _ = received(*[sent[n : n + 65_536] for n in range(0, len(sent), 65_536)])
    assert receiver.error is not None and receiver.error.code == 400


def test_a_chunk_a_line_is_no_reason_to_refuse_a_body() -> None:
    rows = [
        b'{"id": %d, "name": "somebody with a name", "email": "somebody@example.com"}\n' % n
        for n in range(9000)
    ]
    sent = framed(rows)
    receiver, _ = received(*[sent[n : n + 65_536] for n in range(0, len(sent), 65_536)])
    assert receiver.completed
    few, _ = received(framed([b"x"] * 1000))
    assert few.completed


def test_long_extensions_are_counted_as_framing() -> None:
    receiver, _ = received((b"40;" + b"a" * 900 + b"\r\n" + bytes(64) + b"\r\n") * 100)
    assert receiver.error is not None and receiver.error.code == 400
