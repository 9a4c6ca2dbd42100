# SPDX-License-Identifier: MIT
"""Stored files: what they are, who refers to them; download and delete."""

from __future__ import annotations

from typing import Any

from ..errors import HTTPError
from ..http.response import Response
from .html import join, tag
from .view import Page, Redirect, View, facts, pages, size, table

_PAGE_FILES = 50
_HASH_CHARACTERS = 12


def page(view: View, rest: list[str]) -> Page | Response | None:
    match rest:
        case []:
            return _list(view)
        case [id]:
            return _one(view, id)
        case [id, "content"]:
            return _content(view, id)
    return None


def change(view: View, form: Any, rest: list[str]) -> Redirect:
    match rest:
        case [id, "delete"]:
            view.app.files.outside().delete(id)
            return Redirect(view.path("files"), f"deleted file {id}")
    raise HTTPError(404, "There is nothing to change here")


def _list(view: View) -> Page:
    found = view.call(
        "_app:documents",
        table="_storage",
        order="desc",
        limit=_PAGE_FILES,
        cursor=view.asked("cursor") or None,
    )
    rows = [
        (
            view.id(file["_id"], "files", file["_id"]),
            file.get("contentType") or "–",
            size(file["size"]),
            tag("code", f"{file['sha256'][:_HASH_CHARACTERS]}…", title=file["sha256"]),
            view.when(file["_creationTime"]),
        )
        for file in found["page"]
    ]
    empty = "No files yet. A handler keeps one with ctx.storage.store(request.body)."
    heads = ("Id", "Type", "Size", "SHA-256", "Stored")
    return Page("Files", join([table(heads, rows, empty, [2]), pages(view, found, "files")]))


def _one(view: View, id: str) -> Page | None:
    found = view.call("_app:document", id=id)
    if found is None or found["table"] != "_storage":
        return None
    file = found["document"]
    about = facts(
        [
            ("Id", tag("code", id, class_="whole")),
            ("Type", file.get("contentType") or "not said"),
            ("Size", f"{size(file['size'])} ({int(file['size']):,} bytes)"),
            ("SHA-256", tag("code", file["sha256"], class_="whole")),
            ("Stored", view.when(file["_creationTime"])),
        ]
    )
    links = tag("p", view.link("Download", "files", id, "content"))
    return Page(
        "File", join([about, links, view.button("Delete this file", "files", id, "delete", danger=True)])
    )


def _content(view: View, id: str) -> Response | None:
    found = view.call("_app:document", id=id)
    if found is None or found["table"] != "_storage":
        return None
    blob = view.app.files.open(found["document"])
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{id}"',
    }
    return Response(blob, headers=headers)
