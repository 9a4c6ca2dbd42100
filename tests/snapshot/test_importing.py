# SPDX-License-Identifier: MIT
"""Export and import: round trips, all or nothing, going on after a kill, and snapshots of Convex."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from minihttp import App, Int64, Schema, Table, v
from minihttp.errors import SnapshotError
from minihttp.snapshot.archive import Archive
from minihttp.snapshot.convex import write_id
from minihttp.snapshot.export import export_snapshot
from tests.snapshot.filled import _closed, exported, imported, opened, source, target
from tests.snapshot.world import documents, files, is_clean, make_app, write_zip

__all__ = ["_closed", "source", "target"]

ROOT = Path(__file__).resolve().parents[2]


def test_a_round_trip_keeps_everything(tmp_path: Path, source: App, target: App) -> None:
    result = imported(exported(source, tmp_path / "s.zip"), target)
    assert result.documents == {"users": 5, "posts": 5, "empty": 0, "_storage": 1}
    assert documents(target) == documents(source) and files(target) == files(source)
    assert is_clean(target)
    [(id, *_)] = files(source)
    urls = [app.files.outside("http://x").get_url(id) for app in (source, target)]
    assert urls[0] == urls[1], "a link to a file stays good"
    with target.files.outside().get(id) as blob:
        assert blob.read() == b"picture" * 1_000


def test_tables_with_documents_are_refused_or_replaced_or_added_to(
    tmp_path: Path, source: App, target: App
) -> None:
    archive = exported(source, tmp_path / "s.zip")
    target.run_mutation("tests/snapshot/world:fill", count=2)
    before = documents(target)
    with pytest.raises(SnapshotError, match="table 'posts' has documents"):
        imported(archive, target)
    assert documents(target) == before
    imported(archive, target, mode="append")
    assert len(documents(target)["users"]) == 7 and len(files(target)) == 2
    with pytest.raises(SnapshotError, match="is there already"):
        imported(archive, target, mode="append")
    imported(archive, target, mode="replace")
    assert documents(target) == documents(source) and files(target) == files(source)
    assert is_clean(target)
    kept = [key for key, _ in target.files.backend.list()]
    assert len(kept) == 2, "the blob of the only file, and the mark of the store"


def test_a_dry_run_writes_nothing(tmp_path: Path, source: App, target: App) -> None:
    result = imported(exported(source, tmp_path / "s.zip"), target, dry_run=True)
    assert result.documents["users"] == 5 and result.bytes > 7_000
    assert documents(target)["users"] == [] and files(target) == []
    assert len(list(target.files.backend.list())) == 1


def repacked(archive: Archive, path: Path, change: Any) -> Archive:
    """The snapshot with some entries changed, and no manifest to say so."""
    with zipfile.ZipFile(archive.path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(entries["_minihttp/manifest.json"])
    change(entries)
    for name, facts in manifest["entries"].items():
        facts.update(sha256=hashlib.sha256(entries[name]).hexdigest(), bytes=len(entries[name]))
    entries["_minihttp/manifest.json"] = json.dumps(manifest).encode()
    return opened(write_zip(path, entries))


def test_a_table_is_all_or_nothing(tmp_path: Path, source: App, target: App) -> None:
    def break_last_user(entries: dict[str, bytes]) -> None:
        entries["users/documents.jsonl"] = entries["users/documents.jsonl"].replace(b'"\xc3\xbc4"', b"4")

    archive = repacked(exported(source, tmp_path / "s.zip"), tmp_path / "t.zip", break_last_user)
    with pytest.raises(SnapshotError, match=r"users/documents.jsonl, line 5: .*does not match"):
        imported(archive, target)
    found = documents(target)
    assert found["users"] == [] and len(found["posts"]) == 5
    findings = target.run_action("_app:check")
    assert {finding["kind"] for finding in findings} == {"import"}, "it says that it is unfinished"
    assert imported(exported(source, tmp_path / "s.zip"), target, mode="replace").documents["users"] == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"name":"x"}', "a document has no _id"),
        (b'{"_id":"x","name":"x"}', "'x' is not an id of table 'users'"),
        (b'{"_id":5,"name":"x"}', "cannot be read"),
        (b'{"_id":"\xff"}', "cannot be read"),
    ],
)
def test_a_line_that_is_no_document(
    tmp_path: Path, source: App, target: App, line: bytes, message: str
) -> None:
    def change(entries: dict[str, bytes]) -> None:
        entries["users/documents.jsonl"] += line + b"\n"

    with pytest.raises(SnapshotError, match=message):
        imported(repacked(exported(source, tmp_path / "s.zip"), tmp_path / "t.zip", change), target)
    assert documents(target)["users"] == []


def test_a_file_that_is_not_what_its_document_says(tmp_path: Path, source: App, target: App) -> None:
    [(id, *_)] = files(source)

    def change(entries: dict[str, bytes]) -> None:
        entries[f"_storage/{id}"] = b"other"

    with pytest.raises(SnapshotError, match="is not what its metadata says"):
        imported(repacked(exported(source, tmp_path / "s.zip"), tmp_path / "t.zip", change), target)
    assert files(target) == [] and len(list(target.files.backend.list())) == 1


def test_an_unknown_table_is_refused_before_anything_is_written(tmp_path: Path, target: App) -> None:
    with App(data=str(tmp_path / "free"), workers=0) as free:
        free.database.write(lambda t: [t.db.insert("zebras", {"n": 1}), t.db.insert("empty", {"x": 1})])
        archive = exported(free, tmp_path / "s.zip")
    with pytest.raises(SnapshotError, match="zebras"):
        imported(archive, target)
    assert documents(target)["empty"] == []


IMPORT = """
import sys
from minihttp.snapshot.archive import Archive
from minihttp.snapshot.importing import import_snapshot
from tests.snapshot.world import make_app
with make_app(sys.argv[2]) as app:
    def tick(what, done, total):
        print(what, done, flush=True)
    import_snapshot(Archive(sys.argv[1]), app.database, app.files, tick=tick)
print("done", flush=True)
"""


@pytest.mark.sqlite  # in a process of its own
def test_an_import_that_is_killed_goes_on(tmp_path: Path) -> None:
    with make_app(tmp_path / "source") as app:
        for _ in range(15):
            app.run_mutation("tests/snapshot/world:fill", count=200)
        exported(app, tmp_path / "s.zip")
        expected = documents(app)
    command = [sys.executable, "-c", IMPORT, str(tmp_path / "s.zip"), str(tmp_path / "target")]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("users"):  # posts are done, users have begun
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    with make_app(tmp_path / "target") as app:
        half = documents(app)
        assert len(half["posts"]) == 3_000 and half["users"] == []
        result = imported(opened(str(tmp_path / "s.zip")), app)
        assert "posts" in result.resumed
        assert documents(app) == expected and is_clean(app)
        assert app.run_action("_app:check") == []


USERS, POSTS, FILES = 10_001, 10_002, 10_003


def cid(table: int, number: int) -> str:
    return write_id(table, number.to_bytes(16, "big"))


def convex_snapshot(path: Path, **changes: Any) -> str:
    """A snapshot as crates/application/src/exports writes one, by hand."""
    picture = b"\x89PNG"
    users = [
        {
            "_id": cid(USERS, 1),
            "_creationTime": 1700000000000.5,
            "name": "Ann",
            "ratio": 1.0,
            "picture": cid(FILES, 1),
        },
        {"_id": cid(USERS, 2), "_creationTime": 1700000000001.25, "name": "Bob"},
    ]
    big = {"_id": cid(USERS, 3), "_creationTime": 1700000000002.0, "name": cid(USERS, 1)}
    posts = [
        {
            "_id": cid(POSTS, 1), "_creationTime": 1700000000003.0, "author": cid(USERS, 1),
            "replies": [cid(POSTS, 2)],
        },
        {
            "_id": cid(POSTS, 2), "_creationTime": 1700000000004.0, "author": cid(USERS, 99),
            "target": cid(POSTS, 1), "extra": {"deep": [cid(USERS, 2), cid(USERS, 98), "text"]},
        },
    ]  # fmt: skip
    entries = {
        "README.md": b"# Welcome to your Convex snapshot export!",
        "_tables/documents.jsonl": [{"name": "users", "id": USERS}, {"name": "posts", "id": POSTS}],
        "users/generated_schema.jsonl": ['"uniform"'],
        "users/documents.jsonl": [
            *users, json.dumps(big)[:-1] + ',"big":9007199254740993,"raw":{"$bytes":"AAE="}}',
        ],
        "posts/generated_schema.jsonl": ['"uniform"'],
        "posts/documents.jsonl": posts,
        "_storage/documents.jsonl": [
            {
                "_id": cid(FILES, 1), "_creationTime": 1700000000000.0, "size": len(picture),
                "sha256": base64.b64encode(hashlib.sha256(picture).digest()).decode(),
                "contentType": "image/png", "internalId": "0a1b2c3d-0000-4000-8000-00000000000f",
            }
        ],
        f"_storage/{cid(FILES, 1)}.png": picture,
        "_components/mail/log/documents.jsonl": [],
    }  # fmt: skip
    return write_zip(path, {**entries, **changes})


def test_a_snapshot_of_convex(tmp_path: Path, target: App) -> None:
    result = imported(opened(convex_snapshot(tmp_path / "c.zip")), target)
    assert result.documents == {"users": 3, "posts": 2, "_storage": 1}
    found = documents(target)
    ann, bob, third = found["users"]
    assert [user["_creationTime"] for user in found["users"]] == [
        1700000000000.5,
        1700000000001.25,
        1700000000002.0,
    ]
    assert (ann["name"], ann["ratio"], third["big"], third["raw"]) == (
        "Ann",
        1.0,
        Int64(2**53 + 1),
        b"\0\x01",
    )
    assert third["name"] == cid(USERS, 1), "a string that is no reference stays what it is"
    first, second = found["posts"]
    assert first["author"] == ann["_id"] and first["replies"] == [second["_id"]]
    assert second["target"] == first["_id"]
    assert second["extra"]["deep"] == [bob["_id"], cid(USERS, 98), "text"]
    assert result.dangling == [f"posts {cid(POSTS, 2)}: {cid(USERS, 99)}"]
    assert target.database.read(lambda t: t.db.get(second["author"])) is None
    with target.files.outside().get(ann["picture"]) as blob:
        assert blob.read() == b"\x89PNG"
    url = target.files.outside("").get_url(ann["picture"])
    assert url == "/api/storage/0a1b2c3d-0000-4000-8000-00000000000f", "its URL has the same UUID"
    assert result.skipped == ["_components/mail/log/documents.jsonl"]
    assert is_clean(target)


DEEP = Schema(
    users=Table({"name": v.string()}),
    posts=Table(
        {
            "lists": v.optional(v.array(v.array(v.id("users")))),
            "either": v.optional(
                v.union(
                    v.object({"kind": v.literal("x"), "ref": v.id("users")}),
                    v.object({"kind": v.literal("y"), "ref": v.array(v.id("posts"))}),
                )
            ),
            "record": v.optional(v.record(v.id("users"), v.object({"by": v.id("posts")}))),
            "names": v.optional(v.record(v.string(), v.union(v.id("users"), v.string()))),
            "any": v.optional(v.any()),
            "file": v.optional(v.id("_storage")),
        }
    ),
)


def convex_rows(table: int, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"_id": cid(table, n), "_creationTime": 1700000000000.0 + n, **row} for n, row in enumerate(rows, 1)
    ]


def test_references_wherever_a_validator_has_them(tmp_path: Path) -> None:
    """Also in the keys of records, in both directions; what is in no `v.id()` stays."""
    post = {
        "lists": [[cid(USERS, 1)], [cid(USERS, 2), cid(USERS, 1)], []],
        "either": {"kind": "y", "ref": [cid(POSTS, 1), cid(POSTS, 2)]},
        "record": {cid(USERS, 1): {"by": cid(POSTS, 2)}},
        "names": {"a": cid(USERS, 2), "b": "text"},
        "any": {cid(USERS, 2): [{"deep": cid(POSTS, 1)}]},
    }
    entries = {
        "_tables/documents.jsonl": [{"name": "users", "id": USERS}, {"name": "posts", "id": POSTS}],
        "users/documents.jsonl": convex_rows(USERS, {"name": "Ann"}, {"name": cid(USERS, 1)}),
        "posts/documents.jsonl": convex_rows(POSTS, post, {"either": {"kind": "x", "ref": cid(USERS, 2)}}),
    }
    snapshot = opened(write_zip(tmp_path / "deep.zip", entries))
    with App(schema=DEEP, data=str(tmp_path / "deep"), workers=0) as app:
        assert imported(snapshot, app).dangling == []
        ann, bob = stored(app, "users")
        first, second = stored(app, "posts")
        assert bob["name"] == cid(USERS, 1)
        with open(tmp_path / "back.zip", "wb") as out:
            export_snapshot(app.database, app.files, out, version="1", convex_ids=True)
    a, b, p, q = ann["_id"], bob["_id"], first["_id"], second["_id"]
    assert first["lists"] == [[a], [b, a], []] and first["either"]["ref"] == [p, q]
    assert first["record"] == {a: {"by": q}} and first["names"] == {"a": b, "b": "text"}
    assert first["any"] == {b: [{"deep": p}]} and second["either"]["ref"] == b
    text = b"".join(opened(str(tmp_path / "back.zip")).chunks("posts/documents.jsonl")).decode()
    assert not [id for id in (a, b, p, q) if id in text], "all are ids of Convex again, keys too"


def test_references_to_what_was_not_exported_are_listed(tmp_path: Path) -> None:
    """A file without `--include-file-storage`, a table that is gone, and more than are shown."""
    posts: list[dict[str, Any]] = [{"file": cid(FILES, 1)}, {"record": {cid(77, 5): {"by": cid(POSTS, 90)}}}]
    posts += [{"either": {"kind": "y", "ref": [cid(POSTS, 1_000 + n)]}} for n in range(30)]
    entries = {
        "_tables/documents.jsonl": [{"name": "posts", "id": POSTS}],
        "posts/documents.jsonl": convex_rows(POSTS, *posts),
    }
    with App(schema=DEEP, data=str(tmp_path / "deep"), workers=0) as app:
        result = imported(opened(write_zip(tmp_path / "c.zip", entries)), app)
        assert result.dangling[0] == f"posts {cid(POSTS, 1)}: {cid(FILES, 1)}"
        assert {text.rpartition(" ")[2] for text in result.dangling[1:3]} == {cid(77, 5), cid(POSTS, 90)}
        assert len(result.dangling) == 21 and result.dangling[-1] == "and 13 more"
        assert is_clean(app)


def stored(app: App, table: str) -> list[Any]:
    return app.database.read(lambda t: t.db.query(table).collect())


def test_the_same_ids_each_time(tmp_path: Path, target: App) -> None:
    archive = opened(convex_snapshot(tmp_path / "c.zip"))
    imported(archive, target)
    first = documents(target)
    imported(archive, target, mode="replace")
    assert documents(target) == first


def test_a_snapshot_with_a_shape(tmp_path: Path, target: App) -> None:
    """As Convex wrote them before `uniform`."""
    row = {"_id": cid(USERS, 1), "_creationTime": 1700000000000.0, "name": "5", "big": "5", "raw": "AAE="}
    shape = json.dumps(
        f'{{"_creationTime": normalfloat64, "_id": id<{USERS}>, "big": int64, "name": string, "raw": bytes}}'
    )
    changes = {"users/documents.jsonl": [row], "users/generated_schema.jsonl": [shape]}
    imported(opened(convex_snapshot(tmp_path / "c.zip", **changes)), target)
    [user] = documents(target)["users"]
    assert (user["name"], user["big"], user["raw"]) == ("5", Int64(5), b"\0\x01")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"users/documents.jsonl": [{"_id": "x", "_creationTime": 1}]},
            "line 1: 'x' at 1.0 is not an id of Convex",
        ),
        ({"users/documents.jsonl": [{"_id": cid(USERS, 1)}]}, "line 1: '_creationTime'"),
        (
            {"_storage/documents.jsonl": [{"_id": cid(FILES, 1), "_creationTime": 1.0}]},
            "does not describe a file",
        ),
        ({"users/generated_schema.jsonl": ['"wat<"']}, "shape that cannot be read"),
        ({"users/generated_schema.jsonl": ["[" * 100_000]}, "generated_schema.jsonl cannot be read"),
        ({"users/documents.jsonl": ["[" * 100_000]}, "documents.jsonl, line 1: "),
        ({"users/documents.jsonl": ["[5]"]}, "documents.jsonl, line 1: "),
        ({"_storage/documents.jsonl": ["[" * 100_000]}, "line 1"),
        ({"_tables/documents.jsonl": ["[" * 100_000]}, "_tables/documents.jsonl cannot be read"),
        ({"_tables/documents.jsonl": ["[5]"]}, "_tables/documents.jsonl cannot be read"),
    ],
)
def test_a_snapshot_of_convex_that_is_wrong(
    tmp_path: Path, target: App, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SnapshotError, match=message):
        imported(opened(convex_snapshot(tmp_path / "c.zip", **changes)), target)
    assert documents(target)["users"] == []


def test_an_export_that_convex_takes_comes_back(tmp_path: Path, source: App, target: App) -> None:
    """With Convex's ids, and read again as Convex's: the same documents, the same references among them."""
    archive = exported(source, tmp_path / "s.zip", convex_ids=True)
    lines = [json.loads(line) for line in archive.lines("posts/documents.jsonl")]
    assert all(write_id(10_002, b"\0" * 16)[:2] == line["_id"][:2] for line in lines)
    with zipfile.ZipFile(archive.path) as old:
        entries = {name: old.read(name) for name in old.namelist() if not name.startswith("_minihttp")}
    imported(opened(write_zip(tmp_path / "c.zip", entries)), target)
    ours, theirs = documents(source), documents(target)
    assert [user["name"] for user in theirs["users"]] == [user["name"] for user in ours["users"]]
    places = {user["_id"]: number for number, user in enumerate(theirs["users"])}
    assert [places[post["author"]] for post in theirs["posts"]] == [0, 1, 2, 3, 4]
    assert [post["extra"]["ref"] for post in theirs["posts"]] == [post["author"] for post in theirs["posts"]]
    assert is_clean(target)
