# SPDX-License-Identifier: MIT
"""API keys of the key store: issue one, which is shown once; revoke one."""

from __future__ import annotations

from typing import Any

from .. import key_store
from ..errors import HTTPError
from .html import join, tag
from .pieces import entry, parse_fields, preview
from .view import Page, Redirect, View

_PAGE_KEYS = 50


def _list(view: View) -> Page:
    found = view.page_of("_app:documents", _PAGE_KEYS, table="_api_keys", order="desc")
    heads = ("Name", "Key", "Data", "Issued", "Last used", "")
    empty = "No keys yet. `key_store.require(ctx, request)` in a handler asks callers for one."
    rows = [_row(view, key) for key in found["page"]]
    return Page("API keys", join([view.listing(found, heads, rows, empty, "keys"), _form(view)]))


def _issue(view: View, form: Any) -> Redirect:
    name, data = str(form.get("name") or "").strip(), str(form.get("data") or "null")
    if not name:
        raise HTTPError(400, "A key needs a name: what it is for")
    row = key_store.issue(view, name, data=parse_fields(data))
    shown = [
        tag("p", "This is the key. Copy it now: nobody can see it again."),
        tag("pre", tag("code", row["key"], class_="whole")),
    ]
    return Redirect(view.path("keys"), f"issued API key {row['_id']} {name!r}", join(shown))


def _revoke(view: View, form: Any, id: str) -> Redirect:
    if not key_store.revoke(view, id):
        raise HTTPError(404, f"There is no key {id}, or it is revoked already")
    return Redirect(view.path("keys"), f"revoked API key {id}")


def _row(view: View, key: dict[str, Any]) -> tuple[Any, ...]:
    sure = "Whoever has this key is refused from now on."
    last: Any = view.button("Revoke", "keys", key["_id"], "revoke", sure=sure, danger=True)
    if key.get("revokedAt"):
        last = tag("span", "revoked ", view.when(key["revokedAt"]), class_="muted")
    data = tag("code", preview(key["data"], 40)) if key["data"] is not None else ""
    issued, used = view.when(key["_creationTime"]), view.when(key.get("lastUsedAt"))
    return key["name"], tag("code", f"{key['prefix']}…"), data, issued, used, last


def _form(view: View) -> Any:
    if not view.may_write:
        return None
    fields = [
        entry("name", "For", view.kept("name", ""), required=True, placeholder="laptop of Ada"),
        entry("data", "Data, as JSON", view.kept("data", ""), placeholder='{"scopes": ["read"]}'),
    ]
    form = view.form(view.path("keys"), fields, tag("button", "Issue a key"), class_="filter")
    return join([tag("h2", "A new key"), form])


PAGES = {"": _list}
CHANGES = {"": _issue, "*/revoke": _revoke}
