# SPDX-License-Identifier: MIT
"""Webhooks: endpoints and what came in; one delivery with its headers, body and attempts; replay."""

from __future__ import annotations

import json
from typing import Any

from ..errors import HTTPError
from ..http.response import Response
from .html import Safe, join, tag
from .view import Page, Redirect, View, code, facts, headers, options, preview, state, table

STATES = ("pending", "waiting", "done", "dead", "refused")
_SHOWN = 100
_COUNTED = 1_000


def page(view: View, rest: list[str]) -> Page | Response | None:
    match rest:
        case []:
            return _list(view)
        case [id]:
            return _one(view, id)
        case [id, "test"]:
            return _as_test(view, id)
    return None


def change(view: View, form: Any, rest: list[str]) -> Redirect:
    match rest:
        case ["replay-dead"]:
            result = view.call("_webhooks:retry_dead")
            return Redirect(view.path("webhooks"), f"replayed {int(result['retried'])} dead deliveries")
        case [id, "replay"]:
            view.call("_webhooks:replay", id=id)
            return Redirect(view.path("webhooks", id), f"replayed delivery {id}")
    raise HTTPError(404, "There is nothing to change here")


def _list(view: View) -> Page:
    if not view.app.http.webhooks:
        empty = "No webhook endpoints. Add one with http.webhook(path, provider, handler=…)."
        return Page("Webhooks", tag("p", empty, class_="empty"))
    chosen = view.asked("state") if view.asked("state") in STATES else ""
    endpoint = view.asked("endpoint")
    found = view.call("_webhooks:list", state=chosen or None, limit=_COUNTED if endpoint else _SHOWN)
    rows = [_row(view, row) for row in found if not endpoint or row["endpoint"] == endpoint][:_SHOWN]
    states = [("", "any state"), *((name, name) for name in STATES)]
    paths = [("", "any endpoint"), *((declared.path, declared.path) for declared in view.app.http.webhooks)]
    chooser = tag(
        "form",
        options("state", "State", states, chosen),
        options("endpoint", "Endpoint", paths, endpoint),
        tag("button", "Show"),
        action=view.path("webhooks"),
        class_="filter",
    )
    heads = ("Delivery", "Endpoint", "Type", "State", "Received", "Attempts", "Error")
    return Page(
        "Webhooks",
        join(
            [
                _endpoints(view),
                tag("h2", "Deliveries"),
                chooser,
                table(heads, rows, "No deliveries here. `webhooks send` makes and signs one.", [5]),
                view.button("Replay all dead", "webhooks", "replay-dead")
                if chosen == "dead" and rows
                else None,
            ]
        ),
    )


def _row(view: View, row: Any) -> tuple[Any, ...]:
    return (
        view.id(row["_id"], "webhooks", row["_id"]),
        row["endpoint"],
        preview(row.get("eventType") or "–"),
        state(row["state"]),
        view.when(row["_creationTime"]),
        int(row.get("attempts") or 0),
        preview(row.get("error") or "", 80),
    )


def _endpoints(view: View) -> Safe:
    newest = view.call("_webhooks:list", limit=_COUNTED)
    day_ms = view.now * 1000 - 86_400_000
    refused = [
        row
        for row in view.call("_webhooks:list", state="refused", limit=_COUNTED)
        if row["_creationTime"] > day_ms
    ]
    rows = []
    for declared in view.app.http.webhooks:
        last = next((row["_creationTime"] for row in newest if row["endpoint"] == declared.path), None)
        count = sum(row["endpoint"] == declared.path for row in refused)
        rows.append((declared.path, declared.provider.name, view.when(last), count))
    return table(("Endpoint", "Provider", "Last delivery", "Refused in 24 h"), rows, "", [3])


def _one(view: View, id: str) -> Page:
    row = view.call("_webhooks:show", id=id)
    body = row.get("body")
    about = facts(
        [
            ("Id", tag("code", id, class_="whole")),
            ("Delivery id", tag("code", row["deliveryId"], class_="whole") if "deliveryId" in row else None),
            ("Endpoint", row["endpoint"]),
            ("Provider", row["provider"]),
            ("Type", row.get("eventType")),
            ("State", state(row["state"])),
            ("Reason", row.get("reason")),
            ("Received", view.when(row["_creationTime"])),
            ("Duplicates", int(row["duplicates"]) if row.get("duplicates") else None),
            ("Attempts", int(row["attempts"]) if row.get("attempts") else None),
            ("Job", view.id(row["jobId"], "jobs", row["jobId"]) if row.get("jobId") else None),
            ("Log", view.link("lines of this delivery", "logs", text=row.get("deliveryId", id))),
        ]
    )
    shown = code(_text(body)) if body is not None else tag("p", "The body was not kept.", class_="empty")
    parts = [
        about,
        [tag("h2", "Error"), code(row["error"])] if row.get("error") else None,
        tag("h2", "Headers"),
        headers(row["headers"]),
        tag("h2", "Body"),
        tag("details", tag("summary", f"Show {int(row['bodyBytes']):,} bytes"), shown),
        tag("p", view.link("As a test", "webhooks", id, "test")) if body is not None else None,
        view.button("Run its handler again", "webhooks", id, "replay")
        if row["state"] in ("done", "dead")
        else None,
    ]
    return Page(f"Delivery {row.get('eventType') or ''}".strip(), join(parts))


def _text(body: bytes) -> str:
    """A body for a person: JSON indented, other text as it is, bytes by their escapes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return repr(body)[2:-1]
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _as_test(view: View, id: str) -> Response:
    """The delivery as a pytest function, to be saved beside the app's own."""
    row = view.call("_webhooks:show", id=id)
    if row.get("body") is None:
        raise HTTPError(404, "The body of this delivery was not kept")
    text = (
        "from minihttp import testing\n"
        f"from minihttp.webhooks import {row['provider']}\n\n"
        f"BODY = {bytes(row['body'])!r}\n\n\n"
        "def test_delivery(app):  # a fixture of yours: the app under test, with SECRET as this endpoint's\n"
        f"    headers = {row['provider']}.sign(BODY, SECRET)\n"
        f"    response = app.post({row['endpoint']!r}, BODY, headers=headers)\n"
        "    assert response.status_int == 200\n"
    )
    disposition = f'attachment; filename="test_{row["provider"]}.py"'
    return Response(
        text, headers={"Content-Type": "text/x-python; charset=utf-8", "Content-Disposition": disposition}
    )
