# SPDX-License-Identifier: MIT
"""`max_webhook_bytes`: what the deliveries of one endpoint may take."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minihttp import Limits, testing
from minihttp.errors import StorageUnavailableError
from minihttp.inbox.deliveries import DELIVERIES
from minihttp.inbox.stored_bytes import ROW_BYTES, THREAD_NAME, StoredBytes, size_bytes
from minihttp.webhooks import github, stripe
from tests.inbox.shop import SECRET, Shop
from tests.inbox.test_deliveries import fail
from tests.jobs.world import PATIENCE_SECONDS

DAY_SECONDS = 86_400


class Bounded(Shop):
    """A shop whose endpoint has room for so many bytes."""

    def __init__(self, limit_bytes: int, data: str | None = None) -> None:
        super().__init__(data, limits=Limits(max_webhook_bytes=limit_bytes))
        self.webhook(stripe, self.mutate, retention_days=1)

    def send(self, *numbers: int | str) -> list[int]:
        """Sends events, each after the count that the first one starts; returns the statuses."""
        statuses = []
        for number in numbers:
            statuses.append(self.stripe(f"evt_{number}").status)
            end_of_count()
        return statuses


def end_of_count() -> None:
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def one() -> int:
    """The bytes of one delivery of these tests."""
    shop = Bounded(1_000_000)
    assert shop.send(1) == [200]
    [row] = shop.rows("_webhook_deliveries")
    shop.close()
    return size_bytes(row)


@pytest.fixture
def bounded() -> Iterator[Callable[..., Bounded]]:
    made: list[Bounded] = []

    def make(limit_bytes: int, data: str | None = None) -> Bounded:
        made.append(Bounded(limit_bytes, data))
        return made[-1]

    yield make
    for shop in made:
        shop.close()


Make = Callable[..., Bounded]


def test_a_delivery_counts_its_body_its_headers_and_its_row() -> None:
    row = {"bodyBytes": 7, "headers": {"a": "123", "b": "4"}}
    assert size_bytes(row) == 7 + 4 + ROW_BYTES
    assert size_bytes({}) == ROW_BYTES


def test_at_the_border(bounded: Make, one: int) -> None:
    assert bounded(2 * one).send(1, 2, 3) == [200, 200, 503]
    assert bounded(3 * one - 1).send(1, 2, 3) == [200, 200, 503]
    assert bounded(3 * one).send(1, 2, 3) == [200, 200, 200]


def test_what_is_over_is_not_stored_and_its_sender_told_to_come_back(bounded: Make, one: int) -> None:
    shop = bounded(one)
    shop.send(1)
    reply = shop.stripe("evt_2")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "60")
    assert reply.json["error"] == "This endpoint takes no more deliveries now"
    assert [row["deliveryId"] for row in shop.list()] == ["evt_1"]
    assert len(shop.rows("_webhook_bodies")) == 1
    shop.run()
    assert shop.effects() == ["evt_1"]


def test_a_duplicate_of_what_is_there_is_answered_as_ever(bounded: Make, one: int) -> None:
    shop = bounded(one)
    assert shop.send(1, 2, 1) == [200, 503, 200]
    assert [row["duplicates"] for row in shop.list()] == [1]


def test_endpoints_are_apart(bounded: Make, one: int) -> None:
    shop = bounded(2 * one)
    shop.webhook(github, None)
    assert shop.send(1, 2, 3) == [200, 200, 503]
    body, headers = testing.signed("github", {}, SECRET, now=shop.clock())
    assert shop.post("/webhooks/github", body, headers).status == 200


def test_the_log_names_the_endpoint_once(bounded: Make, one: int, caplog: pytest.LogCaptureFixture) -> None:
    shop = bounded(one)
    shop.send(1)
    with caplog.at_level(logging.ERROR):
        shop.send(2, 3, 4)
    said = [record.getMessage() for record in caplog.records if "a new one" in record.getMessage()]
    assert said[0] == "webhook /webhooks/stripe: its deliveries take max_webhook_bytes: a new one was refused"
    assert len(said) < 3


@pytest.mark.parametrize("way", ["maintenance", "prune"])
def test_what_expires_makes_room(bounded: Make, one: int, way: str) -> None:
    shop = bounded(2 * one)
    shop.send(1, 2)
    shop.run()
    assert shop.send(3) == [503]
    shop.clock.advance(DAY_SECONDS + 1)
    assert shop.send(3) == [503]
    shop.run() if way == "maintenance" else shop.app.run_mutation("_webhooks:prune")
    assert shop.send(3, 4, 5) == [200, 200, 503]


def test_a_replay_takes_no_more_room(bounded: Make, one: int) -> None:
    shop = bounded(2 * one)
    shop.on_event = fail
    shop.send(1)
    shop.run_for(DAY_SECONDS / 2)
    [row] = shop.list("dead")
    for _ in range(3):
        assert shop.app.run_mutation("_webhooks:replay", id=row["_id"]) is True
        shop.run_for(DAY_SECONDS / 2)
    assert shop.send(2, 3) == [200, 503]


def test_after_a_restart_what_is_there_counts(bounded: Make, one: int, tmp_path: Path) -> None:
    first = bounded(1_000_000, str(tmp_path))
    assert first.send(1, 2, 3, 4) == [200] * 4
    first.run()
    first.close()
    later = bounded(6 * one, str(tmp_path))  # whose clock begins where that of the first did
    assert later.send(5, 6, 7) == [200, 200, 503]
    later.clock.advance(DAY_SECONDS + 1)
    later.run()
    assert later.send(7, 8, 9, "a", "b") == [200, 200, 200, 200, 503]


class Reading:
    """A database that does something after its nth read, before its reader goes on."""

    shared = False

    def __init__(self, database: Any, n: int, act: Callable[[], None]) -> None:
        self.reads = itertools.count()
        self.database, self.n, self.act = database, n, act

    def read(self, run: Callable[[Any], Any]) -> Any:
        result = self.database.read(run)
        if next(self.reads) == self.n:
            self.act()
        return result


def begin_count(shop: Shop, **options: Any) -> StoredBytes:
    """What counts the deliveries of the shop from now on, instead of what did."""
    database, jobs = options.pop("database", shop.app.database), shop.app.services.jobs.store
    store: Any = SimpleNamespace(database=database, limits=jobs.limits, now_ms=jobs.now_ms)
    made = StoredBytes(store, DELIVERIES, **options)
    jobs.table_of(shop.rows(DELIVERIES)[0]).stored_bytes = made  # type: ignore[attr-defined]
    made.look(jobs.now_ms())
    end_of_count()
    return made


@pytest.mark.parametrize("page_rows", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("n", range(8))
def test_what_is_stored_and_removed_while_a_page_is_read(
    bounded: Make, one: int, n: int, page_rows: int
) -> None:
    shop = bounded(1_000_000)
    shop.send(1, 2, 3, 4, 5, 6)
    rows = shop.rows(DELIVERIES)

    def act() -> None:
        shop.stripe("evt_7")
        for row in rows[0], rows[3], rows[5]:
            shop.app.database.write(lambda t, row=row: shop.app.services.jobs.store.remove(t, row))

    counted = begin_count(shop, database=Reading(shop.app.database, n, act), page_rows=page_rows)
    assert counted.of("/webhooks/stripe") == len(shop.rows(DELIVERIES)) * one


def test_what_other_processes_stored_and_removed_is_known_later(bounded: Make, one: int) -> None:
    shop = bounded(2 * one)
    shop.send(1, 2)
    [row, _] = shop.rows(DELIVERIES)
    counted = begin_count(shop, recount_seconds=600)
    shop.app.database.write(lambda transaction: transaction.system.delete(row["_id"]))  # by another
    shop.clock.advance(599)
    assert shop.send(3) == [503]
    shop.clock.advance(1)
    shop.send(1)  # a duplicate starts the count, too
    assert counted.of("/webhooks/stripe") == one
    assert shop.send(3, 4) == [200, 503]


def test_a_count_that_fails_refuses_nothing_and_is_tried_again(
    bounded: Make, one: int, caplog: pytest.LogCaptureFixture
) -> None:
    shop = bounded(one)
    shop.send(1)

    def fail_once() -> None:
        raise StorageUnavailableError("the disk is slow")

    counted = begin_count(shop, database=Reading(shop.app.database, 0, fail_once))
    assert "could not be counted: the disk is slow" in caplog.text
    assert shop.send(2) == [200]
    shop.clock.advance(60)
    shop.send(2)
    assert counted.of("/webhooks/stripe") == 2 * one and shop.send(3) == [503]
