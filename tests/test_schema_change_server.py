# SPDX-License-Identifier: MIT
"""`serve` on many documents and a changed schema: it listens first, and the rest goes on behind the requests.

The server is a process of its own, on sqlite and on PostgreSQL; its taking in is held after a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minihttp import App
from minihttp.webhooks import github
from tests.apps.changing import schema_of
from tests.live import PATIENCE_SECONDS, ROOT, Client, Process, live
from tests.postgresql_server import postgresql, schema_for

APP = ROOT / "tests" / "apps" / "changing.py"
SECRET = "a secret of the hub"
COUNT = 20_000  # more than are compared, or put into an index, before the server listens


class Store:
    """A store with documents of the old schema, and servers of it."""

    def __init__(self, folder: Path, documents: str) -> None:
        self._folder = folder
        self._documents = documents
        self._go_on = folder / "go_on"
        self._servers: list[Process] = []

    def app(self, schema: str) -> App:
        return App(schema=schema_of(schema), data=self._documents, files=self._files, workers=0)

    @property
    def _files(self) -> str | None:
        return str(self._folder / "files") if ":" in self._documents else None

    def fill(self) -> None:
        def insert(start: int) -> Callable[[Any], None]:
            return lambda t: (
                [t.db.insert("items", {"n": n, "name": "ab"[n % 2]}) for n in range(start, start + 2_000)]
                and None
            )

        with self.app("old") as app:
            for start in range(0, COUNT, 2_000):
                app.database.write(insert(start))

    def serve(self, schema: str) -> Process:
        options = ["--log-level", "error", *(["--files", self._files] if self._files else [])]
        environment = {"SCHEMA": schema, "GO_ON": str(self._go_on), "GITHUB_WEBHOOK_SECRET": SECRET}
        data = Path(self._documents) if ":" not in self._documents else self._folder / "log"
        if ":" in self._documents:  # the last of two --data is the one in force
            options += ["--data", self._documents]
        self._servers.append(Process(APP, data, *options, env=environment, module="minihttp"))
        return self._servers[-1]

    def let_go(self) -> None:
        self._go_on.touch()

    def end(self) -> None:
        self.let_go()
        for server in self._servers:
            if not server.log.closed:
                server.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    documents = str(tmp_path / "data")
    if request.param == "postgresql":
        pytest.importorskip("psycopg")
        documents = "postgresql:" + postgresql().location(schema_for(tmp_path))
    store = Store(tmp_path, documents)
    store.fill()
    yield store
    store.end()


def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What a look finds once it is what is wanted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def until_ready(client: Client) -> None:
    until(lambda: client.get("/_/ready").status, lambda status: status == 200)


def deliver(client: Client, path: str, id: str) -> int:
    body = b'{"action": "opened"}'
    return client.post(path, body, github.sign(body, SECRET, id=id)).status


def refusal(client: Client, path: str) -> Any:
    """What a request gets that touches what is not ready."""
    reply = client.get(path)
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    return reply.json()["error"]


def test_requests_jobs_and_webhooks_of_other_tables_go_on_while_one_is_compared(store: Store) -> None:
    client = store.serve("narrower").client
    assert client.get("/_/health").status == 200
    ready = client.get("/_/ready")
    assert ready.status == 503
    assert ready.json()["status"].startswith('comparing table "items" with its new schema: ')
    assert f"of {COUNT:,} documents" in ready.json()["status"]
    assert client.post("/notes", {"text": "posted"}).status == 201
    assert deliver(client, "/hook", "1") == deliver(client, "/hook/items", "2") == 200
    assert client.post("/jobs", {}).status == 200
    seen = ["hook 1", "job", "posted"]
    assert until(lambda: client.get("/notes").json(), lambda found: len(found) >= 3) == seen
    sentence = "A change of the schema is being taken in; try again later"
    assert refusal(client, "/items/first") == sentence
    store.let_go()
    until_ready(client)
    assert client.get("/items/first").json()["n"] == 0
    seen = ["action saw 0", "hook 1", "hook saw 0", "job", "mutation saw 0", "posted"]
    assert until(lambda: client.get("/notes").json(), lambda found: len(found) >= 6) == seen


def test_queries_on_other_indexes_go_on_while_one_is_filled(store: Store) -> None:
    client = store.serve("indexed").client
    assert client.get("/_/health").status == 200
    assert client.get("/_/ready").json()["status"].startswith("filling index items.by_name: ")
    assert client.get("/items/first").json()["n"] == 0
    assert "try again later" in refusal(client, "/items/named")
    store.let_go()
    until_ready(client)
    assert client.get("/items/named").json() == 100


@pytest.mark.parametrize("schema", ["narrower", "indexed"])
def test_a_kill_in_the_middle_is_made_good_at_the_next_start(store: Store, schema: str) -> None:
    first = store.serve(schema)
    assert first.client.post("/notes", {"text": "acknowledged"}).status == 201
    first.kill()
    second = store.serve(schema)
    assert second.client.get("/_/ready").status == 503 or schema == "indexed"  # which goes on where it was
    assert second.client.get("/notes").json() == ["acknowledged"]
    store.let_go()
    until_ready(second.client)
    assert second.client.get("/items/first" if schema == "narrower" else "/items/named").status == 200
    assert second.terminate() == 0


def test_a_document_that_does_not_match_ends_the_server(store: Store) -> None:
    with store.app("old") as app:
        bad = app.database.write(lambda t: t.db.insert("items", {"n": -1, "name": "neither"}))
    server = store.serve("narrower")
    assert server.client.post("/notes", {"text": "acknowledged"}).status == 201
    store.let_go()
    assert server.popen.wait(PATIENCE_SECONDS) == 1
    said = f'minihttp: Document with ID "{bad}" in table "items" does not match the schema: '
    assert said in server.output()
    with store.app("old") as app:
        assert app.database.read(lambda t: t.db.get(bad)["name"]) == "neither"
        assert app.database.read(lambda t: len(t.db.query("notes").collect())) == 1


def test_under_another_server_only_the_probe_of_health_goes_on_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`App.prepare`, as gunicorn's hook calls it; nobody there can be told to end."""
    from tests.apps import changing

    store = Store(tmp_path, str(tmp_path / "data"))
    store.fill()
    with store.app("old") as old:
        bad = old.database.write(lambda t: t.db.insert("items", {"n": -1, "name": "neither"}))
    monkeypatch.setenv("GO_ON", str(tmp_path / "go_on"))
    app = App(
        changing.http,
        schema=schema_of("narrower"),
        modules=[changing],
        data=str(tmp_path / "data"),
        environment={"GITHUB_WEBHOOK_SECRET": SECRET},
    )
    app.progress = changing._hold
    with live(app.prepare()) as client:
        assert client.get("/_/ready").json()["status"].startswith("comparing table")
        assert client.post("/notes", {"text": "posted"}).status == 201
        assert client.get("/items/first").status == 503
        store.let_go()
        until(lambda: app.refusal, lambda found: found is not None)
        assert bad in str(app.refusal)
        assert bad in caplog.text
        ready = until(lambda: client.get("/_/ready"), lambda reply: "match" in reply.text)
        assert ready.status == 503
        assert client.get("/_/health").status == 200
        until(lambda: client.get("/notes").status, lambda status: status == 503)  # once jobs have ended
        for reply in (client.get("/notes"), client.post("/notes", {"text": "refused"})):
            assert (reply.status, reply.headers["retry-after"]) == (503, "5")
        assert deliver(client, "/hook", "1") == 503
    app.close()
    with store.app("old") as old:  # its lock is free
        assert old.database.read(lambda t: len(t.db.query("notes").collect())) == 1
