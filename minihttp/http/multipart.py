# SPDX-License-Identifier: MIT
"""multipart/form-data (RFC 7578, RFC 2046 §5.1) as a stream: fields into memory, files into one spool.

Each block is searched for the delimiter once with `bytes.find`; only bytes that may begin one are carried
over, so a body costs one pass whatever it holds. Names and file names follow WHATWG HTML: `%22`, `%0D` and
`%0A` are escapes, and `\\"` of older senders is one; `filename*` and Content-Transfer-Encoding are ignored
(RFC 7578 §4.2 and §4.7). Text that is not in the form's encoding is read with U+FFFD. A broken or truncated
form is an error, never a form with fewer fields. Knows nothing of requests, and of file names only that they
are text.
"""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from ..errors import HTTPError, StorageFullError, StorageUnavailableError
from ..limits import Limits
from .body import BLOCK_BYTES
from .fields import Fields
from .headers import Headers, is_token, parse_parameters

_SPOOL_MEMORY_BYTES = 256 * 1024  # of all files of a form together; beyond it they are on disk
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# RFC 2046 §5.1.1: 1 to 70 characters, the last no space. Senders use all that are visible: WebTest has a "$".
_is_boundary = re.compile(r"[ -~]{0,69}[!-~]").fullmatch
_has_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_fold = re.compile(rb"\r\n[ \t]+")  # a header goes on in the next line (RFC 5322 §2.2.3)
_is_padding = re.compile(rb"[ \t]*").fullmatch
# The heads of fields, and of files and other parts, as browsers write them
_FIELD_HEAD = rb'\r\nContent-Disposition: form-data; name="([^"%\x00-\x1f\x7f]{0,200})"\r\n\r\n'
_match_field_head = re.compile(_FIELD_HEAD).match
_PART_HEAD = (
    rb'\r\nContent-Disposition: form-data; name="([^"\x00-\x1f\x7f]{0,200})"'
    rb'(?:; filename="([^"\x00-\x1f\x7f]{0,200})")?'
    rb"(?:\r\nContent-Type: ([!-~](?:[ -~]{0,98}[!-~])?))?\r\n\r\n"
)
_MAX_PADDING_BYTES = 128
_SMALL_PART_BYTES = 4096
_MIN_PARTS, _BYTES_A_PART = 256, 512  # files and parts with more headers: so many, and one for so many bytes
_FEW_PARTS = 32  # of them are read without a look at how many follow
_LINES_A_PART = 4  # the head of a part with more lines counts for several
_MAX_HEAD_LINES = 24  # with those that go on
_HEAD_TIMES = 8  # the head of a part is counted so often: to read it takes that much longer than a field


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class FilePart:
    """An uploaded file, read like a binary file: a window on the spool of its form.

    Attributes:
        filename: as the client wrote it, perhaps with a path; never to be used as one.
        content_type: as the client says, `application/octet-stream` by default.
        size: in bytes.
        headers: the header fields of the part.
    """

    __slots__ = ("_position", "_spool", "_start", "content_type", "filename", "headers", "size")
    is_file_part = True  # for `convert.py`

    def __init__(self, filename: str, headers: Headers, spool: Spool, content_type: str | None) -> None:
        self.filename = filename
        self.headers = headers
        self.content_type = content_type or "application/octet-stream"
        self.size = 0
        self._spool: Spool | None = spool
        self._start = spool.size
        self._position = 0

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, all that is left by default; b"" at the end."""
        return self._take("read", size)

    def readline(self, size: int | None = -1) -> bytes:
        """One line with its line feed, or at most `size` bytes of it; b"" at the end."""
        return self._take("readline", size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to `offset` bytes from the start, the position (1) or the end (2); returns where that is."""
        position = offset + (0, self._position, self.size)[whence]
        if position < 0:
            raise ValueError(f"cannot seek to {position}, before the start of the file")
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        """Forget the file; its bytes go with the form."""
        self._spool = None

    def _take(self, method: str, size: int | None) -> bytes:
        if self._spool is None:
            raise ValueError("read of a closed file part")
        left = max(self.size - self._position, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._spool.take(method, self._start + self._position, wanted) if wanted else b""
        self._position += len(data)
        return data

    def __repr__(self) -> str:
        return f"<FilePart {self.filename!r} {self.content_type} {self.size} bytes>"


def _open_temporary_file() -> Any:
    from tempfile import TemporaryFile  # a costly import that most requests need not wait for

    return TemporaryFile()


class Spool:
    """The bytes of all files of a form, one after the other: in memory at first, then in a temporary file."""

    __slots__ = ("_file", "_open_file", "on_disk", "size")

    def __init__(self, open_file: Callable[[], Any] = _open_temporary_file) -> None:
        self._file: Any = io.BytesIO()
        self._open_file = open_file
        self.on_disk = False
        self.size = 0

    def write(self, data: memoryview) -> None:
        """Append. StorageFullError or StorageUnavailableError when the disk refuses."""
        try:
            if not self.on_disk and self.size + len(data) > _SPOOL_MEMORY_BYTES:
                self._move_to_disk()
            self._file.write(data)
        except OSError as error:
            self.close()
            kind = StorageFullError if error.errno in _NO_SPACE else StorageUnavailableError
            raise kind(f"an uploaded form cannot be spooled: {error}") from error
        self.size += len(data)

    def take(self, method: str, position: int, size: int) -> bytes:
        self._file.seek(position)
        data: bytes = getattr(self._file, method)(size)
        return data

    def close(self) -> None:
        self._file.close()

    def _move_to_disk(self) -> None:
        file = self._open_file()
        file.write(self._file.getvalue())
        self._file = file
        self.on_disk = True


Value = str | FilePart


class FormData(Fields[Value]):
    """The fields of a form: `get`, `get_all`, `form["name"]`, `items`; a value is text or a `FilePart`."""

    __slots__ = ("_spool",)
    what = "form field"

    def __init__(self, pairs: Iterable[tuple[str, Value]], spool: Spool | None = None) -> None:
        super().__init__(pairs)
        self._spool = spool

    @property
    def closable(self) -> bool:
        """Whether there is a temporary file to be freed."""
        return self._spool is not None and self._spool.on_disk

    def close(self) -> None:
        """Free the files."""
        if self._spool is not None:
            self._spool.close()


def parse_multipart(
    stream: Readable,
    boundary: str,
    limits: Limits,
    codec: str = "utf-8",
    *,
    max_fields_bytes: int | None = None,
) -> FormData:
    """The fields and files of a multipart form.

    Args:
        stream: the body; it is read to its end.
        boundary: the parameter of Content-Type.
        limits: `max_form_parts`, `max_part_headers`, `max_part_header_bytes`, `max_form_field_bytes`; the
            limit of the whole form is the stream's own.
        codec: Python's name of the encoding of names and values.
        max_fields_bytes: of the heads of all parts and of all fields that are no files; None for the limit
            `max_form_bytes`.

    Raises:
        HTTPError: 400 for a form that is broken or cut off, 413 past a limit.
        StorageUnavailableError: the temporary file cannot be written.
    """
    if not _is_boundary(boundary):
        raise HTTPError(
            400,
            f"The multipart boundary {boundary[:100]!a} is missing or not 1 to 70 visible characters",
        )
    spool = Spool()
    try:
        scanner = _Scanner(stream, boundary.encode(), limits, max_fields_bytes or limits.max_form_bytes)
        return FormData(_read_parts(scanner, spool, limits, codec), spool)
    except BaseException:
        spool.close()
        raise


def _read_parts(scanner: _Scanner, spool: Spool, limits: Limits, codec: str) -> Iterator[tuple[str, Value]]:
    scanner.skip_preamble()
    count = 0
    while (part := scanner.take_small_part(codec, spool)) or scanner.another_part():
        count += 1
        if count > limits.max_form_parts:
            raise HTTPError(413, f"The form has more than {limits.max_form_parts} parts")
        if part:
            yield part
            continue
        headers = _parse_headers(scanner.header_lines(), limits, codec)
        name, filename = _disposition(headers)
        if filename is None:
            yield name, _read_field(scanner, name, limits).decode(codec, "replace")
        else:
            file = FilePart(filename, headers, spool, headers.get("Content-Type"))
            scanner.copy_to_delimiter(spool.write)
            file.size = spool.size - file._start
            yield name, file
    scanner.skip_epilogue()


def _small_file(head: re.Match[bytes], spool: Spool, data: memoryview, codec: str) -> FilePart:
    """The file behind a head as browsers write it."""
    name, filename = head[1].decode(codec, "replace"), head[2].decode(codec, "replace")
    headers = [("Content-Disposition", f'form-data; name="{name}"; filename="{filename}"')]
    content_type = None
    if head[3] is not None:
        content_type = head[3].decode()
        headers.append(("Content-Type", content_type))
    file = FilePart(_unescape(filename), Headers.over(headers), spool, content_type)
    file.size = len(data)
    spool.write(data)
    return file


def _read_field(scanner: _Scanner, name: str, limits: Limits) -> bytearray:
    value = bytearray()

    def add(data: memoryview) -> None:
        if len(value) + len(data) > limits.max_form_field_bytes:
            raise HTTPError(
                413, f"The form field {name[:100]!a} is larger than {limits.max_form_field_bytes} bytes"
            )
        scanner.keep(len(data))
        value.extend(data)

    scanner.copy_to_delimiter(add)
    return value


def _parse_headers(lines: list[bytes], limits: Limits, codec: str) -> Headers:
    if len(lines) > limits.max_part_headers:
        raise HTTPError(413, f"A form part has more than {limits.max_part_headers} headers")
    pairs = []
    for line in lines:
        try:
            name, colon, value = line.decode(codec, "replace").partition(":")
            if not colon or not is_token(name) or _has_control(value):
                raise ValueError
            pairs.append((name, value.strip(" \t")))
        except ValueError:
            raise HTTPError(400, f"Malformed header in a form part: {line[:100]!a}") from None
    return Headers.over(pairs)


def _disposition(headers: Headers) -> tuple[str, str | None]:
    """(name, file name or None) of a part; the file name of a part without a name is an error too."""
    values = headers.get_all("Content-Disposition")
    try:
        kind, parameters = parse_parameters(values[0] if len(values) == 1 else "")
    except ValueError as error:
        raise HTTPError(400, f"Malformed Content-Disposition in a form part: {str(error)!a}") from None
    if kind != "form-data" or "name" not in parameters:
        raise HTTPError(400, "A form part must have one Content-Disposition: form-data with a name")
    filename = parameters.get("filename")
    return _unescape(parameters["name"]), None if filename is None else _unescape(filename)


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


class _Scanner:
    """A multipart body in blocks, cut at its delimiters."""

    __slots__ = (
        "_block", "_dashes", "_delimiter", "_has_looked", "_max_head_bytes", "_max_kept_bytes", "_parts",
        "_position", "_read", "_read_bytes", "_room_bytes", "_short_bytes",
    )  # fmt: skip

    def __init__(self, stream: Readable, boundary: bytes, limits: Limits, max_kept_bytes: int) -> None:
        self._read = stream.read
        self._max_kept_bytes = self._room_bytes = max_kept_bytes
        self._max_head_bytes = limits.max_part_header_bytes
        self._dashes = b"--" + boundary
        self._delimiter = b"\r\n" + self._dashes
        self._short_bytes = min(_SMALL_PART_BYTES, limits.max_form_field_bytes) + len(self._delimiter)
        self._block = b"\r\n"  # so that a delimiter at the very start is found like any other
        self._position = self._parts = self._read_bytes = 0
        self._has_looked = False

    def keep(self, size: int) -> None:
        """So many bytes more stay in memory."""
        self._room_bytes -= size
        if self._room_bytes < 0:
            raise HTTPError(413, f"The fields of the form are larger than {self._max_kept_bytes} bytes")

    def _count_part(self, lines: int = _LINES_A_PART) -> None:
        """One more part that is not a short field: to read its head takes as long as a thousand bytes."""
        self._parts += -(-lines // _LINES_A_PART)
        self._check_parts(self._parts)
        if self._parts > _FEW_PARTS and not self._has_looked:
            self._has_looked = True  # those ahead are counted before they are read
            ahead = self._block[self._position :]
            odd = ahead.count(self._delimiter) - len(re.findall(_FIELD_HEAD, ahead))
            self._check_parts(self._parts + odd - 1)  # this one may be among them

    def _check_parts(self, count: int) -> None:
        most = _MIN_PARTS + self._read_bytes // _BYTES_A_PART
        if count > most:
            raise HTTPError(413, f"The form has more than {most} small parts with headers of their own")

    def skip_preamble(self) -> None:
        """Pass the first boundary; one inside a line is an error, or the part behind it would be lost."""
        dashes = self._dashes
        seen = b""

        def check(data: memoryview) -> None:
            nonlocal seen
            seen += data
            if dashes in seen:
                raise HTTPError(400, "The first multipart boundary does not begin a line")
            seen = seen[-len(dashes) :]

        self.copy_to_delimiter(check)

    def copy_to_delimiter(self, write: Callable[[memoryview], None]) -> None:
        """Hand all bytes before the next delimiter to `write`, and stop behind it."""
        delimiter = self._delimiter
        while True:
            block, position = self._block, self._position
            index = block.find(delimiter, position)
            if index >= 0:
                write(memoryview(block)[position:index])
                self._position = index + len(delimiter)
                return
            # A delimiter holds one CR, its first byte: only the block's last CR may begin one that goes on.
            end = block.rfind(b"\r", max(position, len(block) - len(delimiter) + 1))
            if end < 0 or not delimiter.startswith(block[end:]):
                end = len(block)
            if end > position:
                write(memoryview(block)[position:end])
            self._position = end
            self._more()

    def another_part(self) -> bool:
        """Whether the delimiter just passed opens a part; False for the one that closes the form."""
        self._fill(2)
        if self._block.startswith(b"--", self._position):
            self._position += 2
            return False
        end = self._find(b"\r\n", _MAX_PADDING_BYTES)
        if end < 0 or not _is_padding(self._block, self._position, end):
            raise HTTPError(400, "A multipart boundary is followed by more than a line end")
        self._position = end
        return True

    def take_small_part(self, codec: str, spool: Spool) -> tuple[str, Value] | None:
        """The next part, if it is short, as browsers write it, and whole in the block; else None.

        Only a short cut for the commonest parts: what it leaves is read, or refused, by the other methods.
        """
        block, position, delimiter = self._block, self._position, self._delimiter
        field = _match_field_head(block, position)
        head = field or re.compile(_PART_HEAD).match(block, position)
        if head is None or (start := head.end()) - position > self._max_head_bytes:
            return None
        end = block.find(delimiter, start, start + self._short_bytes)
        if end < 0 or block.startswith(self._dashes, start):
            return None
        self._position = end + len(delimiter)
        if field is None:
            self.keep(_HEAD_TIMES * (start - position))
            self._count_part()
            name = _unescape(head[1].decode(codec, "replace"))
            if head[2] is not None:
                return name, _small_file(head, spool, memoryview(block)[start:end], codec)
            self.keep(end - start)
            return name, block[start:end].decode(codec, "replace")
        if end - position > self._room_bytes:
            self.keep(end - position)  # refuses
        self._room_bytes -= end - position
        try:
            return head[1].decode(codec), block[start:end].decode(codec)
        except UnicodeDecodeError:
            return head[1].decode(codec, "replace"), block[start:end].decode(codec, "replace")

    def header_lines(self) -> list[bytes]:
        """The header lines of a part, unfolded, from the line end before them; stops behind the blank one."""
        end = self._find(b"\r\n\r\n", self._max_head_bytes)
        if end < 0:
            raise HTTPError(413, f"A form part's headers are larger than {self._max_head_bytes} bytes")
        self.keep(_HEAD_TIMES * (end - self._position))
        head = self._block[self._position + 2 : end]
        if head.count(b"\r\n") > _MAX_HEAD_LINES:
            raise HTTPError(413, f"A form part's headers have more than {_MAX_HEAD_LINES} lines")
        lines = _fold.sub(b" ", head).split(b"\r\n")
        self._count_part(len(lines))
        self._position = end + 4
        self._fill(len(self._dashes))
        if self._block.startswith(self._dashes, self._position):
            raise HTTPError(400, "The data of a form part begins with the multipart boundary")
        return lines

    def skip_epilogue(self) -> None:
        """Read to the end, so that a body cut off or too large is noticed."""
        rest = self._block[self._position :] or self._read(BLOCK_BYTES)
        if rest[:1] not in (b"", b"\r", b"\n", b" ", b"\t"):
            raise HTTPError(400, "The closing multipart boundary is followed by more than a line end")
        while rest:
            rest = self._read(BLOCK_BYTES)

    def _find(self, marker: bytes, max_bytes: int) -> int:
        """Where `marker` stands in the block, or -1 if it is not within `max_bytes` ahead."""
        searched = 0
        while True:
            limit = self._position + max_bytes + len(marker)
            index = self._block.find(marker, self._position + searched, limit)
            if index >= 0 or len(self._block) >= limit:
                return index
            searched = max(len(self._block) - self._position - len(marker) + 1, 0)
            self._more()

    def _fill(self, size: int) -> None:
        while len(self._block) - self._position < size:
            self._more()

    def _more(self) -> None:
        """Add a block behind what has not been consumed."""
        data = self._read(BLOCK_BYTES)
        if not data:
            raise HTTPError(400, "The form ends before its closing boundary")
        self._read_bytes += len(data)
        kept = self._block[self._position :]
        self._block = kept + data if kept else data
        self._position = 0
