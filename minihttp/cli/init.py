# SPDX-License-Identifier: MIT
"""`init`: a folder with a small app that runs and passes its own test."""

from __future__ import annotations

import argparse
import os

from ..errors import ConfigurationError
from . import PROGRAM, note
from ._arguments import word

HELP = "make a folder with a small app that runs and passes its own test"

FILES = {
    "backend/routes.py": '''"""The HTTP routes: which path runs which handler."""

from minihttp import HttpRouter, Response

from . import items

http = HttpRouter()


@http.route(path="/api/items", method="POST")
def create(ctx, request):
    body = request.json(dict)
    item_id = ctx.run_mutation(items.create, name=body.get("name"), description=body.get("description"))
    return Response.json(ctx.run_query(items.get, id=item_id), status=201)


@http.route(path="/api/items/{item_id}", method="GET")
def read(ctx, request):
    item = ctx.run_query(items.get, id=request.path_params["item_id"])
    return Response.json(item) if item else Response.json({"error": "no such item"}, status=404)
''',
    "backend/schema.py": '''"""The tables, and what their documents look like."""

from minihttp import Schema, Table, v

schema = Schema(
    items=Table({"name": v.string(), "description": v.optional(v.string())}).index("by_name", ["name"]),
)
''',
    "backend/items.py": '''"""Functions on items. A mutation is one transaction; a query sees one snapshot."""

from minihttp import mutation, query, v


@mutation(args={"name": v.string(), "description": v.optional(v.string())}, returns=v.id("items"))
def create(ctx, name, description=None):
    """Add an item."""
    return ctx.db.insert("items", {"name": name, "description": description})


@query(args={"id": v.string()})
def get(ctx, id):
    """One item, or None."""
    item_id = ctx.db.normalize_id("items", id)
    return ctx.db.get(item_id) if item_id else None
''',
    "test_app.py": '''"""Run with `pytest`; needs the packages pytest and webtest."""

import webtest

from minihttp import App, testing


def test_an_item_is_created_and_read():
    with testing.in_memory(App.from_package("backend")) as app:
        client = webtest.TestApp(app)
        item = client.post_json("/api/items", {"name": "pen"}, status=201).json
        assert client.get("/api/items/" + item["_id"]).json == item
        assert client.get("/api/items/nothing", status=404).json == {"error": "no such item"}
''',
    ".env.example": """# Copy this file to .env; it is read at the start and never overrides the environment.
# MINIHTTP_ADMIN_KEY=     opens internal functions to its holder, for --server
""",
    ".gitignore": "data/\n.env\n__pycache__/\n",
}
ARGUMENTS = (word("folder", "DIR", "the folder to make; what is in it stays"),)


def run(args: argparse.Namespace) -> int:
    there = [name for name in FILES if os.path.exists(os.path.join(args.folder, name))]
    if there:
        raise ConfigurationError(f"{os.path.join(args.folder, there[0])} is there already")
    for name, text in FILES.items():
        path = os.path.join(args.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        print(path)
    steps = (
        f"cd {args.folder}",
        f"python -m {PROGRAM} serve --reload",
        "pytest    # needs pytest and webtest",
    )
    note("\nGo on with:\n" + "\n".join(f"  {step}" for step in steps))
    return 0
