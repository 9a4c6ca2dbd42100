# SPDX-License-Identifier: MIT
"""The shop as a process of its own, fed with real payloads, killed, and started again."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from minihttp import testing
from tests.live import PATIENCE_SECONDS, ROOT, Process

SHARED = ROOT.parent / "shared" / "data"
SECRETS = {
    "GITHUB_WEBHOOK_SECRET": "It's a Secret to Everybody",
    "STRIPE_WEBHOOK_SECRET": "whsec_stripe_test",
    "CLERK_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
ADMIN = {"Authorization": "Convex the-key-of-the-admin"}
ENV = {**SECRETS, "MINIHTTP_ADMIN_KEY": "the-key-of-the-admin"}
SECRETS["SHOP_TOKEN_SECRET"] = "a secret of 32 bytes or more, of this test"
CLERK_USER = {  # the shape of Clerk's documentation
    "birthday": "",
    "created_at": 1654012591514,
    "email_addresses": [
        {
            "email_address": "ada@example.com",
            "id": "idn_29w83yL7CwVlJXylYLxcslromF1",
            "linked_to": [],
            "object": "email_address",
            "verification": {"status": "verified", "strategy": "ticket"},
        }
    ],
    "external_accounts": [],
    "external_id": "567772",
    "first_name": "Ada",
    "gender": "",
    "image_url": "https://img.clerk.com/xxxxxx",
    "last_name": "Lovelace",
    "last_sign_in_at": 1654012591514,
    "object": "user",
    "password_enabled": True,
    "phone_numbers": [],
    "primary_email_address_id": "idn_29w83yL7CwVlJXylYLxcslromF1",
    "primary_phone_number_id": None,
    "private_metadata": {},
    "public_metadata": {},
    "two_factor_enabled": False,
    "unsafe_metadata": {},
    "updated_at": 1654012591835,
    "username": None,
    "web3_wallets": [],
}


class Sent(NamedTuple):
    path: str
    body: bytes
    headers: dict[str, str]
    good: bool


def github_deliveries() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    for event in json.loads((SHARED / "github_payloads.json").read_bytes()):
        for payload in event["examples"]:
            body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
            signed = testing.signed(
                "github", body, SECRETS["GITHUB_WEBHOOK_SECRET"], event_type=event["name"]
            )
            yield "/webhooks/github", *signed


def stripe_deliveries() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    kinds = {
        "checkout.session": "checkout.session.completed",
        "subscription": "customer.subscription.updated",
    }
    for name, thing in json.loads((SHARED / "stripe_fixtures.json").read_bytes())["resources"].items():
        event = {
            "id": f"evt_{name}",
            "object": "event",
            "type": kinds.get(thing.get("object", ""), f"{name}.updated"),
            "created": int(time.time()),
            "data": {"object": thing},
        }
        body = json.dumps(event, indent=2, ensure_ascii=False).encode()
        yield "/webhooks/stripe", *testing.signed("stripe", body, SECRETS["STRIPE_WEBHOOK_SECRET"])


def clerk_deliveries() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    for number in range(20):
        user = {**CLERK_USER, "id": f"user_{number}", "first_name": f"Ada {number}"}
        event = {"type": "user.created", "object": "event", "timestamp": 1654012591835, "data": user}
        yield (
            "/webhooks/clerk",
            *testing.signed("svix", event, SECRETS["CLERK_WEBHOOK_SECRET"], id=f"msg_{number}"),
        )
    for number in range(5):
        user = {"id": f"user_{number}", "object": "user", "deleted": True}
        event = {"type": "user.deleted", "object": "event", "timestamp": 1661861640000, "data": user}
        yield (
            "/webhooks/clerk",
            *testing.signed("svix", event, SECRETS["CLERK_WEBHOOK_SECRET"], id=f"gone_{number}"),
        )


def with_tampering(deliveries: list[tuple[str, bytes, dict[str, str]]]) -> list[Sent]:
    """One in ten is changed on its way: a byte of the body, or the signature."""
    sent = []
    for number, (path, body, headers) in enumerate(deliveries):
        good = number % 10 != 3
        if not good and number % 20 == 3:
            body = body.replace(b'"', b"'", 1)
        elif not good:
            name = next(name for name in headers if "signature" in name.lower())
            headers = {**headers, name: headers[name][:-2] + ("AA" if headers[name][-2:] != "AA" else "BB")}
        sent.append(Sent(path, body, headers, good))
    return sent


def send_all(process: Process, deliveries: list[Sent]) -> list[int]:
    connection = http.client.HTTPConnection(process.client.host, process.client.port, timeout=60)
    statuses = []
    for delivery in deliveries:
        connection.request("POST", delivery.path, delivery.body, delivery.headers)
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
    connection.close()
    return statuses


def ask(process: Process, name: str, /, **args: Any) -> Any:
    body = {"path": name, "args": args, "format": "json"}
    reply = process.client.request("POST", "/api/function", body, ADMIN).json()
    assert reply["status"] == "success", reply
    return reply["value"]


def wait_until_handled(process: Process) -> None:
    """Deliveries are answered when they are kept, and handled a moment later."""
    until = time.monotonic() + PATIENCE_SECONDS
    while any(ask(process, "_webhooks:list", state=state, limit=1) for state in ("pending", "waiting")):
        assert time.monotonic() < until
        time.sleep(0.05)


def events(process: Process) -> Counter[tuple[str, str, str]]:
    """(source, type, canonical payload) of every logged event, read page by page."""
    wait_until_handled(process)
    found: Counter[tuple[str, str, str]] = Counter()
    cursor = None
    while True:
        page = ask(process, "webhooks:page", cursor=cursor)
        for row in page["page"]:
            found[row["source"], row["eventType"], json.dumps(row["payload"], sort_keys=True)] += 1
        if page["isDone"]:
            return found
        cursor = page["continueCursor"]


def expected(deliveries: list[Sent]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for sent in deliveries:
        if sent.good:
            source = {"clerk": "svix"}.get(sent.path.rpartition("/")[2], sent.path.rpartition("/")[2])
            payload = json.loads(sent.body, parse_int=float)  # on the wire every number is a float
            kind = sent.headers["X-GitHub-Event"] if source == "github" else payload["type"]
            if (source, kind) != ("github", "ping"):  # answered, and not kept
                found[source, kind, json.dumps(payload, sort_keys=True)] += 1
    return found


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real payloads (../shared/data) are not here")
def test_real_deliveries_survive_a_kill(tmp_path: Path) -> None:
    deliveries = with_tampering([*github_deliveries(), *stripe_deliveries(), *clerk_deliveries()])
    assert len(deliveries) >= 329 + 175 + 25
    random.Random(5).shuffle(deliveries)
    deliveries.sort(key=lambda sent: b"user.deleted" in sent.body)  # a user is created before it is deleted
    process = Process("examples/shop", tmp_path / "data", env=ENV)
    try:
        statuses = send_all(process, deliveries)
        refused = [s for s, sent in zip(statuses, deliveries, strict=True) if not sent.good]
        assert Counter(statuses) == {200: sum(sent.good for sent in deliveries), 400: len(refused)}
        assert set(refused) == {400}
        before = events(process)
        assert before == expected(deliveries)
        users = ask(process, "users:all")
    finally:
        process.kill()

    process = Process("examples/shop", tmp_path / "data", env=ENV)
    try:
        assert events(process) == before, "what was acknowledged survived SIGKILL"
        assert ask(process, "users:all") == users
        assert process.terminate() == 0
    finally:
        process.popen.kill()
    log = process.output()
    assert "Traceback" not in log
    assert not any(secret in log for secret in SECRETS.values()), "no secret in the log"


def test_uploads_and_items_survive_a_kill(tmp_path: Path) -> None:
    process = Process("examples/shop", tmp_path / "data", env=ENV)
    content = os.urandom(300_000)
    try:
        storage_id = process.client.post("/api/upload", content, {"Content-Type": "image/png"}).json()[
            "storageId"
        ]
        item = process.client.post("/api/items", {"name": "pen"}).json()
    finally:
        process.kill()
    process = Process("examples/shop", tmp_path / "data", env=ENV)
    try:
        location = process.client.get(f"/files/{storage_id}").headers["location"]
        assert process.client.get(location.removeprefix(process.client.url)).body == content
        assert process.client.get("/api/items").json() == [item]
    finally:
        process.kill()


def test_keys_and_tokens(tmp_path: Path) -> None:
    process = Process("examples/shop", tmp_path / "data", env=ENV)
    try:
        user = {"id": "user_1", "first_name": "Ada", "email_addresses": [{"email_address": "a@b.c"}]}
        user_id = ask(process, "users:save", user=user)
        key = ask(process, "auth:issue_key", userId=user_id, name="laptop")
        token = ask(process, "auth:issue_token", userId=user_id)
        client = process.client
        assert client.get("/api/protected").status == 401
        assert client.get("/api/protected", X_API_Key="nope").status == 403
        assert client.get("/api/protected", X_API_Key=key).status == 200
        assert ask(process, "auth:revoke_key", key=key) is True
        assert client.get("/api/protected", X_API_Key=key).status == 403
        assert client.get("/api/user").status == 401
        assert client.get("/api/user", Authorization="Bearer nope").status == 403
        assert client.get("/api/user", Authorization=f"Bearer {token}").json()["email"] == "a@b.c"
        # to the public, internal functions do not exist
        body = {"path": "auth:issue_key", "args": {"userId": user_id, "name": "x"}}
        reply = client.post("/api/mutation", body).json()
        assert "Could not find public function for 'auth:issue_key'" in reply["errorMessage"]
    finally:
        process.kill()
