# SPDX-License-Identifier: MIT
"""`keys`: API keys of the key store: issue one (it is shown once), list them, revoke one for good."""

from __future__ import annotations

import argparse
from typing import Any

from .. import key_store
from ..errors import MinihttpError
from ..values import loads
from . import confirm, json_text, note, print_rows, utc
from ._admin import Access, access
from ._arguments import ACCESS, Action, option, word
from ._settings import MisuseError

HELP = "issue, list and revoke API keys"


def run(args: argparse.Namespace) -> int:
    with access(args) as app:
        args.action(app, args)
    return 0


def _issue(app: Access, args: argparse.Namespace) -> None:
    try:
        value = loads(args.value)
    except ValueError as error:
        raise MisuseError(f"--value takes JSON, not {args.value!r}: {error}") from None
    row = key_store.issue(app, args.name, prefix=args.prefix, data=value)
    if args.json:
        print(json_text(row))
    else:
        print(row["key"])
        note(f"this is shown once; its id is {row['_id']}")


def _list(app: Access, args: argparse.Namespace) -> None:
    rows = key_store.listed(app)
    print_rows(rows if args.json else map(_row, rows), args.json, empty="no keys have been issued")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    moments = {"issued": "_creationTime", "used": "lastUsedAt", "revoked": "revokedAt"}
    shown = {"id": row["_id"], "key": row["prefix"] + "…", "name": row["name"]}
    return shown | {name: utc(row.get(field)) for name, field in moments.items()}


def _revoke(app: Access, args: argparse.Namespace) -> None:
    confirm(args, f"revoke {args.id} for good?")
    if not key_store.revoke(app, args.id):
        raise MinihttpError(f"there is no key {args.id}, or it is revoked already")
    print_rows([{"revoked": args.id}], args.json)


_KEYS = ("json", *ACCESS)
ACTIONS = {
    "issue": Action(
        _issue,
        "make a new key and show it once",
        (
            word("name", "NAME", "what it is for, such as 'laptop of Ada'"),
            option("--value", "JSON", "what `validate` gives back as data", default="null"),
            option("--prefix", "TEXT", "what it begins with, mk_ by default", default="mk_"),
            *_KEYS,
        ),
    ),
    "list": Action(_list, "list keys, the newest first, without the keys themselves", _KEYS),
    "revoke": Action(
        _revoke, "revoke a key for good", (word("id", "ID", "as `keys list` shows it"), "yes", *_KEYS)
    ),
}
