# SPDX-License-Identifier: MIT
from __future__ import annotations

import errno
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihttp.errors import HTTPError, StorageFullError, StorageUnavailableError
from minihttp.http.multipart import FilePart, Spool, parse_multipart
from minihttp.limits import DEFAULT_LIMITS
from tests.contracts.forms import BOUNDARY, FORMS, SIZES, Part, Pieces, encode, grouped, parse, parts_of

HEAD = b'--B0undary\r\nContent-Disposition: form-data; name="a"'
END = b"\r\n--B0undary--"


def status_of(
    body: bytes, boundary: str = BOUNDARY, sizes: tuple[int, ...] = (1 << 20,), **limits: float
) -> int:
    with pytest.raises(HTTPError) as caught:
        parse(body, boundary, sizes, **limits)
    return caught.value.status


# ------------------------------------------------------------ what forms say


def test_fields_and_files() -> None:
    form = parse(
        encode([Part("a", b"1"), Part("f", b"x\r\ny", "n.txt", "text/plain"), Part("a", "é".encode())])
    )
    assert form.get("a") == "1" and form.get_all("a") == ["1", "é"] and "f" in form and "b" not in form
    part = form.get("f")
    assert isinstance(part, FilePart)
    assert (part.filename, part.content_type, part.size) == ("n.txt", "text/plain", 4)
    assert part.headers.get("content-disposition") == 'form-data; name="f"; filename="n.txt"'
    assert part.read() == b"x\r\ny" and "n.txt" in repr(part)
    form.close()


def test_an_empty_form_and_an_unchosen_file() -> None:
    assert parse(b"--B0undary--\r\n").items() == parse(b"--B0undary--").items() == []
    [part] = parts_of(parse(encode([Part("f", b"", "", "application/octet-stream")])))
    assert part == Part("f", b"", "", "application/octet-stream")


def test_a_file_without_a_type() -> None:
    part: Any = parse(HEAD + b'; filename="x"\r\n\r\n' + END).get("a")
    assert part.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        (b'form-data; name="a%22b%0D%0Ac"; filename="%22.txt"', 'a"b\r\nc', '".txt'),
        (b'form-data; name="%41%0d+"; filename="x"', "%41%0d+", "x"),  # the only escapes, in capitals
        (b'form-data; name="a\\b"; filename="C:\\x\\y.txt"', "a\\b", "C:\\x\\y.txt"),
        (b'form-data; name="a"; filename="a.txt"; filename*=UTF-8\'\'b.exe', "a", "a.txt"),
        (b"form-data; filename*=UTF-8''b.exe; name=a; filename=a.txt", "a", "a.txt"),
        (b'form-data; filename*0="b"; filename*1=".exe"; name="a"; filename="a.txt"', "a", "a.txt"),
        (b'form-data; name="a\\"b"; filename="\\"c\\" \\\\ d.txt"', 'a"b', '"c" \\ d.txt'),  # Go, old curl
        (b'form-data; name="a"; filename="C:\\tmp\\"', "a", "C:\\tmp\\"),  # old Internet Explorer
        (b'form-data; filename="C:\\tmp\\"; name="a"', "a", "C:\\tmp\\"),
        (b'form-data; filename="a\\\\"; name="a"', "a", "a\\\\"),
        (b'form-data; name="a"; filename="\\"; b=c"', "a", '"; b=c'),
        (b'form-data;\r\n name="a";\r\n\tfilename="b.txt"', "a", "b.txt"),  # folded
        (b'form-data; name="a"; filename="\xe9.txt"', "a", "\ufffd.txt"),
        (b'Form-Data ; NAME="a" ; FileName="b;c=d"', "a", "b;c=d"),
        ('form-data; name="é日"; filename="😀.txt"'.encode(), "é日", "😀.txt"),
        (b'form-data; name=""; filename="../../etc/passwd"', "", "../../etc/passwd"),
        (b'form-data; name="a"; filename="con"; size=5', "a", "con"),
    ],
)
def test_names_follow_whatwg(disposition: bytes, name: str, filename: str) -> None:
    body = b"--B0undary\r\nContent-Disposition: " + disposition + b"\r\n\r\nx" + END
    assert parts_of(parse(body)) == [Part(name, b"x", filename)]


def test_text_is_read_in_the_encoding_of_the_form() -> None:
    body = HEAD.replace(b'"a"', b'"\xe9"') + b"\r\n\r\n\xf6" + END
    assert parse_multipart(io.BytesIO(body), BOUNDARY, DEFAULT_LIMITS).items() == [("\ufffd", "\ufffd")]
    assert parse_multipart(io.BytesIO(body), BOUNDARY, DEFAULT_LIMITS, "cp1252").items() == [("é", "ö")]


def test_what_is_ignored() -> None:
    more = b"\r\nContent-Transfer-Encoding: base64\r\nContent-Length: 99\r\nX-Any: \t1\t2 "
    assert parts_of(parse(HEAD + more + b"\r\n\r\n  eA==  " + END)) == [Part("a", b"  eA==  ")]
    preamble = b"any preamble\r\n--B0undar\r\n\r\n"
    assert parts_of(parse(preamble + HEAD + b"\r\n\r\nx" + END + b"\r\nepilogue " + HEAD)) == [
        Part("a", b"x")
    ]
    assert parts_of(parse(HEAD.replace(b"y\r\n", b"y \t\r\n") + b"\r\n\r\nx" + END)) == [Part("a", b"x")]
    assert parts_of(parse(b"\r\n" + HEAD + b"\r\n\r\nx" + END)) == [Part("a", b"x")]


def test_content_that_looks_like_a_boundary() -> None:
    data = b"\r\n--B0undar\r\n--\r\n-\r--B0undary\n--B0undary--B0undary\r\r\n"
    for sizes in ((1,), (2,), (3, 7), (11,), (100,)):
        assert parts_of(parse(encode([Part("f", data, "f", "a/b")]), sizes=sizes))[0].data == data


@pytest.mark.parametrize(
    "boundary",
    ["a", "-", "--", "-" * 70, "a b", "'()+_,-./:=?", "B\u0041", 'a"b', "a;b", "----------a_BoUnDaRy2886$",
     "<>@[]{}|^`~!#%&*\\"],
)  # fmt: skip
def test_boundaries(boundary: str) -> None:
    parts = [Part("a", b"1\n\n2"), Part("f", b"\r\n\r\n\n", "f", "a/b")]
    assert parts_of(parse(encode(parts, boundary), boundary)) == parts


# ------------------------------------------------------------ broken forms are errors, never fewer fields

WHOLE = encode([Part("a", b"1"), Part("f", b"x" * 30, "f", "a/b")])
BROKEN = {
    "empty body": b"",
    "no boundary": b"x" * 100,
    "boundary of another form": WHOLE.replace(b"B0undary", b"Another"),
    "preamble runs into the boundary": b"x" + WHOLE,
    "LF line ends": WHOLE.replace(b"\r\n", b"\n"),
    "CR line ends": WHOLE.replace(b"\r\n", b"\r"),
    "text behind a boundary": WHOLE.replace(b"B0undary\r\n", b"B0undary x\r\n", 1),
    "a longer boundary": WHOLE.replace(b"--B0undary\r\n", b"--B0undary2\r\n"),
    "one dash behind a boundary": HEAD + b"\r\n\r\nx\r\n--B0undary-\r\n",
    "text behind the end": HEAD + b"\r\n\r\nx" + END + b"x",
    "endless padding": HEAD.replace(b"\r\n", b" " * 1000 + b"\r\n", 1) + b"\r\n\r\nx" + END,
    "no disposition": b"--B0undary\r\nContent-Type: a/b\r\n\r\nx" + END,
    "no headers": b"--B0undary\r\n\r\nx" + END,
    "no name": HEAD.replace(b'; name="a"', b"") + b"\r\n\r\nx" + END,
    "a file without a name": HEAD.replace(b"name", b"filename") + b"\r\n\r\nx" + END,
    "only name*": HEAD.replace(b"name", b"name*") + b"\r\n\r\nx" + END,
    "attachment": HEAD.replace(b"form-data", b"attachment") + b"\r\n\r\nx" + END,
    "two dispositions": HEAD + b'\r\nContent-Disposition: form-data; name="b"\r\n\r\nx' + END,
    "two names": HEAD + b'; name="b"\r\n\r\nx' + END,
    "open quote": HEAD[:-1] + b"\r\n\r\nx" + END,
    "text behind a quote": HEAD + b"b\r\n\r\nx" + END,
    "header without a colon": HEAD + b"\r\nX\r\n\r\nx" + END,
    "header name with a space": HEAD + b"\r\nX : 1\r\n\r\nx" + END,
    "a folded line before any header": b"--B0undary\r\n X: 1\r\n" + HEAD[12:] + b"\r\n\r\nx" + END,
    "NUL in a header": HEAD + b"\r\nX: \0\r\n\r\nx" + END,
    "bare CR in a header": HEAD + b"\r\nX: 1\rY: 2\r\n\r\nx" + END,
    "bare LF in a header": HEAD + b"\r\nX: 1\nY: 2\r\n\r\nx" + END,
    "data that begins with the boundary": HEAD + b"\r\n\r\n--B0undary\r\n" + HEAD[12:] + b"\r\n\r\nx" + END,
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("sizes", [(1 << 20,), (1,)])
def test_broken_forms_are_400(case: str, sizes: tuple[int, ...]) -> None:
    assert status_of(BROKEN[case], sizes=sizes) == 400


@pytest.mark.parametrize("length", range(len(WHOLE) - 2))
def test_a_form_cut_anywhere_is_400(length: int) -> None:
    if WHOLE[:length].endswith(b"--B0undary--"):
        pytest.skip("whole but for the line end behind it")
    assert status_of(WHOLE[:length]) == 400


@pytest.mark.parametrize("boundary", ["", " ", "a ", "x" * 71, "a\r\nb", "é", "\0"])
def test_a_boundary_must_be_one(boundary: str) -> None:
    assert status_of(WHOLE, boundary) == 400


# ------------------------------------------------------------ limits


def test_limits() -> None:
    five = encode([Part("a", b"12345")] * 5)
    assert len(parse(five, max_form_parts=5, max_form_field_bytes=5).get_all("a")) == 5
    assert status_of(five, max_form_parts=4) == 413
    assert status_of(five, max_form_field_bytes=4) == 413
    assert status_of(five, max_form_field_bytes=4, sizes=(1,)) == 413
    assert parse(encode([Part("f", b"12345", "f", "a/b")]), max_form_field_bytes=4).get("f") is not None
    fields, file = encode([Part("a", b"12345")] * 5), encode([Part("f", b"1" * 5_000, "f", "a/b")])
    assert parse(fields, max_form_bytes=2_000).get("a") and parse(file, max_form_bytes=2_000).get("f")
    assert status_of(fields, max_form_bytes=200) == status_of(fields, max_form_bytes=200, sizes=(1,)) == 413
    assert status_of(encode([Part("a", b"1" * 5_000)] * 2), max_form_bytes=9_000) == 413  # not read at once
    assert status_of(file, max_form_bytes=250) == 413, "its head stays in memory"
    typed = HEAD + b"\r\nContent-Type: a/b\r\n\r\n" + b"1" * 2_000 + END
    assert parse(typed, max_form_bytes=3_000).get("a") == "1" * 2_000
    assert status_of(typed, max_form_bytes=1_999) == 413
    headers = b"".join(b"\r\nX: %d" % number for number in range(7))
    assert parse(HEAD + headers + b"\r\n\r\nx" + END).get("a") == "x"
    assert status_of(HEAD + headers + b"\r\nX: 7\r\n\r\nx" + END) == 413


@pytest.mark.parametrize("sizes", [(1 << 20,), (7,)])
def test_the_limit_of_part_headers_is_exact(sizes: tuple[int, ...]) -> None:
    line = HEAD[12:]
    assert parse(HEAD + b"\r\n\r\nx" + END, sizes=sizes, max_part_header_bytes=len(line) + 2).get("a") == "x"
    assert status_of(HEAD + b"\r\n\r\nx" + END, sizes=sizes, max_part_header_bytes=len(line) + 1) == 413
    assert status_of(HEAD + b"x" * 100_000 + b"\r\n\r\nx" + END, sizes=sizes) == 413
    assert status_of(HEAD + b"x" * 100_000, sizes=sizes) == 413
    assert status_of(HEAD + b"\r\nX: 1" * 5_000 + b"\r\n\r\nx" + END) == 413


HOSTILE = {
    "CR": b"\r" * 4_000_000,
    "CR first": b"\r" + b"x" * 4_000_000,
    "CR LF": b"\r\n" * 2_000_000,
    "near-boundaries": b"\r\n--B0undar" * 400_000,
    "dashes": b"-" * 4_000_000,
    "near-boundaries without LF": b"\r--B0undary" * 400_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_data_is_data(case: str) -> None:
    """In blocks as small as 100 bytes a parser that looks back at what it has seen would not finish."""
    data = HOSTILE[case]
    for sizes in ((1 << 20,), (100,)):
        form = parse(encode([Part("f", data, "f", "a/b")]), sizes=sizes)
        part: Any = form.get("f")
        assert part.size == len(data) and part.read() == data
        form.close()
    assert status_of(data, sizes=(100,)) == 400  # all preamble


def test_memory_stays_flat() -> None:
    class Endless:
        def __init__(self) -> None:
            self.left = 300

        def read(self, size: int) -> bytes:
            self.left -= 1
            if self.left == 299:
                return HEAD + b'; filename="f"\r\n\r\n'
            return bytes(100_000) if self.left > 0 else END if self.left == 0 else b""

    tracemalloc.start()
    try:
        form = parse_multipart(Endless(), BOUNDARY, DEFAULT_LIMITS)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    part: Any = form.get("a")
    assert part.size == 29_800_000 and form.closable
    form.close()
    assert peak_bytes < 2_000_000


def test_how_many_files_there_may_be_grows_with_their_bytes() -> None:
    """A field as browsers write it is read in a tenth of the time."""
    tiny, small = Part("f", b"x", "f", "a/b"), Part("f", b"x" * 500, "f", "a/b")
    fields = [Part("a", b"x")] * 700
    for files in ([tiny] * 250, [small] * 1_000, [Part("f", b"x" * 400_000, "f", "a/b")] + [tiny] * 900):
        form = parse(encode(files + fields), max_form_parts=2_000)
        assert len(form.get_all("f")) == len(files)
        form.close()
    assert status_of(encode([tiny] * 900)) == 413
    assert status_of(encode([tiny] * 400)[:-9]) == 413, "they are counted before they are read"
    assert status_of(encode([tiny] * 400), sizes=(10_000,)) == 413
    headers = b"".join(b"\r\nX: %d" % number for number in range(7))
    assert len(parse((HEAD + headers + b"\r\n\r\nx\r\n") * 130 + END[2:]).get_all("a")) == 130
    assert status_of((HEAD + headers + b"\r\n\r\nx\r\n") * 180 + END[2:]) == 413


def test_a_head_has_a_limit_of_lines() -> None:
    folded = HEAD + b"\r\nA: b" + b"\r\n c" * 20
    assert parse(folded + b"\r\n\r\nx" + END).get("a") == "x"
    assert status_of(folded + b"\r\n c" * 20 + b"\r\n\r\nx" + END) == 413


# ------------------------------------------------------------ file parts


@pytest.mark.parametrize("scale", [1, 40_000])
def test_parts_read_like_files(scale: int) -> None:
    """In memory and on disk, two parts of one spool read in turns."""
    first, second = b"ab\ncd\n\nef" * scale, b"12\r\n3" * scale
    form = parse(encode([Part("f", first, "1", "a/b"), Part("f", second, "2", "a/b")]))
    a, b = [part for part in form.get_all("f") if isinstance(part, FilePart)]
    assert form.closable is (scale > 1)
    assert a.read(1) + b.read(2) + a.readline() + b.readline() == b"a12b\n\r\n"
    assert (a.tell(), b.tell()) == (3, 4)
    assert a.read() == first[3:] and a.read() == a.readline() == b"" and a.read(5) == b""
    assert a.seek(0) == 0 and list(a) == io.BytesIO(first).readlines()
    assert a.seek(-3, 2) == len(first) - 3 and a.read(100) == first[-3:]
    assert a.seek(-1, 1) == len(first) - 1 and a.seek(10, 2) and a.read() == b""
    assert b.seek(1) == 1 and b.readline(1) == b"2" and b.read(None) == second[2:]
    with pytest.raises(ValueError, match="before the start"):
        a.seek(-1)
    a.close()
    with pytest.raises(ValueError, match="closed"):
        a.read()
    assert b.seek(0) == 0 and b.read(1) == b"1"
    form.close()
    with pytest.raises(ValueError):
        b.read(1)


def test_a_part_goes_where_files_go(tmp_path: Path) -> None:
    import shutil

    form = parse(encode([Part("f", b"x" * 70_000, "f", "a/b")]))
    part: Any = form.get("f")
    with (tmp_path / "copy").open("wb") as copy:
        shutil.copyfileobj(part, copy)
    assert (tmp_path / "copy").read_bytes() == b"x" * 70_000
    form.close()


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, StorageFullError), (errno.EIO, StorageUnavailableError)]
)
def test_a_disk_that_refuses(code: int, kind: type[Exception]) -> None:
    class Refusing(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(code, "no")

    spool = Spool(lambda: Refusing())
    spool.write(memoryview(b"small"))
    with pytest.raises(kind):
        spool.write(memoryview(bytes(300_000)))


def test_a_form_that_breaks_leaves_no_file_open() -> None:
    """An unclosed file is a ResourceWarning, and that an error here."""
    body = encode([Part("f", bytes(300_000), "f", "a/b")])
    assert status_of(body[:-9]) == 400


# ------------------------------------------------------------ properties


@given(FORMS, SIZES)
def test_what_a_browser_sends_comes_through_in_any_pieces(parts: list[Part], sizes: list[int]) -> None:
    assert parts_of(parse(encode(parts), sizes=sizes)) == grouped(parts)


def outcome(body: bytes, sizes: tuple[int, ...]) -> Any:
    try:
        return parts_of(parse(body, sizes=sizes))
    except HTTPError as error:
        assert error.status in (400, 413)
        return error.message


@given(
    FORMS.map(encode) | st.binary(max_size=200),
    st.lists(
        st.tuples(
            st.integers(0, 300),
            st.integers(0, 4),
            st.sampled_from([b"", b"\r\n", b"--", b'"', b"\xff", b" "]),
        )
    ),
    SIZES,
)
@settings(max_examples=300)
def test_mutated_bodies_are_forms_or_errors_in_any_pieces(
    body: bytes, mutations: list[tuple[int, int, bytes]], sizes: list[int]
) -> None:
    for start, length, replacement in mutations:
        body = body[:start] + replacement + body[start + length :]
    assert outcome(body, tuple(sizes)) == outcome(body, (1 << 20,))


def test_pieces_are_pieces() -> None:
    assert [Pieces(b"abcdef", (1, 2)).read(9), Pieces(b"abcdef", (1, 2)).read(1)] == [b"ab", b"a"]
