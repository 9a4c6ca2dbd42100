# SPDX-License-Identifier: MIT
"""Tables and documents: look along an index, page by cursor, change one."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from ..errors import HTTPError
from ..http.response import Response
from ..values import encode_wire
from .html import Safe, join, tag
from .view import Page, Redirect, View, code, entry, fields, options, pages, parse_fields, preview, table

_PAGE_DOCUMENTS = 50
_EXPORTED_DOCUMENTS = 1_000
_MAX_COLUMNS = 6
_SYSTEM_FIELDS = ("_id", "_creationTime")


def page(view: View, rest: list[str]) -> Page | Response | None:
    match rest:
        case []:
            return _tables(view)
        case [name]:
            return _documents(view, name)
        case [name, "new"]:
            return _new(view, name)
        case [name, id]:
            return _document(view, name, id)
    return None


def change(view: View, form: Any, rest: list[str]) -> Redirect:
    match rest:
        case [name, "new"]:
            id = view.call(
                "_app:insert_document", table=name, document=parse_fields(str(form.get("document") or ""))
            )
            return Redirect(view.path("data", name, id), f"inserted {name} {id}")
        case [name, id, "delete"]:
            view.call("_app:delete_document", id=id)
            return Redirect(view.path("data", name), f"deleted {name} {id}")
        case [name, id]:
            view.call("_app:replace_document", id=id, document=parse_fields(str(form.get("document") or "")))
            return Redirect(view.path("data", name, id), f"changed {name} {id}")
    raise HTTPError(404, "There is nothing to change here")


def _tables(view: View) -> Page:
    system = bool(view.asked("system"))
    rows = [
        (
            view.link(row["name"], "data", row["name"]),
            f"{row['documents']:,}{'+' if row['isCapped'] else ''}",
            ", ".join(row["indexes"]) or "–",
            "in the schema" if row["isDeclared"] else "not in the schema",
        )
        for row in view.call("_app:tables", system=system)
    ]
    empty = "There is no table yet. A table appears with its first document, or when the schema declares it."
    other = (
        view.link("The app's tables", "data")
        if system
        else view.link("The framework's own tables", "data", system="1")
    )
    return Page(
        "Data", join([table(("Table", "Documents", "Indexes", ""), rows, empty, [1]), tag("p", other)])
    )


def _documents(view: View, name: str) -> Page | Response:
    info = _table(view, name)
    index, eq, order = view.asked("index"), view.asked("eq"), view.asked("order", "asc")
    form = view.asked("format")
    query: dict[str, Any] = {"index": index, "eq": eq, "order": order if order != "asc" else ""}
    asked: dict[str, Any] = {"table": name, "order": order, "cursor": view.asked("cursor") or None}
    if index:
        asked["index"] = index
    if eq:
        values = parse_fields(eq)
        asked["eq"] = values if isinstance(values, list) else [values]
    found = view.call("_app:documents", limit=_EXPORTED_DOCUMENTS if form else _PAGE_DOCUMENTS, **asked)
    if form:
        return _exported(name, form, found["page"])
    return Page(
        name,
        join(
            [
                _filter(view, name, info, index, eq, order),
                _rows(view, name, found["page"]),
                pages(view, found, "data", name, **query),
                tag(
                    "p",
                    view.link("As JSON lines", "data", name, **query, format="jsonl"),
                    " · ",
                    view.link("As CSV", "data", name, **query, format="csv"),
                    " · ",
                    view.link("Insert a document", "data", name, "new")
                    if _is_changed_here(view, name)
                    else "",
                ),
            ]
        ),
    )


def _is_changed_here(view: View, name: str) -> bool:
    return view.may_write and not name.startswith("_")


def _table(view: View, name: str) -> dict[str, Any]:
    rows = view.call("_app:tables", system=name.startswith("_"))
    info: dict[str, Any] | None = next((row for row in rows if row["name"] == name), None)
    if info is None:
        raise HTTPError(404, f"There is no table {name!r}")
    return info


def _filter(view: View, name: str, info: dict[str, Any], index: str, eq: str, order: str) -> Safe:
    indexes = [("", "creation time"), *((i, f"{i} ({', '.join(f)})") for i, f in info["indexes"].items())]
    return tag(
        "form",
        options("index", "Index", indexes, index),
        entry("eq", "equals", eq, placeholder='"a" or ["a", 1]', size=20),
        options("order", "Order", (("asc", "ascending"), ("desc", "descending")), order),
        tag("button", "Show"),
        action=view.path("data", name),
        class_="filter",
    )


def _rows(view: View, name: str, documents: list[Any]) -> Safe:
    columns: list[str] = []
    for document in documents:
        columns += [field for field in document if field not in columns and field not in _SYSTEM_FIELDS]
    columns = columns[:_MAX_COLUMNS]
    rows = [
        (
            view.id(document["_id"], "data", name, document["_id"]),
            *(preview(document[column], 40) if column in document else "" for column in columns),
            view.when(document["_creationTime"]),
        )
        for document in documents
    ]
    return table(("Id", *columns, "Created"), rows, "No documents here. Try another index or value.")


def _exported(name: str, form: str, documents: list[Any]) -> Response:
    if form == "csv":
        columns = list(dict.fromkeys(field for document in documents for field in document))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(
            [_cell(document[column]) if column in document else "" for column in columns]
            for document in documents
        )
        return _download(f"{name}.csv", "text/csv; charset=utf-8", out.getvalue())
    lines = [json.dumps(encode_wire(document), ensure_ascii=False) + "\n" for document in documents]
    return _download(f"{name}.jsonl", "application/jsonl", "".join(lines))


def _cell(value: Any) -> str:
    """A value for a spreadsheet, which must not take it for a formula (OWASP, "CSV Injection")."""
    text = value if isinstance(value, str) else json.dumps(encode_wire(value), ensure_ascii=False)
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _download(name: str, content_type: str, text: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(text, headers={"Content-Type": content_type, "Content-Disposition": disposition})


def _document(view: View, name: str, id: str) -> Page | None:
    found = view.call("_app:document", id=id)
    if found is None or found["table"] != name:
        return None
    document = found["document"]
    shown = fields({field: value for field, value in document.items() if field not in _SYSTEM_FIELDS})
    info = _table(view, name)
    parts: list[Any] = [
        tag("p", "Id ", tag("code", id, class_="whole"), " · created ", view.when(document["_creationTime"])),
        tag("p", _links(view, document), class_="muted"),
    ]
    if _is_changed_here(view, name):
        parts += [
            view.form(view.path("data", name, id), _editor(shown), tag("button", "Save")),
            view.button("Delete this document", "data", name, id, "delete", danger=True),
        ]
    else:
        parts.append(code(shown))
    parts += [tag("h2", "Validator"), code(json.dumps(info["validator"], indent=2))]
    return Page(f"{name} {id[:6]}…", join(parts))


def _links(view: View, document: Any) -> list[Any]:
    """The documents that this one refers to, by ids among its fields."""
    links: list[Any] = []
    for field, value in document.items():
        if field != "_id" and isinstance(value, str) and len(value) == 32:
            other = view.call("_app:document", id=value)
            if other is not None:
                links += [
                    f"{field} → ",
                    view.link(f"{other['table']} {value[:6]}…", "data", other["table"], value),
                    " ",
                ]
    return links


def _new(view: View, name: str) -> Page:
    info = _table(view, name)
    form = view.form(view.path("data", name, "new"), _editor("{}"), tag("button", "Insert"))
    return Page(
        f"New document in {name}",
        join([form, tag("h2", "Validator"), code(json.dumps(info["validator"], indent=2))]),
    )


def _editor(text: str) -> Safe:
    rows = min(30, max(8, text.count("\n") + 2))
    return tag(
        "label",
        "Fields as JSON",
        tag("textarea", text, name="document", rows=rows, spellcheck="false"),
        class_="block",
    )
