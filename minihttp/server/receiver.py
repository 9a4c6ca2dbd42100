# SPDX-License-Identifier: MIT
"""The chunked transfer coding (RFC 9112 §7.1), read strictly and at a cost that the sender cannot choose.

Each chunk costs as much time as some sixty bytes of a plain body do. So it is counted as that many bytes of
framing at least, and a body whose framing exceeds both 64 KiB and its data is refused. Stands in for
waitress's `ChunkedReceiver`.
"""

from __future__ import annotations

import re
from typing import Any

from waitress.rfc7230 import CHUNK_EXT_RE, HEADER_FIELD_RE
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from ..limits import KIB

MAX_SIZE_LINE_BYTES = 1 * KIB
MAX_TRAILER_BYTES = 8 * KIB
MAX_TRAILER_FIELDS = 32
FREE_FRAMING_BYTES = 64 * KIB
# What a chunk is counted as, measured as the time that so many bytes of a plain body take.
_CHUNK_BYTES = 64  # when it is read together with its neighbours
_LONE_CHUNK_BYTES = 128  # when its data holds line ends, or its size line an extension
_EXTENSION_TIMES = 4  # to check the form of an extension takes that much longer
_MANY_BYTES = 1 * KIB  # chunks below this size are read many at a time
_MANY_PARTS = 4096
_MAX_KNOWN_SIZES = 8192

_MAX_DIGITS = 16
_is_size = re.compile(rb"[0-9A-Fa-f]{1,16}").fullmatch
_CRLF = b"\r\n"


class _Refused(Exception):
    def __init__(self, error: Error) -> None:
        super().__init__(error.body)
        self.error = error


class _Sizes(dict[bytes, int]):
    """The number of bytes that a size line announces, by the line; whatever extension follows is dropped."""

    def __missing__(self, line: bytes) -> int:
        digits, semicolon, extension = line.partition(b";")
        if not _is_size(digits):
            raise _Refused(BadRequest(f"{line[:40]!r} is not the size of a chunk"))
        if semicolon and not CHUNK_EXT_RE.match(b";" + extension):
            raise _Refused(BadRequest("the extension of a chunk is malformed"))
        size = int(digits, 16)
        if len(line) < 4 and len(self) < _MAX_KNOWN_SIZES:
            self[line] = size
        return size


_size_of = _Sizes().__getitem__


def _weighed(framing_bytes: int, chunks: int = 1) -> int:
    """What size lines with their line ends count as: those with extensions more than they have."""
    has_extensions = framing_bytes > (_MAX_DIGITS + 4) * chunks
    return framing_bytes * _EXTENSION_TIMES if has_extensions else framing_bytes


class ChunkedReceiver:
    """Reads the chunks of one request body into `buf`.

    Args:
        buf: a buffer of waitress's kind.

    Attributes:
        max_bytes: the most data that is accepted; more is a 413, from the size line already.
        completed: whether the last chunk and the trailers have come.
        error: why the body is refused, or None.
    """

    completed = False
    error: Error | None = None

    def __init__(self, buf: Any, max_bytes: int) -> None:
        self.buf = buf
        self.max_bytes = max_bytes
        self._held = b""  # the beginning of a line or of a line end
        self._left = 0  # bytes of the present chunk's data that are still to come
        self._read: Any = self._sizes  # reads what comes next
        self._data_bytes = 0  # announced so far
        self._framing_bytes = 0  # as counted
        self._holds_line_ends = False  # some chunk's data does, so that chunks cannot be read together

    def __len__(self) -> int:
        return int(self.buf.__len__())

    def getfile(self) -> Any:
        return self.buf.getfile()

    def getbuf(self) -> Any:
        return self.buf

    def received(self, data: bytes) -> int:
        """Takes the next bytes of the connection; returns how many of them belong to this body."""
        if self.completed or self.error:
            return 0
        held_bytes = len(self._held)
        block = self._held + data if held_bytes else data
        position, before = 0, -1
        try:
            while position != before and not self.completed:
                before = position
                position = self._read(block, position)
        except _Refused as refused:
            self.error = refused.error
            return len(data)
        self._held = b"" if self.completed else block[position:]
        return position - held_bytes if self.completed else len(data)

    # Each reader takes a block and a position, and returns the position of what it has not taken.

    def _sizes(self, block: bytes, position: int) -> int:
        """Size lines, and with each the data of its chunk as far as it is there."""
        find, end_of_block = block.find, len(block)
        pieces: list[bytes] = []
        while True:
            end = find(_CRLF, position, position + MAX_SIZE_LINE_BYTES + 2)
            if end < 0:
                if end_of_block - position > MAX_SIZE_LINE_BYTES + 1:
                    raise _Refused(BadRequest("the size line of a chunk is too long"))
                break
            line = block[position:end]
            if b"\n" in line:
                raise _Refused(BadRequest("the size line of a chunk holds a bare line feed"))
            size = _size_of(line)
            lone = self._holds_line_ends or len(line) > _MAX_DIGITS
            self._count(size, max(_weighed(len(line) + 4), _LONE_CHUNK_BYTES if lone else _CHUNK_BYTES))
            position = end + 2
            if not size:
                self._read = self._trailers
                break
            stop = position + size
            if stop + 2 > end_of_block:  # to be continued
                self._left, self._read = size, self._data
                break
            if block[stop] != 13 or block[stop + 1] != 10:
                raise _Refused(BadRequest("a chunk is longer than its size"))
            pieces.append(block[position:stop])
            position = stop + 2
            if size < _MANY_BYTES and not self._holds_line_ends:
                position = self._many(block, position, pieces)
        if pieces:
            self.buf.append(b"".join(pieces))
        return position

    def _many(self, block: bytes, position: int, pieces: list[bytes]) -> int:
        """Small chunks that are wholly there, together: a split costs a sixth of reading them one by one."""
        rest = block[position:]
        parts = rest.split(_CRLF, _MANY_PARTS)
        lines, data = parts[:-1:2], parts[1:-1:2]  # the last part has no end yet
        count = lines.index(b"0") if b"0" in lines else len(data)
        del lines[count:], data[count:]
        try:
            sizes = list(map(_size_of, lines))
        except _Refused:
            sizes = []
        if sizes != list(map(len, data)) or 0 in sizes:  # whatever it is, the way one by one knows
            self._holds_line_ends = True
            return position
        after = parts[2 * count :]
        taken_bytes = len(rest) - sum(map(len, after)) - 2 * (len(after) - 1)
        data_bytes = sum(sizes)
        self._count(data_bytes, max(_weighed(taken_bytes - data_bytes, count), _CHUNK_BYTES * count))
        pieces += data
        return position + taken_bytes

    def _data(self, block: bytes, position: int) -> int:
        """The data of a chunk that did not come at once."""
        piece = block[position : position + self._left] if position else block[: self._left]
        if piece:
            self.buf.append(piece)
            self._left -= len(piece)
        if not self._left:
            self._read = self._data_end
        return position + len(piece)

    def _data_end(self, block: bytes, position: int) -> int:
        end = block[position : position + 2]
        if end == _CRLF:
            self._read = self._sizes
            return position + 2
        if end not in (b"", b"\r"):
            raise _Refused(BadRequest("a chunk is longer than its size"))
        return position

    def _trailers(self, block: bytes, position: int) -> int:
        """The fields after the last chunk, which are checked and dropped (RFC 9112 §7.1.2)."""
        if block.startswith(_CRLF, position):
            self.completed = True
            return position + 2
        end = block.find(b"\r\n\r\n", position, position + MAX_TRAILER_BYTES)
        if end < 0:
            if len(block) - position >= MAX_TRAILER_BYTES:
                raise _Refused(BadRequest("the trailers are too long"))
            return position
        fields = block[position:end].split(_CRLF)
        plain = all(HEADER_FIELD_RE.match(field) and b"\n" not in field for field in fields)
        if not plain or len(fields) > MAX_TRAILER_FIELDS:
            raise _Refused(BadRequest("the trailers are too many, or malformed"))
        self.completed = True
        return end + 4

    def _count(self, data_bytes: int, framing_bytes: int) -> None:
        self._data_bytes += data_bytes
        self._framing_bytes += framing_bytes
        if self._data_bytes > self.max_bytes:
            raise _Refused(RequestEntityTooLarge(f"the body is larger than {self.max_bytes} bytes"))
        if self._framing_bytes > max(FREE_FRAMING_BYTES, self._data_bytes):
            raise _Refused(BadRequest("the chunks are too small: send more bytes in each"))
