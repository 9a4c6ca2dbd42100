# SPDX-License-Identifier: MIT
"""An app with something of everything, served on a socket with its dashboard, and a person signed in."""

from __future__ import annotations

import logging
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from minihttp import (
    App,
    Crons,
    HttpRouter,
    Int64,
    Response,
    Schema,
    Table,
    internal_mutation,
    internal_query,
    v,
)
from minihttp.app import log_ring
from minihttp.dashboard import Installed, install, install_welcome
from minihttp.logs import access_line
from minihttp.server import Server
from minihttp.webhooks import github

KEY = "the admin key of these tests"
HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"
SECRET = "0123456789abcdef0123"
SCHEMA = Schema(
    items=Table(
        {"name": v.string(), "price": v.number(), "count": v.optional(v.int64()), "tags": v.array(v.string())}
    ).index("by_name", ["name"]),
    orders=Table({"item": v.id("items")}),
    pictures=Table({"item": v.id("items"), "file": v.id("_storage")}).index("by_file", ["file"]),
)


@internal_mutation(args={"name": v.string(), "price": v.number(), "isGift": v.optional(v.boolean())})
def create(ctx: Any, name: str, price: float, isGift: bool = False) -> str:
    """Make one item."""
    logging.getLogger("shop").warning("creating %s", name)
    id: str = ctx.db.insert("items", {"name": name, "price": price, "count": Int64(7), "tags": [HOSTILE]})
    return id


@internal_query
def total(ctx: Any) -> float:
    return sum(item["price"] for item in ctx.db.query("items"))


@internal_query
def who(ctx: Any) -> Any:
    identity = ctx.auth.get_user_identity()
    return identity and identity["subject"]


@internal_mutation
def tidy(ctx: Any) -> None:
    """What the cron runs."""


@internal_mutation
def fail(ctx: Any, why: str) -> None:
    raise ValueError(why)


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    if delivery["event_type"] == "issues":
        raise ValueError(HOSTILE)


class Answer(NamedTuple):
    status: int
    headers: Any
    text: str


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


class Person:
    """Asks for pages and sends forms, as a browser does, but follows no redirect."""

    def __init__(self, url: str, cookie: str = "") -> None:
        self.url = url
        self.cookie = cookie
        self._opener = urllib.request.build_opener(_Stay)

    def get(self, path: str, **headers: str) -> Answer:
        return self._send(urllib.request.Request(f"{self.url}{path}", headers=headers))

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        sent = {"Origin": self.url, **{name.replace("_", "-"): text for name, text in headers.items()}}
        data = urllib.parse.urlencode(form).encode()
        return self._send(urllib.request.Request(f"{self.url}{path}", data, headers=sent))

    def submit(self, page: str, path: str, **form: str) -> Answer:
        """Send a form of a page that this person sees."""
        token = re.search(r'name="form_token" value="([^"]+)"', self.get(page).text)
        assert token
        return self.post(path, {"form_token": token[1], **form})

    def submit_and_follow(self, page: str, path: str, **form: str) -> Answer:
        """As `submit`, and the page that it leads to."""
        done = self.submit(page, path, **form)
        assert done.status == 303, done.text
        return self.get(done.headers["Location"])

    def _send(self, request: urllib.request.Request) -> Answer:
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        try:
            with self._opener.open(request, timeout=30) as response:
                return Answer(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())


class Site(NamedTuple):
    app: App
    url: str
    installed: Installed
    person: Person


def _make(ctx: Any, request: Any) -> Any:
    return Response.json(ctx.run_mutation(create, name="from a route", price=1))


def make_app(data: str, **options: Any) -> App:
    http = HttpRouter()
    http.route(path="/items", method="GET", handler=lambda ctx, request: Response.json(ctx.run_query(total)))
    http.route(path="/make", method="GET", handler=_make)
    http.route(path="/boom", method="GET", handler=lambda ctx, request: 1 / 0)
    http.webhook("/webhooks/github", github.provider(secret="GH_SECRET"), handler=on_event)
    crons = Crons()
    crons.interval("nightly tidy", function=tidy, hours=24)
    if data != ":memory:":
        options.setdefault("files", f"{data}-files")  # where documents are shared, they have to be named
    return App(
        http,
        schema=SCHEMA,
        modules={"shop": __name__},
        crons=crons,
        data=data,
        environment={"GH_SECRET": SECRET, "MINIHTTP_ADMIN_KEY": KEY},
        **options,
    )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a server with a dashboard in a mode; what the app logs and answers is recorded."""
    started: list[tuple[Server, threading.Thread, App]] = []
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)

    def start(mode: str = "write", trusted_proxy: str | None = None, **options: Any) -> Site:
        app = make_app(str(tmp_path / f"data{len(started)}"), **options)
        install_welcome(app)
        installed = install(app, mode)
        assert installed is not None

        def report(served: Any) -> None:
            installed.activity.record(served)
            access_line(served)

        app.prepare()
        server = Server(app, port=0, threads=4, grace_seconds=2, report=report, trusted_proxy=trusted_proxy)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        started.append((server, thread, app))
        person = Person(server.url)
        answer = person.post("/_/login", {"key": KEY})
        assert answer.status == 303, answer
        person.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return Site(app, server.url, installed, person)

    yield start
    for server, thread, app in started:
        server.stop()
        thread.join(10)
        app.close(2)
    root.setLevel(level)
    for ring in log_ring.installed():
        root.removeHandler(ring)


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    """A server whose dashboard changes things, with some of everything in it."""
    site = serve(workers=0)  # so that jobs run when a test says so
    fill(site)
    return site


def fill(site: Site) -> None:
    """Documents, a file, a job that failed, deliveries of each state, a request that failed."""
    app = site.app
    for n in range(3):
        app.run_mutation("shop:create", name=f"pen {n}", price=1.5)
    item = app.run_mutation("shop:create", name=HOSTILE, price=2)
    app.run_mutation("_app:insert_document", table="orders", document={"item": item})
    file = app.files.outside().store(HOSTILE.encode(), content_type="text/html")
    app.run_mutation("_app:insert_document", table="pictures", document={"item": item, "file": file})
    app.jobs.scheduler(None, None).run_after(0, fail, why=HOSTILE)
    for event in ("push", "issues"):
        body = b'{"note": "<script>"}'
        headers = github.sign(body, SECRET, event_type=event)
        request = urllib.request.Request(
            f"{site.url}/webhooks/github", body, headers={"Content-Type": "application/json", **headers}
        )
        urllib.request.urlopen(request, timeout=30).close()
    for path in ("/items", "/boom", "/webhooks/github"):
        site.person.get(path)
    site.person.post("/webhooks/github", {"a": "b"})
    app.jobs.run_due()
