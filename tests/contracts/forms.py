# SPDX-License-Identifier: MIT
"""Multipart bodies for tests: parts as browsers write them, streams that arrive in pieces, and strategies."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import strategies as st

from minihttp.http.multipart import FormData, parse_multipart
from minihttp.limits import Limits

BOUNDARY = "B0undary"


class Part(NamedTuple):
    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


ESCAPES = ("%22", "%0D", "%0A")


def escape(text: str) -> str:
    """WHATWG HTML, multipart/form-data encoding algorithm: three escapes and no others."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def encode(parts: Iterable[Part], boundary: str = BOUNDARY) -> bytes:
    """The body that a browser sends."""
    body = b""
    for part in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{escape(part.name)}"'.encode()
        if part.filename is not None:
            body += f'; filename="{escape(part.filename)}"'.encode()
        if part.content_type is not None:
            body += f"\r\nContent-Type: {part.content_type}".encode()
        body += b"\r\n\r\n" + part.data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


class Pieces(io.BytesIO):
    """A stream that gives a few bytes a call, the given numbers in turn."""

    def __init__(self, data: bytes, sizes: Iterable[int]) -> None:
        super().__init__(data)
        self.sizes = list(sizes) or [1]
        self.calls = 0

    def read(self, size: int | None = -1) -> bytes:
        self.calls += 1
        piece = self.sizes[self.calls % len(self.sizes)]
        return super().read(piece if size is None or size < 0 else min(size, piece))


def parse(
    body: bytes, boundary: str = BOUNDARY, sizes: Iterable[int] = (1 << 20,), **limits: float
) -> FormData:
    return parse_multipart(Pieces(body, sizes), boundary, Limits(**limits))


def parts_of(form: FormData) -> list[Part]:
    """The parts as a list to compare, sorted by name; frees the form."""
    found = []
    for name, value in form.items():
        if isinstance(value, str):
            found.append(Part(name, value.encode()))
        else:
            content_type = value.headers.get("Content-Type")
            found.append(Part(name, value.read(), value.filename, content_type))
    form.close()
    return found


def grouped(parts: Iterable[Part]) -> list[Part]:
    """In the order of `FormData.items()`: those of one name together."""
    parts = list(parts)
    names = list(dict.fromkeys(part.name for part in parts))
    return [part for name in names for part in parts if part.name == name]


# No `%22`: it is how a quotation mark is written, so that it cannot be told from one.
_NAME_CHARACTERS = st.sampled_from("aé日😀\"%;=:,./ \\'\r\n") | st.characters(exclude_categories=["Cs", "Cc"])
# No `%22` and its like: they stand for a quotation mark, and cannot be told from one.
NAMES = st.text(_NAME_CHARACTERS, max_size=10).filter(lambda name: not any(code in name for code in ESCAPES))
_FRAGMENTS = [
    b"\r",
    b"\n",
    b"\r\n",
    b"--",
    b"\r\n--",
    b"\r\n--B0undar",
    b"-B0undary",
    b"\r\n\r\n",
    b"x",
    b"\0\xff",
    b"ab" * 50,
]
BINARY = st.lists(st.sampled_from(_FRAGMENTS) | st.binary(max_size=9), max_size=9).map(b"".join)
_TYPES = st.sampled_from(["text/plain", "image/png", "application/json; charset=utf-8"])


def _is_data(data: bytes) -> bool:
    return f"\r\n--{BOUNDARY}".encode() not in b"\r\n" + data


FILES = st.builds(Part, NAMES, BINARY.filter(_is_data), NAMES, _TYPES)
TEXTS = st.text(st.sampled_from("aé\r\n-😀"), max_size=20).map(str.encode) | st.text(max_size=9).map(
    str.encode
)
FIELDS = st.builds(Part, NAMES, TEXTS.filter(_is_data), st.none(), st.none())
FORMS = st.lists(FILES | FIELDS, max_size=5)
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)
