# SPDX-License-Identifier: MIT
"""The multipart parser against the PyPI packages `multipart` and `werkzeug`, on generated and mutated bodies.

What they make of a body that is accepted here is the same, except for these differences, each on purpose:

* a backslash is an ordinary character (WHATWG); `werkzeug` unescapes it, `multipart` cuts `C:\\x\\y.txt`;
* `%0D` and `%0A` are escapes, as `%22` is (WHATWG); `werkzeug` knows `%22` only;
* the name of a part's header is any token (RFC 9110), its Content-Length means nothing (RFC 7578); for
  `multipart` a name is letters, digits and `-_`, and a Content-Length is checked;
* a value without quotes ends at white space, `;`, `,` or a quote, as a boundary may hold what no token does;
  for `multipart` it ends where a token does;
* white space after a boundary is padding (RFC 2046 §5.1.1), which `multipart` refuses; white space around a
  header's value is no part of it (RFC 9110 §5.5), and `multipart` leaves it at the end;
* text that is not UTF-8 is read with U+FFFD (WHATWG); `multipart` refuses it in headers, leaves it in fields.
"""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minihttp.errors import HTTPError
from tests.contracts.forms import BOUNDARY, FORMS, SIZES, Part, Pieces, encode, grouped, parse, parts_of

multipart = pytest.importorskip("multipart")
formparser = pytest.importorskip("werkzeug.formparser")

ONE_BLOCK = (1 << 20,)


def by_multipart(body: bytes, sizes: Any = ONE_BLOCK) -> list[Part]:
    """What `multipart` reads, strictly; raises multipart.MultipartError."""
    found: list[Part] = []
    parser = multipart.PushMultipartParser(BOUNDARY, strict=True)
    for event in parser.parse_blocking(Pieces(body, sizes).read):
        if isinstance(event, multipart.MultipartSegment):
            segment, data = event, b""
        elif event:
            data += event
        else:
            content_type = segment.header("Content-Type") if segment.filename is not None else None
            found.append(
                Part(segment.name, data, segment.filename, content_type and content_type.strip(" \t"))
            )
    return grouped(found)


def by_werkzeug(body: bytes) -> list[Part]:
    """What `werkzeug` reads, not silently; raises ValueError."""
    parser = formparser.MultiPartParser(max_form_memory_size=None)
    fields, files = parser.parse(io.BytesIO(body), BOUNDARY.encode(), len(body))
    found = [Part(name, value.encode()) for name, value in fields.items(multi=True)]
    for name, file in files.items(multi=True):
        found.append(Part(name, file.read(), file.filename, file.headers.get("Content-Type")))
        file.close()
    return sorted(found, key=repr)


def names(parts: list[Part]) -> str:
    return "".join(part.name + (part.filename or "") for part in parts)


@given(FORMS, SIZES)
@settings(max_examples=200)
def test_agrees_with_multipart_on_valid_bodies(parts: list[Part], sizes: list[int]) -> None:
    assume("\\" not in names(parts))
    body = encode(parts)
    assert parts_of(parse(body, sizes=sizes)) == by_multipart(body) == grouped(parts)


@given(FORMS)
@settings(max_examples=200)
def test_agrees_with_werkzeug_on_valid_bodies(parts: list[Part]) -> None:
    assume(not set("\\\r\n") & set(names(parts)))
    body = encode(parts)
    assert sorted(parts_of(parse(body)), key=repr) == by_werkzeug(body) == sorted(parts, key=repr)


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 6),
        st.sampled_from(
            [b"", b"\r\n", b"\r", b"\n", b"--", b'"', b";", b"=", b"\xff", b" ", b"%22", b"\r\n--B0undary"]
        ),
    ),
    min_size=1,
    max_size=3,
)


@given(FORMS.filter(bool), MUTATIONS)
@settings(max_examples=400)
def test_never_reads_something_else_from_a_mutated_body(
    parts: list[Part], mutations: list[tuple[int, int, bytes]]
) -> None:
    """What is accepted here `multipart` accepts too, as the same form; more is refused here."""
    body = encode(parts)
    for start, length, replacement in mutations:
        body = body[: start % len(body)] + replacement + body[start % len(body) + length :]
    assume(b"\\" not in body and b"Content-Length" not in body and not re.search(rb'name=[^"]', body))
    try:
        found = parts_of(parse(body))
    except HTTPError as error:
        assert error.status in (400, 413)
        return
    try:
        theirs = by_multipart(body)
    except multipart.ParserError as error:
        is_padded = re.search(rb"--%b(--)?[ \t]" % BOUNDARY.encode(), body)
        bound = re.match("Unexpected bytes? after (first )?boundary", str(error)) and is_padded
        known = ("Invalid segment header name", "Segment header failed to decode")
        assert bound or any(message in str(error) for message in known)
    else:
        assert found == grouped([_as_text(part) for part in theirs])


def _as_text(part: Part) -> Part:
    if part.filename is not None:
        return part
    return part._replace(data=part.data.decode("utf-8", "replace").encode())


@pytest.mark.parametrize(
    ("name", "filename", "theirs", "werkzeugs"),
    [
        ("a\\b", "f", ("a\\b", "f"), ("ab", "f")),
        ("a", "C:\\x\\y.txt", ("a", "y.txt"), ("a", "C:xy.txt")),
    ],
)
def test_the_documented_differences(
    name: str, filename: str, theirs: tuple[str, str], werkzeugs: tuple[str, str]
) -> None:
    body = encode([Part(name, b"x", filename, "a/b")])
    assert parts_of(parse(body)) == [Part(name, b"x", filename, "a/b")]
    assert [(part.name, part.filename) for part in by_multipart(body)] == [theirs]
    assert [(part.name, part.filename) for part in by_werkzeug(body)] == [werkzeugs]
