# SPDX-License-Identifier: MIT
"""Multipart parsers side by side: MiB/s on one large file, 1,000 fields, and hostile bodies; memory of a
large upload.

    python benchmarks/multipart.py [--mib 64] [--rounds 3]

The limit is `shutil.copyfileobj` from the stream to a temporary file. Every parser spools files to disk and
keeps fields. Rounds are interleaved, medians are printed as Markdown; peers that are not installed are left
out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder would hide the package `multipart`

MIB = 1024 * 1024
BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
Parser = Callable[[BinaryIO, int], int]  # (body, its length) -> number of parts


def limit(body: BinaryIO, length: int) -> int:
    """Read and write, nothing else."""
    with tempfile.TemporaryFile(buffering=0) as file:
        shutil.copyfileobj(body, file)
    return 1


def minihttp(body: BinaryIO, length: int) -> int:
    from minihttp.http.request import Request
    from minihttp.limits import Limits

    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": CONTENT_TYPE,
        "CONTENT_LENGTH": str(length),
        "wsgi.input": body,
    }
    request = Request(environ, "/", None, Limits(max_body_bytes=1 << 40, max_form_parts=10_000))
    count = len(request.form().items())
    request.close()
    return count


def multipart(body: BinaryIO, length: int) -> int:
    multipart = importlib.import_module("multipart")
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": CONTENT_TYPE,
        "CONTENT_LENGTH": str(length),
        "wsgi.input": body,
    }
    fields, files = multipart.parse_form_data(
        environ, strict=True, part_limit=10_000, mem_limit=64 * MIB, disk_limit=1 << 40
    )
    for _, part in files.iterallitems():
        part.close()
    return len(list(fields.iterallitems())) + len(list(files.iterallitems()))


def werkzeug(body: BinaryIO, length: int) -> int:
    formparser = importlib.import_module("werkzeug.formparser")
    parser = formparser.FormDataParser(max_form_memory_size=None, max_form_parts=10_000, silent=False)
    _, fields, files = parser.parse(body, "multipart/form-data", length, {"boundary": BOUNDARY})
    for file in files.values():
        file.close()
    return len(list(fields.items(multi=True))) + len(list(files.items(multi=True)))


def python_multipart(body: BinaryIO, length: int) -> int:
    module = importlib.import_module("python_multipart")
    found: list[Any] = []
    headers = {"Content-Type": CONTENT_TYPE.encode(), "Content-Length": str(length).encode()}
    with contextlib.redirect_stderr(io.StringIO()):
        module.parse_form(headers, body, found.append, found.append, chunk_size=128 * 1024)
    for part in found:
        part.close()
    return len(found)


def falcon(body: BinaryIO, length: int) -> int:
    media = importlib.import_module("falcon.media")
    options = media.multipart.MultipartParseOptions()
    options.max_body_part_count = 10_000
    handler = media.MultipartFormHandler(options)
    count = 0
    for part in handler.deserialize(body, CONTENT_TYPE, length):
        count += 1
        if part.filename is None:
            part.get_data()
        else:
            with tempfile.TemporaryFile(buffering=0) as file:
                while block := part.stream.read(128 * 1024):
                    file.write(block)
    return count


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


def cases(mib: int) -> dict[str, tuple[bytes, int]]:
    """(body, number of parts) by name."""
    end = f"--{BOUNDARY}--\r\n".encode()
    near = f"\r\n--{BOUNDARY[:-1]}".encode()
    hostile = 4 * MIB
    return {
        f"{mib} MiB file": (part("f", os.urandom(MIB) * mib, "f.bin") + end, 1),
        "1,000 fields": (b"".join(part(f"field{n}", b"value of a field") for n in range(1000)) + end, 1000),
        "4 MiB of CR": (part("f", b"\r" * hostile, "f") + end, 1),
        "4 MiB of CR LF": (part("f", b"\r\n" * (hostile // 2), "f") + end, 1),
        "4 MiB of near-boundaries": (part("f", near * (hostile // len(near)), "f") + end, 1),
    }


def peak_kib(parser: Parser, body: bytes) -> float:
    """The most memory that Python objects took while parsing, beside the body itself."""
    stream = io.BytesIO(body)
    tracemalloc.start()
    try:
        parser(stream, len(body))
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mib", type=int, default=64)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    parsers: dict[str, Parser] = {"limit": limit, "minihttp": minihttp}
    for name, parser in {
        "multipart": multipart, "werkzeug": werkzeug, "python_multipart": python_multipart, "falcon": falcon,
    }.items():  # fmt: skip
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            parsers[name] = parser
    bodies = cases(chosen.mib)
    print("| MiB/s (share of the limit) | " + " | ".join(bodies) + " | peak memory, large file |")
    print("|---|" + "---:|" * (len(bodies) + 1))
    rates: dict[str, dict[str, float]] = {name: {} for name in parsers}
    for case, (body, count) in bodies.items():
        times: dict[str, list[float]] = {name: [] for name in parsers}
        for _ in range(chosen.rounds if len(body) > MIB else chosen.rounds * 5):
            for name, parser in parsers.items():
                started = time.process_time()
                found = parser(io.BytesIO(body), len(body))
                times[name].append(time.process_time() - started)
                if found != count and parser is not limit:
                    raise SystemExit(f"{name} found {found} parts in {case}, not {count}")
        for name in parsers:
            rates[name][case] = len(body) / MIB / statistics.median(times[name])
    large = next(iter(bodies.values()))[0]
    for name, row in rates.items():
        cells = (f"{rate:,.0f} ({rate / rates['limit'][case]:.2f})" for case, rate in row.items())
        memory = f"{peak_kib(parsers[name], large):,.0f} KiB"
        print(f"| {name} | " + " | ".join(cells) + f" | {memory} |")


if __name__ == "__main__":
    main()
