# SPDX-License-Identifier: MIT
"""`data`: tables with counts, documents of a table, one document; `data import TABLE FILE`.

`data` lists tables, `data items` documents, `data items ID` shows one; `data import items items.jsonl` adds
the documents of a file, all or none.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import MinihttpError, did_you_mean
from ..values import loads
from . import json_text, note, print_rows
from ._admin import Access, access
from ._arguments import FREE_ACCESS, limit, option, switch, word
from ._rows import import_rows
from ._settings import MisuseError

HELP = "look at tables and documents, or import a file into a table"
_PAGE = 500
_CELL_CHARACTERS = 40
ARGUMENTS = (
    word("words", "TABLE", "a table; TABLE ID; or `import TABLE FILE` (- is stdin)", nargs="*"),
    limit(50),
    option("--order", "ORDER", "asc or desc", choices=("asc", "desc"), default="asc"),
    option("--index", "NAME", "read along this index"),
    option("--eq", "JSON", "what the index's first field must be, or a list for several"),
    option("--after", "CURSOR", "go on after a page"),
    switch("--system", "the framework's tables"),
    option("--format", "FORMAT", "table, jsonl or csv", choices=("table", "jsonl", "csv"), default="table"),
    switch("--json", "as --format jsonl"),
    *FREE_ACCESS,
)


def run(args: argparse.Namespace) -> int:
    words = args.words
    args.format = "jsonl" if args.json else args.format
    if len(words) == 3 and words[0] == "import":
        return import_rows(args, words[1], words[2])
    if len(words) > 2:
        raise MisuseError("data takes TABLE, or TABLE ID, or import TABLE FILE")
    with access(args) as app:
        if not words:
            _tables(app, args)
        elif len(words) == 1:
            _documents(app, words[0], args)
        else:
            _document(app, words[0], words[1])
    return 0


def _tables(app: Access, args: argparse.Namespace) -> None:
    rows = app.run_query("_app:tables", system=args.system)
    shown = [
        {
            "table": row["name"],
            "documents": f"{row['documents']:,.0f}" + ("+" if row["isCapped"] else ""),
            "indexes": ", ".join(row["indexes"]),
        }
        for row in rows
    ]
    as_json = args.format == "jsonl"
    print_rows(rows if as_json else shown, as_json, empty="there are no tables")


def _document(app: Access, table: str, id: str) -> None:
    found = app.run_query("_app:document", id=id)
    if found is None or found["table"] != table:
        raise MinihttpError(f"there is no document {id} in {table}")
    print(json_text(found["document"], pretty=True))


def _documents(app: Access, table: str, args: argparse.Namespace) -> None:
    known = [row["name"] for row in app.run_query("_app:tables", system=table.startswith("_"))]
    if table not in known:
        raise MinihttpError(f"there is no table {table!r}{did_you_mean(table, known)}")
    found = _Pages(app, table, args)
    if args.format == "jsonl":
        for document in found:
            print(json_text(document))
    else:
        (_print_csv if args.format == "csv" else _print_table)(list(found))
    if not found.count:
        note("no such documents")
    if found.cursor:
        note(f"more: --after {found.cursor}")


class _Pages:
    """The documents that were asked for, a page at a time; then `cursor` is set where there are more."""

    def __init__(self, app: Access, table: str, args: argparse.Namespace) -> None:
        self._app = app
        self._query: dict[str, Any] = {"table": table, "order": args.order, "index": args.index}
        self._query["eq"] = _values(args.eq)
        self._left = args.limit
        self.cursor: str | None = args.after
        self.count = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while self._left:
            asked = {**self._query, "limit": min(self._left, _PAGE), "cursor": self.cursor}
            page = self._app.run_query("_app:documents", **asked)
            self.cursor = None if page["isDone"] else page["continueCursor"]
            self.count += len(page["page"])
            self._left -= len(page["page"])
            yield from page["page"]
            if self.cursor is None:
                return


def _values(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    try:
        value = loads(text)
    except ValueError:
        value = text  # a word without quotes
    return value if isinstance(value, list) else [value]


def _columns(documents: list[dict[str, Any]]) -> list[str]:
    names = {name for document in documents for name in document}
    return [name for name in ("_id", "_creationTime") if name in names] + sorted(
        name for name in names if not name.startswith("_")
    )


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _print_table(documents: list[dict[str, Any]]) -> None:
    def short(value: Any) -> str:
        text = _cell(value)
        return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"

    columns = _columns(documents)
    print_rows([{n: short(d[n]) if n in d else None for n in columns} for d in documents], False)


def _print_csv(documents: list[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = _columns(documents)
    writer.writerow(columns)
    for document in documents:
        writer.writerow([_cell(document[name]) if name in document else "" for name in columns])
