# SPDX-License-Identifier: MIT
"""Webhooks: endpoints and what came in; one delivery with its headers, body and attempts; replay."""

from __future__ import annotations

import json
from typing import Any

from ..errors import HTTPError, MinihttpError
from ..http.response import Response
from ..inbox.refusals import explain_refusal
from .html import Safe, join, tag
from .pieces import code, entry, facts, first_line, headers, options, preview, short, state, table
from .view import Page, Redirect, View

STATES = ("pending", "waiting", "done", "dead", "refused")
_SHOWN = 50
_CAPPED = 100
_MAX_BATCHES = 100  # of replays in one request


def _replay(view: View, form: Any, id: str) -> Redirect:
    if not view.call("_webhooks:replay", id=id):
        raise HTTPError(409, "It was refused, or has no handler: there is nothing to run")
    return Redirect(view.path("webhooks", id), f"replayed delivery {id}")


def _replay_dead(view: View, form: Any) -> Redirect:
    """All that are dead by now, a batch a transaction."""
    count, before = 0, None
    for _ in range(_MAX_BATCHES):
        done = view.call("_webhooks:retry_dead", before=before)
        count, before = count + int(done["retried"]), done["before"]
        if not done["retried"]:
            break
    return Redirect(view.path("webhooks"), f"replayed {count} dead deliveries")


# ------------------------------------------------------------ lists


def _list(view: View) -> Page:
    if not view.app.http.webhooks:
        empty = "No webhook endpoints. Add one with http.webhook(path, provider, handler=…)."
        return Page("Webhooks", tag("p", empty, class_="empty"))
    shown = {name: view.asked(name) for name in ("state", "endpoint", "type")}
    shown["state"] = shown["state"] if shown["state"] in STATES else ""
    wanted = {"state": shown["state"], "endpoint": shown["endpoint"], "event_type": shown["type"]}
    found = view.page_of("_webhooks:page", _SHOWN, **wanted)
    states = [("", "accepted, any state"), *((name, name) for name in STATES)]
    paths = [("", "any endpoint"), *((declared.path, declared.path) for declared in view.app.http.webhooks)]
    chooser = view.chooser(
        ["webhooks"],
        options("state", "State", states, shown["state"]),
        options("endpoint", "Endpoint", paths, shown["endpoint"]),
        entry("type", "Type", shown["type"], placeholder="such as push"),
    )
    first = view.app.http.webhooks[0]
    send = f"python -m minihttp webhooks send {first.provider.name} EVENT URL{first.path} --secret …"
    empty = join(["No deliveries here. This makes and signs one: ", tag("code", send)])
    heads = ("Delivery", "Endpoint", "Type", "State", "Received", "Attempts", "Error")
    rows = [_row(view, row) for row in found["page"]]
    sure = "The handler of every dead delivery runs once more."
    body = [
        _endpoints(view),
        tag("h2", "Deliveries"),
        chooser,
        view.listing(found, heads, rows, empty, "webhooks", numbers=[5], **shown),
        view.button("Replay all dead", "webhooks", "replay-dead", sure=sure)
        if shown["state"] == "dead" and found["page"]
        else None,
    ]
    return Page("Webhooks", join(body))


def _row(view: View, row: Any) -> tuple[Any, ...]:
    return (
        view.id(row["_id"], "webhooks", row["_id"]),
        row["endpoint"],
        preview(row.get("eventType") or "–"),
        state(row["state"]),
        view.when(row["_creationTime"]),
        int(row.get("attempts") or 0),
        first_line(row.get("error") or ""),
    )


def _endpoints(view: View) -> Safe:
    rows = []
    for endpoint in view.call("_webhooks:endpoints"):
        path, count = endpoint["path"], endpoint["refused"]
        refused = f"{_CAPPED}+" if count > _CAPPED else count
        rows.append(
            (
                view.link(path, "webhooks", endpoint=path),
                endpoint["provider"],
                "" if endpoint["isReady"] else tag("b", "its secret is not set", class_="bad"),
                view.when(endpoint["lastSuccess"]),
                view.link(refused, "webhooks", state="refused", endpoint=path) if count else "0",
            )
        )
    return table(("Endpoint", "Provider", "", "Last success", "Refused in 24 h"), rows, "", [4])


# ------------------------------------------------------------ one delivery


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
            ("Received", view.when(row["_creationTime"])),
            ("Duplicates", int(row["duplicates"]) if row.get("duplicates") else None),
            ("Attempts", int(row["attempts"]) if row.get("attempts") else None),
            ("Job", view.thing(row["jobId"], "_scheduled_functions") if row.get("jobId") else None),
            ("Log", view.link("lines about this delivery", "logs", text=row.get("jobId", id))),
        ]
    )
    is_finished = row["state"] in ("done", "dead")
    parts = [
        about,
        _why(view, row),
        view.attempts(row.get("failures", ())),
        tag("h2", "Headers"),
        headers(row["headers"]),
        tag("h2", "Body"),
        _body(view, id, row, body),
        view.button("Run its handler again", "webhooks", id, "replay") if is_finished else None,
    ]
    title = f"Delivery {row.get('eventType') or ''} {short(id)}"
    return Page(" ".join(title.split()), join(parts), trail=(("Webhooks", "webhooks"),))


def _why(view: View, row: Any) -> list[Safe] | None:
    """Of a refusal what `explain` says; of anything else the error of its last attempt."""
    if row["state"] != "refused":
        return [tag("h2", "Error"), code(row["error"])] if row.get("error") else None
    try:
        said = explain_refusal(row, view.app.http.webhooks, view.app.options.environment)
    except MinihttpError as error:
        said = [f"{row['reason']}: {row['error']}", str(error)]
    return [tag("h2", "Why it was refused"), tag("ul", [tag("li", line) for line in said])]


def _body(view: View, id: str, row: Any, body: bytes | None) -> list[Safe]:
    if body is None:
        said = "The body was not kept. http.webhook(…, keep_refused_bodies=True) keeps those of refusals."
        return [tag("p", said, class_="empty")]
    shown = tag("details", tag("summary", f"Show {int(row['bodyBytes']):,} bytes"), code(_text(body)))
    download = tag("a", "Download it", href=view.path("webhooks", id, "test"), class_="button")
    test = [code(_test(row)), tag("p", download, class_="actions")]
    return [shown, tag("details", tag("summary", "Copy as a test"), test)]


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
    disposition = f'attachment; filename="test_{_module(row)}.py"'
    headers = {"Content-Type": "text/x-python; charset=utf-8", "Content-Disposition": disposition}
    return Response(_test(row), headers=headers)


def _module(row: Any) -> str:
    return str(row["provider"]).replace("-", "_")


def _test(row: Any) -> str:
    event = f", event_type={row['eventType']!r}" if row.get("eventType") else ""
    secret, body = row.get("secret") or "NAME_OF_THE_SECRET", bytes(row["body"])
    return (
        "import webtest\n\n"
        "from app import app  # yours\n"
        "from minihttp import testing\n\n"
        'SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODk="  # not the real one\n'
        f"BODY = {body!r}\n\n\n"
        "def test_delivery():\n"
        f"    with testing.in_memory(app, environment={{{secret!r}: SECRET}}) as copy:\n"
        f"        body, headers = testing.signed({_module(row)!r}, BODY, SECRET{event})\n"
        f"        webtest.TestApp(copy).post({row['endpoint']!r}, body, headers=headers, status=200)\n"
        "        testing.run_jobs(copy)\n"
    )


PAGES = {"": _list, "*": _one, "*/test": _as_test}
CHANGES = {"replay-dead": _replay_dead, "*/replay": _replay}
