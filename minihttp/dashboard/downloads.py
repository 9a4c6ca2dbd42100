# SPDX-License-Identifier: MIT
"""The documents of a query as JSON lines or CSV, read page by page while they are sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from ..data.walks import fields_of
from ..http.response import Response
from ..values import encode_wire
from .pieces import without_credentials
from .view import View

SYSTEM_FIELDS = ("_id", "_creationTime")
_EXPORTED_AT_ONCE = 500


def shown_document(name: str, document: Any) -> Any:
    """A document as it is shown: what the framework keeps of requests has credentials in it."""
    return without_credentials(document) if name.startswith("_") else document


def exported(view: View, info: dict[str, Any], form: str, asked: dict[str, Any]) -> Response:
    """All documents of a query, read page by page while they are sent."""

    def documents() -> Iterator[list[Any]]:
        cursor: str | None = None
        while True:
            found = view.call("_app:documents", **asked, limit=_EXPORTED_AT_ONCE, cursor=cursor)
            yield [shown_document(info["name"], document) for document in found["page"]]
            if found["isDone"]:
                return
            cursor = found["continueCursor"]

    name = info["name"]
    if form == "csv":
        return _download(f"{name}.csv", "text/csv; charset=utf-8", _csv(view, info, documents()))
    lines = ("".join(f"{_json(document)}\n" for document in page) for page in documents())
    return _download(f"{name}.jsonl", "application/jsonl", lines)


def _csv(view: View, info: dict[str, Any], pages: Iterator[list[Any]]) -> Iterator[str]:
    """Columns for the declared fields and those of the first page; what else comes later is in the last."""
    declared = fields_of(info["validator"])
    first = next(pages)
    columns = list(dict.fromkeys([*SYSTEM_FIELDS, *declared, *(n for row in first for n in row)]))
    yield _csv_rows([columns if declared else [*columns, "other fields"]])
    page: list[Any] | None = first
    while page is not None:
        yield _csv_rows([_csv_row(row, columns, bool(declared)) for row in page])
        page = next(pages, None)


def _csv_row(document: Any, columns: list[str], is_whole: bool) -> list[str]:
    cells = [_csv_cell(document[column]) if column in document else "" for column in columns]
    others = {name: value for name, value in document.items() if name not in columns}
    return cells if is_whole else [*cells, _json(others) if others else ""]


def _csv_rows(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _csv_cell(value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    starts_a_formula = text[:1] in ("=", "+", "-", "@", "\t", "\r") and isinstance(value, str)
    return f"'{text}" if starts_a_formula else text  # which a spreadsheet would run (OWASP, CSV injection)


def _json(value: Any) -> str:
    return json.dumps(encode_wire(value), ensure_ascii=False)


def _download(name: str, media_type: str, parts: Iterator[str]) -> Response:
    headers = {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response((part.encode() for part in parts), headers=headers)
