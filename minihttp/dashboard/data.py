# SPDX-License-Identifier: MIT
"""Tables and documents: look along an index, filter, page by cursor, change one."""

from __future__ import annotations

import json
from typing import Any

from ..app.inspection import digest_of
from ..data.walks import fields_of
from ..errors import HTTPError
from ..http.response import Response
from ..values import Int64
from .downloads import SYSTEM_FIELDS, exported, shown_document
from .html import Safe, join, tag
from .pieces import code, entry, fields, options, parse_fields, parse_value, preview, short, table, validator
from .view import Page, Redirect, View

_PAGE_DOCUMENTS = 50
_MAX_COLUMNS = 6
_COMPARISONS = (("eq", "="), ("neq", "≠"), ("lt", "<"), ("lte", "≤"), ("gt", ">"), ("gte", "≥"))


def _insert(view: View, form: Any, name: str) -> Redirect:
    id = view.call("_app:insert_document", table=name, document=_sent_document(form))
    return Redirect(view.path("data", name, id), f"inserted {name} {id}")


def _delete(view: View, form: Any, name: str, id: str) -> Redirect:
    view.call("_app:delete_document", id=id)
    return Redirect(view.path("data", name), f"deleted {name} {id}")


def _save(view: View, form: Any, name: str, id: str) -> Redirect:
    seen = str(form.get("seen") or "") or None
    view.call("_app:replace_document", id=id, document=_sent_document(form), seen=seen)
    return Redirect(view.path("data", name, id), f"changed {name} {id}")


def _sent_document(form: Any) -> Any:
    return parse_fields(str(form.get("document") or ""))


# ------------------------------------------------------------ tables


def _tables(view: View) -> Page:
    system = bool(view.asked("system"))
    rows = [
        (
            view.link(row["name"], "data", row["name"]),
            f"{row['documents']:,}{'+' if row['isCapped'] else ''}",
            ", ".join(row["indexes"]) or tag("span", "none", class_="muted"),
            "" if row["isDeclared"] else "not in the schema",
        )
        for row in view.call("_app:tables", system=system)
    ]
    empty = "There is no table yet. A table appears with its first document, or when the schema declares it."
    other = "The app's tables" if system else "The framework's own tables"
    link = tag("p", view.link(other, "data", system="" if system else "1"))
    body = [table(("Table", "Documents", "Indexes", ""), rows, empty, [1]), link]
    return Page("The framework's tables" if system else "Data", join(body))


def _table(view: View, name: str) -> dict[str, Any]:
    rows = view.call("_app:tables", system=name.startswith("_"))
    info: dict[str, Any] | None = next((row for row in rows if row["name"] == name), None)
    if info is None:
        raise HTTPError(404, f"There is no table {name!r}")
    return info


def _is_changed_here(view: View, name: str) -> bool:
    return view.may_write and not name.startswith("_")


# ------------------------------------------------------------ documents


def _documents(view: View, name: str) -> Page | Response:
    info = _table(view, name)
    shown = {field: view.asked(field) for field in ("index", "eq", "field", "is", "value", "order")}
    asked = _query(name, shown)
    form = view.asked("format")
    if form:
        return exported(view, info, form, asked)
    found = view.page_of("_app:documents", _PAGE_DOCUMENTS, **asked)
    insert = tag("a", "Insert a document", href=view.path("data", name, "new"), class_="button")
    documents = [shown_document(name, document) for document in found["page"]]
    if documents or found["isDone"]:
        rows = _rows(view, name, info, documents, bool(shown["eq"] or shown["field"]))
    else:
        rows = tag("p", "None among the documents that were read. The next page goes on.", class_="empty")
    body = [
        _filter(view, name, info, shown),
        rows,
        view.pages(found, "data", name, **shown),
        tag(
            "p",
            insert if _is_changed_here(view, name) else None,
            "All that fit: ",
            view.link("JSON lines", "data", name, **shown, format="jsonl"),
            " · ",
            view.link("CSV", "data", name, **shown, format="csv"),
            class_="actions",
        ),
    ]
    return Page(name, join(body), trail=(("Data", "data"),))


def _query(name: str, shown: dict[str, str]) -> dict[str, Any]:
    """The arguments of `_app:documents` that the fields of the form ask for."""
    asked: dict[str, Any] = {"table": name, "order": shown["order"] or "asc"}
    if shown["index"]:
        asked["index"] = shown["index"]
    if shown["eq"]:
        values = parse_value(shown["eq"])
        asked["eq"] = values if isinstance(values, list) else [values]
    if shown["field"]:
        condition = {"field": shown["field"], "is": shown["is"] or "eq"}
        asked["where"] = [{**condition, "value": parse_value(shown["value"])}]
    return asked


def _filter(view: View, name: str, info: dict[str, Any], shown: dict[str, str]) -> Safe:
    indexes = [("", "creation time"), *((i, f"{i} ({', '.join(f)})") for i, f in info["indexes"].items())]
    known = fields_of(info["validator"])
    return view.chooser(
        ["data", name],
        options("index", "Along", indexes, shown["index"]),
        entry("eq", "which is", shown["eq"], placeholder="value, or a list", size=14),
        entry("field", "and field", shown["field"], list="fields", size=10),
        tag("datalist", [tag("option", value=field) for field in known], id="fields"),
        options("is", "is", _COMPARISONS, shown["is"] or "eq"),
        entry("value", "value", shown["value"], size=12),
        options("order", "Order", (("asc", "oldest first"), ("desc", "newest first")), shown["order"]),
    )


def _rows(view: View, name: str, info: dict[str, Any], documents: list[Any], is_filtered: bool) -> Safe:
    known = fields_of(info["validator"])
    columns = list(known)
    for document in documents:
        columns += [field for field in document if field not in columns and field not in SYSTEM_FIELDS]
    columns = [field for field in columns if any(field in document for document in documents)]
    left_out, columns = columns[_MAX_COLUMNS:], columns[:_MAX_COLUMNS]
    tables = {field: _table_of(kind["fieldType"]) for field, kind in known.items()}
    rows = [
        (
            view.id(document["_id"], "data", name, document["_id"]),
            *(_cell(view, document, column, tables.get(column, "")) for column in columns),
            view.when(document["_creationTime"]),
        )
        for document in documents
    ]
    numbers = [
        n
        for n, column in enumerate(columns, 1)
        if all(_is_number(document.get(column, 0)) for document in documents)
    ]
    empty = "No document fits." if is_filtered else "No documents yet. They come with the first insert."
    heads = ("Id", *columns, "Created")
    more = f"Fields that have no room here: {', '.join(left_out)}." if left_out else None
    return join([table(heads, rows, empty, numbers), tag("p", more, class_="muted") if more else None])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Int64)) and not isinstance(value, bool)


def _table_of(kind: dict[str, Any]) -> str:
    return str(kind["tableName"]) if kind["type"] == "id" else ""


def _cell(view: View, document: Any, column: str, refers_to: str) -> Any:
    """A value in a table; an id of another table leads there."""
    if column not in document:
        return ""
    value = document[column]
    if refers_to and isinstance(value, str):
        place = ("files", value) if refers_to == "_storage" else ("data", refers_to, value)
        return view.id(value, *place)
    if isinstance(value, str) or _is_number(value):
        return preview(value, 40)
    return tag("code", preview(value, 40))


# ------------------------------------------------------------ one document


def _document(view: View, name: str, id: str) -> Page | None:
    found = view.call("_app:document", id=id)
    if found is None or found["table"] != name:
        return None
    document, info = shown_document(name, found["document"]), _table(view, name)
    text = fields({key: value for key, value in document.items() if key not in SYSTEM_FIELDS})
    if _is_changed_here(view, name):
        shown = [
            view.form(
                view.path("data", name, id),
                tag("input", type="hidden", name="seen", value=digest_of(found["document"])),
                _editor(view.kept("document", text)),
                tag("button", "Save"),
            ),
            view.button(
                "Delete this document",
                *("data", name, id, "delete"),
                sure="It is gone for good, and what refers to it refers to nothing.",
                danger=True,
            ),
        ]
    else:
        shown = [code(text)]
    beside = [tag("h2", "Validator"), validator(info["validator"]), *_links(view, id, document)]
    body = [
        tag(
            "p",
            tag("code", id, class_="whole"),
            " created ",
            view.when(document["_creationTime"]),
            class_="muted",
        ),
        tag("div", tag("div", tag("h2", "Fields"), shown), tag("div", beside), class_="beside"),
    ]
    return Page(f"{name} {short(id)}", join(body), trail=(("Data", "data"), (name, "data", name)))


def _links(view: View, id: str, document: Any) -> list[Safe]:
    """What this document refers to, and what refers to it."""
    to = []
    for field, value in document.items():
        if field != "_id" and isinstance(value, str) and len(value) == len(id):
            other = view.call("_app:document", id=value)
            if other is not None:
                to.append(tag("li", f"{field}: {other['table']} ", view.thing(value, other["table"])))
    nothing = tag("p", "Nothing.", class_="muted")
    return [
        tag("h2", "Refers to"),
        tag("ul", to) if to else nothing,
        tag("h2", "Referred to by"),
        referrers(view, id),
    ]


def referrers(view: View, id: str) -> Safe:
    """The documents that refer to one, as a list."""
    found = view.call("_app:references", ids=[id])
    rows = [
        tag("li", f"{row['table']} ", view.thing(row["document"], row["table"]), f" as {row['field']}")
        for row in found["rows"]
    ]
    some = (
        f"Only some of {', '.join(found['partial'])} were looked at: an index on the field finds all."
        if found["partial"]
        else None
    )
    listed = tag("ul", rows) if rows else tag("p", "Nothing that was found.", class_="muted")
    return join([listed, tag("p", some, class_="muted") if some else None])


def _new(view: View, name: str) -> Page:
    info = _table(view, name)
    editor = _editor(view.kept("document", _example(info)))
    form = view.form(view.path("data", name, "new"), editor, tag("button", "Insert"))
    beside = tag("div", tag("h2", "Validator"), validator(info["validator"]))
    body = tag("div", tag("div", form if view.may_write else None), beside, class_="beside")
    return Page(f"New document in {name}", body, trail=(("Data", "data"), (name, "data", name)))


_EXAMPLES = {"string": "", "number": 0, "boolean": False, "null": None, "array": [], "object": {}, "id": ""}


def _example(info: dict[str, Any]) -> str:
    """The required fields of a table, to be filled in."""
    known = fields_of(info["validator"]).items()
    wanted = {name: _EXAMPLES.get(kind["fieldType"]["type"]) for name, kind in known if not kind["optional"]}
    return json.dumps(wanted, indent=2)


def _editor(text: str) -> Safe:
    rows = min(30, max(8, text.count("\n") + 2))
    area = tag("textarea", "\n", text, name="document", rows=rows, spellcheck="false")
    return tag("label", "As JSON", area, class_="block")


PAGES = {"": _tables, "*": _documents, "*/new": _new, "*/*": _document}
CHANGES = {"*/new": _insert, "*/*": _save, "*/*/delete": _delete}
