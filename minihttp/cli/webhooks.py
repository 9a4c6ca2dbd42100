# SPDX-License-Identifier: MIT
"""`webhooks`: look into the inbox, run deliveries again, send signed test events, check and explain.

The verbs on the inbox work on the app's database, which with SQLite belongs to one process at a time;
`--server URL` asks a running server instead. `send` and `verify` need neither.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from .. import webhooks
from ..errors import (
    ConfigurationError,
    FunctionNotFoundError,
    MinihttpError,
    WebhookError,
    check_variable_name,
)
from ..inbox.refusals import explain_refusal
from ..webhooks.configured import resolve_secrets
from ..webhooks.explain import explain
from ..webhooks.samples import sample
from ..webhooks.verifier import Verifier
from . import confirm, print_rows, utc
from ._admin import Access, access
from ._arguments import ACCESS, Action, count, limit, option, switch, word
from ._http import Posted, post
from ._settings import MisuseError

HELP = "inspect, replay, send, verify and explain webhook deliveries"
_STATES = ("pending", "waiting", "done", "dead", "refused")


def run(args: argparse.Namespace) -> int:
    try:
        if "server" not in args:
            return int(args.action(args))
        with access(args) as inbox:
            return int(args.action(inbox, args))
    except FunctionNotFoundError:
        text = "this app has no webhooks: see http.webhook(path, provider, handler)"
        raise ConfigurationError(text) from None
    except BrokenPipeError:  # `main` knows what to do
        raise
    except OSError as error:
        raise MinihttpError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


# ---------------------------------------------------------------- the inbox


def _list(inbox: Access, args: argparse.Namespace) -> int:
    rows = inbox.run_query("_webhooks:list", state=args.state, limit=args.limit)
    print_rows((_summary(row) for row in rows), args.json, empty="there are no such deliveries")
    return 0


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["_id"],
        "received": utc(row["_creationTime"]),
        "endpoint": row["endpoint"],
        "event": row.get("eventType"),
        "delivery": row.get("deliveryId"),
        "state": row["state"],
        "attempts": int(row.get("attempts", 0)),
        "duplicates": int(row.get("duplicates", 0)),
        "reason": row.get("reason") or (row.get("error") or "").partition("\n")[0],
    }


def _show(inbox: Access, args: argparse.Namespace) -> int:
    row = inbox.run_query("_webhooks:show", id=args.id)
    body: bytes | None = row.pop("body")
    if args.json:
        from ..values import encode_clean

        text = None if body is None else body.decode("utf-8", "backslashreplace")
        print(json.dumps(encode_clean({**row, "body": text})))
        return 0
    headers = row.pop("headers")
    shown = {
        **_summary(row),
        "provider": row["provider"],
        "secret": row.get("secret"),
        "error": row.get("error"),
    }
    for name, value in [*shown.items(), *headers.items()]:
        print(f"{name}: {'' if value is None else value}")
    print("\n(its body was not kept)" if body is None else "\n" + body.decode("utf-8", "backslashreplace"))
    return 0


def _replay(inbox: Access, args: argparse.Namespace) -> int:
    if args.to is None:
        if not inbox.run_mutation("_webhooks:replay", id=args.id):
            raise MinihttpError(f"{args.id} was refused, or has no handler: there is nothing to run")
        alone = "its handler runs when the app does; `jobs run` runs it now"
        when = "its handler runs on the server" if args.server else alone
        print_rows([{"id": args.id, "scheduled": when}], args.json)
        return 0
    row = inbox.run_query("_webhooks:show", id=args.id)
    if row["body"] is None:
        raise MinihttpError(f"the body of {args.id} was not kept")
    return _report([post(args.to, row["body"], row["headers"])], args)


def _retry(inbox: Access, args: argparse.Namespace) -> int:
    confirm(args, "run the handlers of all dead deliveries again?")
    count, before, batch = 0, None, 1
    while batch:
        done = inbox.run_mutation("_webhooks:retry_dead", before=before)
        batch, before = int(done["retried"]), done["before"]
        count += batch
    print_rows([{"retried": count}], args.json)
    return 0


def _prune(inbox: Access, args: argparse.Namespace) -> int:
    confirm(args, "remove the finished deliveries whose retention is over?")
    count = 0
    while batch := int(inbox.run_mutation("_webhooks:prune")):
        count += batch
    print_rows([{"removed": count}], args.json)
    return 0


def _explain(inbox: Access, args: argparse.Namespace) -> int:
    row = inbox.run_query("_webhooks:show", id=args.id)
    if row["state"] != "refused":
        return _say([f"{args.id} was not refused: it is {row['state']}"], args)
    return _say(explain_refusal(row, inbox.endpoints(), args.environ), args)


# ---------------------------------------------------------------- without an inbox


def _send(args: argparse.Namespace) -> int:
    """Exit code 0 when every response is a 2xx."""
    verifier = _verifier(args)
    [secret] = _secret(args, verifier).values()
    timestamp = int(time.time() - args.age)
    id = f"{_ID_PREFIXES.get(args.provider, '')}{os.urandom(16).hex()}"
    if args.body:
        with open(args.body, "rb") as file:
            body, media_type = file.read(), "application/json"
    else:
        try:
            body, media_type = sample(args.provider, args.event, id=id, timestamp=timestamp)
        except ConfigurationError as error:
            raise MisuseError(str(error)) from None
    headers = verifier.sign(body, secret, id=id, timestamp=timestamp, event_type=args.event, url=args.url)
    headers["Content-Type"] = media_type
    sent = body + b"x" if args.tamper else body
    return _report([post(args.url, sent, headers) for _ in range(1 + args.duplicate)], args)


_ID_PREFIXES = {
    "stripe": "evt_",
    "svix": "msg_",
    "clerk": "msg_",
    "standard-webhooks": "msg_",
    "standard-webhooks-v1a": "msg_",
}


def _verifier(args: argparse.Namespace) -> Verifier:
    try:
        return Verifier(webhooks.scheme_of(args.provider))
    except ConfigurationError as error:
        raise MisuseError(str(error)) from None


def _verify(args: argparse.Namespace) -> int:
    """Exit code 0 when the delivery is genuine."""
    verifier = _verifier(args)
    secret = _secret(args, verifier)
    headers = _read_headers(args.headers)
    with open(args.body, "rb") as file:
        body = file.read()
    tolerance = None if args.any_age else ...
    try:
        delivery = verifier.verify(body, headers, secret.values(), tolerance_seconds=tolerance, url=args.url)
    except WebhookError as error:
        _say(explain(error, verifier, body, headers, secret, url=args.url), args)
        return 1
    print_rows(
        [{"verdict": "ok", "id": delivery.id, "event": delivery.event_type, "timestamp": delivery.timestamp}],
        args.json,
    )
    return 0


def _secret(args: argparse.Namespace, verifier: Verifier) -> dict[str, str]:
    name = args.secret or f"{args.provider.upper().replace('-', '_')}_WEBHOOK_SECRET"
    found = resolve_secrets(verifier, [check_variable_name(name, "--secret")], args.environ)
    if not found:
        raise ConfigurationError(f"the environment variable {name} is not set; --secret NAME names another")
    return found


def _read_headers(path: str) -> list[tuple[str, str]]:
    """Lines `Name: value`, as `curl -D` writes them, or a JSON object."""
    with open(path, encoding="latin-1", newline="") as file:
        text = file.read()
    if text.lstrip().startswith("{"):
        try:
            return [(name, str(value)) for name, value in json.loads(text).items()]
        except ValueError as error:
            raise ConfigurationError(f"{path} is not a JSON object of headers: {error}") from None
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return [(name.strip(), value.strip()) for name, _, value in pairs]


# ---------------------------------------------------------------- output


def _report(responses: list[Posted], args: argparse.Namespace) -> int:
    rows = [
        {"status": response.status, "response": response.body[:200].decode("utf-8", "backslashreplace")}
        for response in responses
    ]
    print_rows(rows, args.json)
    return 0 if all(response.ok for response in responses) else 1


def _say(lines: list[str], args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps({"explanation": lines}))
    else:
        print("\n".join(lines))
    return 0


# ---------------------------------------------------------------- arguments

_INBOX = (*ACCESS, "json")
_ID = word("id", "ID", "of a delivery, as `webhooks list` shows it")
_PROVIDER = word("provider", "PROVIDER", ", ".join(webhooks.names()))
_SECRET = option("--secret", "NAME", "the environment variable; <PROVIDER>_WEBHOOK_SECRET if absent")
_STATE = option("--state", "STATE", f"only those that are {', '.join(_STATES)}", choices=_STATES)
ACTIONS = {
    "list": Action(_list, "list deliveries, the latest first", (_STATE, limit(50), *_INBOX)),
    "show": Action(_show, "show one delivery whole", (_ID, *_INBOX)),
    "replay": Action(
        _replay,
        "run the handler of a delivery again, or send the delivery elsewhere",
        (_ID, option("--to", "URL", "send it there, as it came, instead of running its handler"), *_INBOX),
    ),
    "retry": Action(
        _retry,
        "run the handlers of dead deliveries again",
        (switch("--dead", "all deliveries that were given up", required=True), *_INBOX, "yes"),
    ),
    "prune": Action(_prune, "remove finished deliveries whose retention is over", (*_INBOX, "yes")),
    "explain": Action(_explain, "say why a delivery was refused", (_ID, *_INBOX)),
    "send": Action(
        _send,
        "send a signed test event",
        (
            _PROVIDER,
            word("event", "EVENT", "such as push or checkout.session.completed"),
            word("url", "URL", "where to, such as http://localhost:8080/webhooks/stripe"),
            option("--body", "FILE", "the body, instead of a built-in sample"),
            _SECRET,
            switch("--tamper", "change the body after signing it"),
            option("--age", "SECONDS", "sign it as of so long ago", type=float, default=0),
            option("--duplicate", "N", "send it N more times", type=count, default=0),
            "json",
        ),
    ),
    "verify": Action(
        _verify,
        "check a delivery that is in files",
        (
            _PROVIDER,
            option("--headers", "FILE", "lines `Name: value`, or a JSON object", required=True),
            option("--body", "FILE", "the raw body", required=True),
            _SECRET,
            option("--url", "URL", "the public URL, for providers that sign it", default=""),
            switch("--any-age", "do not check how old the signature is"),
            "json",
        ),
    ),
}
