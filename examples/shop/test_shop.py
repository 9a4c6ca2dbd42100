"""The shop's own tests: `python -m pytest examples/shop`; they need the packages pytest and webtest."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import webtest

from minihttp import App, auth, testing

SECRETS = {
    "GITHUB_WEBHOOK_SECRET": "github secret",
    "STRIPE_WEBHOOK_SECRET": "whsec_stripe",
    "CLERK_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "SHOP_TOKEN_SECRET": "a secret of 32 bytes or more, of this test",
}
ADA = {"id": "user_1", "first_name": "Ada", "email_addresses": [{"email_address": "ada@example.com"}]}


@pytest.fixture
def clock() -> testing.Clock:
    return testing.Clock()


@pytest.fixture
def shop(clock: testing.Clock) -> Iterator[App]:
    app = App.from_package(os.path.dirname(__file__))
    with testing.in_memory(app, clock=clock, environment=SECRETS) as copy:
        yield copy


@pytest.fixture
def client(shop: App) -> Any:
    return webtest.TestApp(shop)


def key_of_ada(shop: App) -> str:
    user_id = shop.run_mutation("users:save", user=ADA)
    key: str = shop.run_mutation("auth:issue_key", userId=user_id, name="laptop")
    return key


def test_a_checkout_that_comes_twice_is_one_payment_with_a_receipt(
    shop: App, client: Any, clock: testing.Clock
) -> None:
    session = {"id": "cs_1", "customer": "cus_1"}
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": session}}
    body, headers = testing.signed("stripe", event, SECRETS["STRIPE_WEBHOOK_SECRET"], now=clock())
    for _ in range(2):
        client.post("/webhooks/stripe", body, headers=headers, status=200)
    testing.run_jobs(shop)
    [payment] = client.get("/api/payments", headers={"X-API-Key": key_of_ada(shop)}).json
    receipt = client.get("/files/" + payment["receipt"], status=302).follow()
    assert receipt.text == "Paid: cs_1\n"


def test_a_forged_delivery_is_refused(client: Any) -> None:
    forged = {"Stripe-Signature": "t=1,v1=00"}
    client.post_json("/webhooks/stripe", {"id": "evt_1"}, headers=forged, status=400)


def test_a_user_of_clerk_comes_and_goes(shop: App, client: Any, clock: testing.Clock) -> None:
    for number, event in enumerate(("user.created", "user.deleted")):
        body, headers = testing.signed(
            "svix",
            {"type": event, "data": ADA},
            SECRETS["CLERK_WEBHOOK_SECRET"],
            id=f"msg_{number}",
            now=clock(),
        )
        client.post("/webhooks/clerk", body, headers=headers, status=200)
        testing.run_jobs(shop)
        assert len(shop.run_query("users:all")) == 1 - number


def test_a_key_opens_what_is_protected(shop: App, client: Any) -> None:
    key = key_of_ada(shop)
    client.get("/api/protected", status=401)
    client.get("/api/protected", headers={"X-API-Key": key}, status=200)
    shop.run_mutation("auth:revoke_key", key=key)
    client.get("/api/protected", headers={"X-API-Key": key}, status=403)


def test_a_signed_token_says_who_calls(client: Any, clock: testing.Clock) -> None:
    claims = {"iss": "https://shop.example", "sub": "u1", "exp": clock() + 60}
    token = auth.sign(claims, SECRETS["SHOP_TOKEN_SECRET"])
    assert client.get("/api/me", headers={"Authorization": f"Bearer {token}"}).json["subject"] == "u1"
    client.get("/api/me", status=401)


def test_an_upload_comes_back(client: Any) -> None:
    stored = client.post("/api/upload", b"\x89PNG", content_type="image/png").json["storageId"]
    assert client.get("/files/" + stored, status=302).follow().body == b"\x89PNG"


def test_old_events_are_forgotten_at_night(shop: App, client: Any, clock: testing.Clock) -> None:
    event = {"id": "evt_1", "type": "ping", "data": {"object": {}}}
    body, headers = testing.signed("stripe", event, SECRETS["STRIPE_WEBHOOK_SECRET"], now=clock())
    client.post("/webhooks/stripe", body, headers=headers, status=200)
    testing.run_jobs(shop)
    assert len(shop.run_query("webhooks:page", cursor=None)["page"]) == 1
    clock.advance(seconds=91 * 86_400)
    testing.run_jobs(shop)
    assert shop.run_query("webhooks:page", cursor=None)["page"] == []
