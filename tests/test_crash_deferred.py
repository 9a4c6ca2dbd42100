# SPDX-License-Identifier: MIT
"""Deferred responses under SIGKILL between execution, COMMIT and response, and when the COMMIT fails.

The server is `python -m minihttp serve`, so no thread waits for the disk: the committer runs a batch, commits
it, and only then is each request of it answered. Webhooks, `http.mutation` and `/api/mutation` share batches.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from minihttp import App, testing
from minihttp.webhooks import github
from tests.jobs.world import PATIENCE_SECONDS
from tests.live import ROOT, Client, Process, small_disk

APP = ROOT / "tests" / "apps" / "dying.py"
SECRET = {"GITHUB_WEBHOOK_SECRET": "a secret of the hub"}
CLIENTS = 12
KINDS = ("hook", "notes", "api")
pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]


@contextmanager
def serving(data: Path, **environment: str) -> Iterator[Process]:
    """The server as its users start it; it is gone at the end."""
    options = ("--workers", "0", "--log-level", "error")
    process = Process(APP, data, *options, env={**SECRET, **environment}, module="minihttp")
    try:
        yield process
    finally:
        process.kill()


def send(client: Client, kind: str, key: str, text: str = "") -> int:
    """One request; its status."""
    if kind == "hook":
        body = b'{"text": "%s"}' % text.encode()
        return client.post("/hook", body, github.sign(body, SECRET["GITHUB_WEBHOOK_SECRET"], id=key)).status
    args = {"key": key, "text": text}
    path, sent = (
        ("/notes", args) if kind == "notes" else ("/api/mutation", {"path": "dying:note", "args": args})
    )
    return client.post(path, sent).status


class Journal:
    """What became of each request, by its key."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.unknown: set[str] = set()

    def load(self, client: Client, name: str, requests: int, text: str = "") -> None:
        """Requests of every kind from many clients at once, each until it has sent its own or nobody
        answers."""

        def work(worker: int) -> None:
            for number in range(requests):
                kind = KINDS[number % len(KINDS)]
                key = f"{kind}-{name}-{worker}-{number}"
                try:
                    self.statuses[key] = send(client, kind, key, text)
                except (OSError, HTTPException):
                    self.unknown.add(key)
                    return

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def acknowledged(self) -> set[str]:
        return {key for key, status in self.statuses.items() if status < 300}

    def refused(self) -> set[str]:
        return {key for key, status in self.statuses.items() if status >= 500}


def stored(data: Path) -> Counter[str]:
    """How often each key has taken effect once all jobs have run."""
    app = App.from_target(str(APP)).configure(data=str(data), workers=0, environment=SECRET)
    try:
        with app:
            testing.run_jobs(app)
            return Counter(app.database.read(lambda t: [row["key"] for row in t.db.query("notes").collect()]))
    finally:
        sys.modules.pop("dying", None)


@pytest.mark.parametrize(
    "place",
    [
        "call:sqlite_tables.py:commit:9",  # the batch has run, nothing is committed
        "return:sqlite_tables.py:commit:9",  # it is durable, and nobody has been told
        "call:responder.py:_resume:40",  # some of a batch are answered
        "return:responder.py:_resume:40",
    ],
    ids=["before the COMMIT", "after the COMMIT", "before a response", "after a response"],
)
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, place: str) -> None:
    data, journal = tmp_path / "data", Journal()
    with serving(data, DIE_AT=place) as process:
        journal.load(process.client, "first", 10_000)
        assert process.popen.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    acknowledged = journal.acknowledged()
    assert acknowledged and journal.unknown
    found = stored(data)
    assert not [key for key in acknowledged if found[key] != 1], "lost, or done twice"
    assert set(found) <= acknowledged | journal.unknown and max(found.values()) == 1

    with serving(data) as process:  # a provider sends again what was not answered
        for key in [key for key in journal.unknown if key.startswith("hook")]:
            assert send(process.client, "hook", key) == 200
    found = stored(data)
    assert max(found.values()) == 1
    assert {key for key in found if key.startswith("hook")} == {
        key for key in acknowledged | journal.unknown if key.startswith("hook")
    }


def refuse_growth(data: Path, journal: Journal, environment: Mapping[str, str], text: str) -> None:
    with serving(data, **environment) as process:
        for number in range(100):
            journal.load(process.client, str(number), len(KINDS), text)
            if len({key.partition("-")[0] for key in journal.refused()}) > 1:
                break


def check_refused(data: Path, journal: Journal, status: int) -> None:
    """Each request was told what became of it, and that is so."""
    assert not journal.unknown
    assert set(journal.statuses.values()) == {200, 201, status}
    assert {journal.statuses[key] for key in journal.refused()} == {status}
    assert stored(data) == Counter(journal.acknowledged())


def test_a_commit_that_fails_is_a_503_to_each_of_its_batch(tmp_path: Path) -> None:
    journal = Journal()
    refuse_growth(tmp_path / "data", journal, {"MAX_FILE_BYTES": str(6 * 1024 * 1024)}, "x" * 60_000)
    check_refused(tmp_path / "data", journal, 503)


def test_a_commit_without_room_is_a_507_to_each_of_its_batch(tmp_path: Path) -> None:
    with small_disk("size=16m") as disk:
        journal = Journal()
        (disk / "filler").write_bytes(bytes(8 * 1024 * 1024))
        refuse_growth(disk / "data", journal, {}, "x" * 60_000)
        (disk / "filler").unlink()
        check_refused(disk / "data", journal, 507)
