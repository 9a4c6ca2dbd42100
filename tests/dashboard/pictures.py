# SPDX-License-Identifier: MIT
"""Takes the pictures of `docs/images/`: a day in the life of a shop, page by page, in Chromium.

    python -m tests.dashboard.pictures [FOLDER [PAGE …]]

Without arguments it writes those that the documents show; with a folder every page, at 360 and 1400 px, light
and dark.
"""

from __future__ import annotations

import logging
import math
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minihttp import App, key_store
from minihttp.app import log_ring
from minihttp.dashboard import install, install_welcome
from minihttp.logs import Served, access_line
from minihttp.server import Server
from minihttp.testing import Clock
from minihttp.webhooks import github, stripe
from tests.dashboard.conftest import Person

ROOT = Path(__file__).absolute().parents[2]
KEY = "the key of the pictures"
SECRET = "whsec_of_the_pictures_0123456789"
_DAY = 24 * 60
_PAPER = ("Notebook A5, dotted", "Notebook A4, lined", "Letter paper, laid", "Sketch pad", "Index cards")
_INK = ("Ink, blue-black", "Ink, sepia", "Ink, emerald", "Ink, oxblood")
_PENS = ("Fountain pen M", "Fountain pen EF", "Dip pen", "Brush pen", "Technical pen 0.3")
_NAMES = (
    "Ada Lovelace",
    "Grace Hopper",
    "Katherine Johnson",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Ken Iverson",
)


@contextmanager
def shop() -> Iterator[tuple[App, str, Any]]:
    """The shop on a socket, with a day behind it; its URL, and its dashboard."""
    clock, chance = Clock(1_796_050_800.0 - _DAY * 60), random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        environment = {"STRIPE_WEBHOOK_SECRET": SECRET, "MINIHTTP_ADMIN_KEY": KEY}
        app = App.from_package(str(ROOT / "tests/dashboard/stationery"))
        app.configure(
            data=f"{folder}/data", clock=clock, environment=environment, workers=0, development=True
        )
        install_welcome(app)
        installed = install(app, "write", name="stationery")
        assert installed is not None
        logging.getLogger().setLevel(logging.INFO)
        app.prepare()
        server = Server(app, port=0, threads=4, grace_seconds=1, report=access_line)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            _live(app, clock, installed, server.url, chance)
            yield app, server.url, installed
        finally:
            server.stop()
            thread.join(10)
            app.close(1)
            for ring in log_ring.installed():
                logging.getLogger().removeHandler(ring)


def _live(app: App, clock: Clock, installed: Any, url: str, chance: random.Random) -> None:
    """A day: what is sold, who asks, what fails."""
    products = []
    for category, names in (("paper", _PAPER), ("ink", _INK), ("pens", _PENS)):
        for name in names:
            svg = f"<svg xmlns='http://www.w3.org/2000/svg'><title>{name}</title></svg>" * chance.randrange(
                4, 40
            )
            file = app.files.outside().store(svg.encode(), content_type="image/svg+xml")
            price, stock = chance.randrange(290, 8_900, 10), chance.randrange(0, 240)
            row = {"name": name, "priceCents": price, "stock": stock, "category": category, "picture": file}
            products.append(app.run_mutation("_app:insert_document", table="products", document=row))
            clock.advance(1)
    customers = [
        _insert(app, "customers", name=n, email=f"{n.split()[0].lower()}@example.com") for n in _NAMES
    ]
    for name, scopes in (("till in the shop", ["orders"]), ("laptop of Ada", ["read"])):
        key_store.issue(app, name, data={"scopes": scopes})
    for minute in range(_DAY):
        busy = 1.2 + math.sin(minute / _DAY * 2 * math.pi - 2)
        _requests(installed, clock, chance, busy, minute)
        depth = int(chance.random() * 5 * busy) + max(0, 14 - 3 * abs(minute % 97 - 42))
        app.runner.statistics.saw_queue(lambda depth=depth: depth)
        for _ in range(int(busy * chance.random() * 4)):
            app.runner.statistics.ran_job()
        if minute > _DAY - 60 and minute % 2:
            _sell(app, clock, url, chance, customers, products)
        clock.advance(60)
    _end(app, url)


def _insert(app: App, table: str, **document: Any) -> str:
    id: str = app.run_mutation("_app:insert_document", table=table, document=document)
    return id


def _requests(installed: Any, clock: Clock, chance: random.Random, busy: float, minute: int) -> None:
    for n in range(int(busy * (14 + chance.random() * 8))):
        failed = minute % 173 < 5 and chance.random() < 0.3
        status = 500 if failed else chance.choices((200, 201, 304, 404), (70, 12, 12, 5))[0]
        seconds = 0.002 * busy + chance.expovariate(260) * (4 if failed else 1)
        route = "/webhooks/stripe" if n % 9 == 0 and status == 200 else "/orders"
        served = Served(clock(), "GET", route, "/orders", status, seconds, 512, "0" * 16, "192.0.2.7", True)
        installed.activity.record(served)


def _sell(
    app: App, clock: Clock, url: str, chance: random.Random, customers: list[str], products: list[str]
) -> None:
    order = app.run_mutation(
        "orders:place",
        customer=chance.choice(customers),
        product=chance.choice(products),
        count=chance.randrange(1, 6),
    )
    app.jobs.run_due()
    if chance.random() < 0.6:
        is_lost = chance.random() < 0.2
        reference = order[:-6] + "000000" if is_lost else order
        session = {"id": f"cs_{order[-10:]}", "client_reference_id": reference, "amount_total": 4_990}
        event = {
            "id": f"evt_{order[-12:]}",
            "type": "checkout.session.completed",
            "data": {"object": session},
        }
        _post(url, "stripe", event, stripe.sign, timestamp=int(clock()))
        app.jobs.run_due()


def _post(url: str, provider: str, event: Any, sign: Any, **options: Any) -> None:
    import json
    import urllib.error
    import urllib.request

    body = json.dumps(event).encode()
    headers = {"Content-Type": "application/json", **sign(body, SECRET, **options)}
    try:
        urllib.request.urlopen(urllib.request.Request(f"{url}/webhooks/{provider}", body, headers)).close()
    except urllib.error.HTTPError as error:
        error.close()


def _end(app: App, url: str) -> None:
    """The last minute: what somebody sees who opens the page now."""
    person = Person(url)
    for path in ("/orders", "/orders", "/revenue", "/pictures/ink", "/orders", "/favicon.ico", "/revenue"):
        person.get(path)
    _post(url, "stripe", {"id": "evt_forged", "type": "checkout.session.completed"}, lambda body, secret: {})
    event = {"id": "evt_late", "type": "charge.refunded"}
    _post(url, "stripe", event, lambda body, secret: stripe.sign(body, "whsec_another", timestamp=1))
    _post(url, "github", {"zen": "Keep it logically awesome."}, github.sign, event_type="ping")
    logging.getLogger("shop.mail").warning("the post office answers slowly: 2.1 s")


# ------------------------------------------------------------ pictures


def _first(app: App, table: str) -> str:
    id: str = app.run_query("_app:documents", table=table, order="desc")["page"][0]["_id"]
    return id


def pages(app: App) -> dict[str, str]:
    """Every page by the name of its picture."""
    failed = app.run_query("_jobs:list", state="failed")[0]["_id"]
    pending = app.run_query("_webhooks:list", limit=500)
    broken = next(row["_id"] for row in pending if row.get("error"))
    refused = app.run_query("_webhooks:list", state="refused")[0]["_id"]
    return {
        "welcome": "/",
        "login": "/_/login",
        "overview": "/_/",
        "day": "/_/?span=day",
        "data": "/_/data",
        "table": "/_/data/products?index=by_category",
        "document": f"/_/data/products/{_first(app, 'products')}",
        "new": "/_/data/orders/new",
        "functions": "/_/functions",
        "function": "/_/functions/orders%3Aplace",
        "files": "/_/files",
        "file": f"/_/files/{_first(app, '_storage')}",
        "jobs": "/_/jobs",
        "job": f"/_/jobs/{failed}",
        "crons": "/_/crons",
        "webhooks": "/_/webhooks",
        "delivery": f"/_/webhooks/{broken}",
        "refusal": f"/_/webhooks/{refused}",
        "logs": "/_/logs",
        "keys": "/_/keys",
    }


SHOWN = {  # what the documents show: name of the picture -> page, width, dark
    "dashboard_overview": ("overview", 1400, False),
    "dashboard_overview_dark": ("overview", 1400, True),
    "dashboard_overview_narrow": ("overview", 360, False),
    "dashboard_table": ("table", 1400, False),
    "dashboard_document": ("document", 1400, False),
    "dashboard_function": ("function", 1400, False),
    "dashboard_functions": ("functions", 1400, False),
    "dashboard_files": ("files", 1400, False),
    "dashboard_job": ("job", 1400, False),
    "dashboard_crons": ("crons", 1400, False),
    "dashboard_webhooks": ("webhooks", 1400, False),
    "dashboard_logs": ("logs", 1400, True),
    "dashboard_keys": ("keys", 1400, False),
    "dashboard_welcome": ("welcome", 1400, False),
}
_HEIGHT = {360: 780, 1400: 900}


def _take(driver: Any, url: str, path: str, width: int, dark: bool, file: Path, *, whole: bool) -> None:
    from tests.dashboard.test_browser import set_width

    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    set_width(driver, width, _HEIGHT[width])
    driver.get(f"{url}{path}")
    if whole:
        height = driver.execute_script("return document.documentElement.scrollHeight")
        set_width(driver, width, min(max(height, _HEIGHT[width]), 2_400))
    file.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(file))


def main(arguments: list[str]) -> None:
    from tests.dashboard.test_browser import browser

    with shop() as (app, url, installed), tempfile.TemporaryDirectory() as profile:
        driver = browser(Path(profile))
        try:
            found = pages(app)
            driver.get(f"{url}{installed.link()}")
            driver.get(f"{url}/_/")
            if not arguments:
                for name, (page, width, dark) in SHOWN.items():
                    file = ROOT / f"docs/images/{name}.png"
                    _take(driver, url, found[page], width, dark, file, whole=False)
                return
            for name in arguments[1:] or found:
                for width in (360, 1400):
                    for dark in (False, True):
                        file = Path(arguments[0], f"{name}_{width}_{'dark' if dark else 'light'}.png")
                        _take(driver, url, found[name], width, dark, file, whole=True)
        finally:
            driver.quit()


if __name__ == "__main__":
    main(sys.argv[1:])
