# SPDX-License-Identifier: MIT
"""Stored files: what they are, who refers to them; upload, download and delete."""

from __future__ import annotations

from typing import Any

from ..errors import HTTPError
from ..http.multipart import FilePart
from ..http.response import Response
from .data import referrers
from .html import Safe, join, tag
from .pieces import facts, size
from .view import Page, Redirect, View

_PAGE_FILES = 50
_HASH_CHARACTERS = 12


def _store(view: View, form: Any) -> Redirect:
    part = form.get("file")
    if not isinstance(part, FilePart) or not part.filename:
        raise HTTPError(400, "Choose a file first")
    id = view.app.files.outside().store(part, content_type=part.content_type)
    return Redirect(view.path("files", id), f"stored file {id}")


def _delete(view: View, form: Any, id: str) -> Redirect:
    view.app.files.outside().delete(id)
    return Redirect(view.path("files"), f"deleted file {id}")


def _list(view: View) -> Page:
    found = view.page_of("_app:documents", _PAGE_FILES, table="_storage", order="desc")
    referred: dict[str, list[Any]] = {}
    for row in view.call("_app:references", ids=[file["_id"] for file in found["page"]])["rows"]:
        referred.setdefault(row["id"], []).append(row)
    rows = [
        (
            view.id(file["_id"], "files", file["_id"]),
            file.get("contentType") or "–",
            size(file["size"]),
            tag("code", f"{file['sha256'][:_HASH_CHARACTERS]}…", title=file["sha256"]),
            _referrers(view, referred.get(file["_id"], [])),
            view.when(file["_creationTime"]),
        )
        for file in found["page"]
    ]
    empty = "No files yet. A handler keeps one with ctx.storage.store(request.body)."
    heads = ("Id", "Type", "Size", "SHA-256", "Referred to by", "Stored")
    listed = view.listing(found, heads, rows, empty, "files", numbers=[2])
    return Page("Files", join([listed, _upload(view)]))


def _referrers(view: View, rows: list[Any]) -> Safe:
    if not rows:
        return tag("span", "nothing found", class_="muted")
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return join([f"{rows[0]['table']} ", view.thing(rows[0]["document"], rows[0]["table"]), more])


def _upload(view: View) -> Safe | None:
    if not view.may_write:
        return None
    chooser = tag("label", tag("span", "Store a file"), tag("input", type="file", name="file", required=True))
    action = view.path("files")
    return view.form(action, chooser, tag("button", "Upload"), enctype="multipart/form-data", class_="filter")


def _file(view: View, id: str) -> Any:
    """The document of a file, if there is one of that id."""
    found = view.call("_app:document", id=id)
    return found["document"] if found is not None and found["table"] == "_storage" else None


def _one(view: View, id: str) -> Page | None:
    file = _file(view, id)
    if file is None:
        return None
    about = facts(
        [
            ("Id", tag("code", id, class_="whole")),
            ("Type", file.get("contentType") or "not said"),
            ("Size", f"{size(file['size'])} ({int(file['size']):,} bytes)"),
            ("SHA-256", tag("code", file["sha256"], class_="whole")),
            ("Stored", view.when(file["_creationTime"])),
        ]
    )
    download = tag("a", "Download", href=view.path("files", id, "content"), class_="button")
    body = [
        about,
        tag("h2", "Referred to by"),
        referrers(view, id),
        tag("p", download, class_="actions"),
        view.button(
            "Delete this file",
            *("files", id, "delete"),
            sure="Its bytes are gone for good, and what refers to it refers to nothing.",
            danger=True,
        ),
    ]
    return Page("File", join(body), trail=(("Files", "files"),))


def _content(view: View, id: str) -> Response | None:
    file = _file(view, id)
    if file is None:
        return None
    blob = view.app.files.open(file)
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{id}"',
    }
    return Response(blob, headers=headers)


PAGES = {"": _list, "*": _one, "*/content": _content}
CHANGES = {"": _store, "*/delete": _delete}
