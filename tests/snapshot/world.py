# SPDX-License-Identifier: MIT
"""An app with every kind of value, files, a job and references, for the tests of snapshots."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from minihttp import App, Int64, Schema, Table, mutation, v
from minihttp.data.consistency import check_documents
from minihttp.files.checking import check_files

SCHEMA = Schema(
    users=Table(
        {
            "name": v.string(),
            "big": v.optional(v.int64()),
            "ratio": v.optional(v.number()),
            "raw": v.optional(v.bytes()),
            "picture": v.optional(v.id("_storage")),
        }
    ).index("by_name", ["name"]),
    posts=Table(
        {
            "author": v.id("users"),
            "replies": v.optional(v.array(v.id("posts"))),
            "target": v.optional(v.union(v.id("users"), v.id("posts"), v.null())),
            "extra": v.optional(v.any()),
        }
    ).index("by_author", ["author"]),
    empty=Table({"x": v.number()}),
)


@mutation
def fill(ctx: Any, count: float = 5) -> None:
    picture = ctx.storage.store(b"picture" * 1_000, content_type="image/png")
    post = None
    for number in range(int(count)):
        user = {"name": f"ü{number}", "big": Int64(2**60 + number), "ratio": -0.0, "raw": b"\0\xff"}
        id = ctx.db.insert("users", {**user, "picture": picture})
        fields = {"author": id, "replies": [post] if post else [], "extra": {"ref": id, "$not": 1}}
        del fields["extra"]["$not"]
        post = ctx.db.insert("posts", {**fields, "target": post or id})
    ctx.scheduler.run_after(3_600, fill)


def make_app(folder: Path | str, **settings: Any) -> App:
    return App(schema=SCHEMA, modules=[__name__], data=str(folder), workers=0, **settings)


def documents(app: App) -> dict[str, list[Any]]:
    return app.database.read(lambda t: {name: t.db.query(name).collect() for name in SCHEMA.tables})


def files(app: App) -> list[Any]:
    stored = app.database.read(lambda t: t.system.query("_storage").collect())
    return [(row["_id"], row["sha256"], row.get("contentType")) for row in stored]


def is_clean(app: App) -> bool:
    return not check_documents(app.database) and not list(check_files(app.files))


def write_zip(path: Path, entries: dict[str, Any]) -> str:
    """A ZIP file of entries: bytes, or a list of what each becomes a line of JSON, or is one already."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if not isinstance(content, bytes):
                lines = [line if isinstance(line, str) else json.dumps(line) for line in content]
                content = "".join(line + "\n" for line in lines).encode()
            archive.writestr(name, content)
    return str(path)
