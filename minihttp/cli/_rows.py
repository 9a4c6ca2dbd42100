# SPDX-License-Identifier: MIT
"""Documents of a file, JSON lines or CSV, as a snapshot of one table: imported all or none."""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from ..data.walks import fields_of
from ..errors import MinihttpError
from ..snapshot.archive import ArchiveWriter
from ..values import Int64, encode_wire
from ._admin import access
from ._settings import MisuseError
from ._snapshots import import_from


def import_rows(args: argparse.Namespace, table: str, file: str) -> int:
    """Add the documents of a file (`-` is stdin: JSON lines) to a table."""
    if not file.endswith((".csv", ".jsonl")) and file != "-":
        raise MisuseError(f"{file} must end with .jsonl or .csv")
    fields = _fields(args, table)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, os.path.basename(file) + ".zip")
        try:
            with open(path, "wb") as out, _opened(file) as source, ArchiveWriter(out) as writer:
                lines = (
                    _csv_lines(source, fields)
                    if file.endswith(".csv")
                    else (line.encode() for line in source)
                )
                writer.add(f"{table}/documents.jsonl", lines)
                writer.close(rows=file)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MinihttpError(f"cannot read {file}: {reason}") from None
        return import_from(args, path, "import", mode="append")


def _opened(file: str) -> IO[str]:
    return sys.stdin if file == "-" else open(file, encoding="utf-8-sig", newline="")


def _fields(args: argparse.Namespace, table: str) -> dict[str, Any]:
    """The validators of a table's fields, by name, in Convex's JSON form; nothing where it has none."""
    with access(args) as app:
        validators = {row["name"]: row["validator"] for row in app.run_query("_app:tables")}
    return fields_of(validators[table]) if table in validators else {}


def _csv_lines(source: Iterable[str], fields: dict[str, Any]) -> Iterator[bytes]:
    """Each row as a line of JSON; a cell is read by its field's validator, else as a number or as text."""
    rows = csv.DictReader(source, strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise MinihttpError(f"line {rows.line_num} has not as many cells as the first line")
            cells = {name: _value(text, fields.get(name)) for name, text in row.items()}
            document = {name: value for name, value in cells.items() if value is not _ABSENT}
            yield json.dumps(encode_wire(document)).encode() + b"\n"
    except csv.Error as error:
        raise MinihttpError(f"line {rows.line_num} is no CSV: {error}") from None


_ABSENT: Any = object()


def _value(text: str, field: dict[str, Any] | None) -> Any:
    kind = field["fieldType"]["type"] if field else None
    if text == "" and field is not None and field["optional"]:
        return _ABSENT
    if kind in ("string", "id"):
        return text
    if kind == "bigint" and re.fullmatch(r"-?[0-9]{1,19}", text):
        return Int64(text)
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
