# SPDX-License-Identifier: MIT
"""SIGKILL at random moments of a real server while four clients write: what was acknowledged is there.

Nothing is ever half there, balances are the replay of the transfers that are, and the server comes back.
The test keeps its own journal: each attempt before it is sent, its outcome after the reply. What was under
way at the kill is unknown: it may be there or not, but only wholly. A SIGKILL leaves the page cache alone, so
of fsync this tells nothing: `tests/storage_backends/test_sqlite.py` asks for that.
"""

from __future__ import annotations

import http.client
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.live import PATIENCE_SECONDS, ROOT, Client, Process, serve_command

ROUNDS = 32
KILLED_AGAIN_EVERY = 3  # rounds after which the next start is killed as well
CLIENTS = 4
BACK_WITHIN_SECONDS = 60.0  # a second on a machine with nothing else to do
OPENING_CENTS = 100
ACCOUNTS = ["ada", "bob", "cyd", "dee", "eve"]
APP = ROOT / "tests" / "apps" / "bank.py"
OPTIONS = ("--workers", "0", "--log-level", "warning")
TRACES = {"bank:note": ("notes", 1), "bank:pair": ("halves", 2), "bank:transfer": ("transfers", 1)}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


class Attempt:
    """One call; `outcome` is "ok", "refused", or "unknown" until there is a reply."""

    def __init__(self, function: str, args: dict[str, Any]) -> None:
        self.function = function
        self.args = args
        self.outcome = "unknown"


def attempts(chance: random.Random, round_number: int, client: int) -> Any:
    """Calls without end: single inserts, two-document writes and transfers, some of them of too much."""
    number = 0
    while True:
        number += 1
        args: dict[str, Any] = {"key": f"{round_number}-{client}-{number}", "round": round_number}
        function = chance.choice(list(TRACES))
        if function == "bank:transfer":
            source, target = chance.sample(ACCOUNTS, 2)
            args |= {"source": source, "target": target, "cents": chance.randint(1, 60)}
        yield Attempt(function, args)


def ask(client: Client, kind: str, function: str, args: dict[str, Any]) -> Any:
    reply = client.post(f"/api/{kind}", {"path": function, "args": args}).json()
    assert reply["status"] == "success", reply
    return reply["value"]


def mutate(connection: http.client.HTTPConnection, attempt: Attempt) -> Any:
    body = json.dumps({"path": attempt.function, "args": attempt.args})
    connection.request("POST", "/api/mutation", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, text
    return json.loads(text)


def write_until_killed(
    client: Client, calls: Any, journal: list[Attempt], wrong: list[Any], replies: threading.Semaphore
) -> None:
    connection = http.client.HTTPConnection(client.host, client.port, timeout=PATIENCE_SECONDS)
    try:
        for attempt in calls:
            journal.append(attempt)
            reply = mutate(connection, attempt)
            attempt.outcome = "ok" if reply["status"] == "success" else "refused"
            replies.release()
            if attempt.outcome == "refused" and reply.get("errorData") != "overdrawn":
                wrong.append(reply)
    except (OSError, http.client.HTTPException):
        pass  # the kill
    except BaseException as error:
        wrong.append(error)
    finally:
        connection.close()


def live_and_die(server: Process, chance: random.Random, round_number: int) -> list[Attempt]:
    """Let the clients write, kill the server after 4 to 80 replies (few more often); returns the journal."""
    journals: list[list[Attempt]] = [[] for _ in range(CLIENTS)]
    wrong: list[Any] = []
    replies = threading.Semaphore(0)
    threads = [
        threading.Thread(
            target=write_until_killed,
            args=(
                server.client,
                attempts(random.Random(round_number * CLIENTS + n), round_number, n),
                journals[n],
                wrong,
                replies,
            ),
        )
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for _ in range(int(4 * 20 ** chance.random())):
        assert replies.acquire(timeout=PATIENCE_SECONDS), wrong
    server.kill()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not wrong, wrong[0]
    return [attempt for journal in journals for attempt in journal]


def die_while_starting(data: Path, after_seconds: float) -> None:
    with subprocess.Popen(
        serve_command(APP, data, *OPTIONS), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        threading.Event().wait(after_seconds)
        process.kill()


def come_back(data: Path, round_number: int) -> tuple[Process, dict[str, Any]]:
    """A new server on the same directory, and its answer: what the round left."""
    started = time.monotonic()
    server = Process(APP, data, *OPTIONS)
    try:
        state = ask(server.client, "query", "bank:state", {"round": round_number})
    except BaseException:
        server.kill()
        raise
    assert time.monotonic() - started < BACK_WITHIN_SECONDS
    return server, state


def check(state: dict[str, Any], journal: list[Attempt]) -> list[Attempt]:
    """Hold what is there against the journal; returns the transfers that are there."""
    for function, (table, documents) in TRACES.items():
        outcomes = {a.args["key"]: a.outcome for a in journal if a.function == function}
        there = Counter(state[table])
        assert set(there.values()) <= {documents}, f"{table}: half of a write, or one twice"
        lost = {key for key, outcome in outcomes.items() if outcome == "ok"} - set(there)
        assert not lost, f"{table}: acknowledged and lost"
        strange = {key for key in there if outcomes.get(key) not in ("ok", "unknown")}
        assert not strange, f"{table}: refused, or never sent, and there"
    return [a for a in journal if a.function == "bank:transfer" and a.args["key"] in state["transfers"]]


def replay(balances: Counter[str], transfers: list[Attempt]) -> None:
    for transfer in transfers:
        balances[transfer.args["source"]] -= transfer.args["cents"]
        balances[transfer.args["target"]] += transfer.args["cents"]


def test_kill_nine_under_load(tmp_path: Path) -> None:
    data = tmp_path / "data"
    chance = random.Random(8)
    balances = Counter(dict.fromkeys(ACCOUNTS, OPENING_CENTS))
    rounds: list[list[Attempt]] = []
    server = Process(APP, data, *OPTIONS)
    try:
        ask(server.client, "mutation", "bank:open_accounts", {"names": ACCOUNTS, "cents": OPENING_CENTS})
        for round_number in range(ROUNDS):
            rounds.append(live_and_die(server, chance, round_number))
            if round_number % KILLED_AGAIN_EVERY == 0:
                die_while_starting(data, chance.uniform(0, 0.5))
            server, state = come_back(data, round_number)
            replay(balances, check(state, rounds[-1]))
            assert state["accounts"] == dict(balances)
        for round_number, journal in enumerate(rounds):  # and later kills took nothing away
            check(ask(server.client, "query", "bank:state", {"round": round_number}), journal)
        assert server.terminate() == 0
    finally:
        server.kill()

    seen = Counter((attempt.function, attempt.outcome) for journal in rounds for attempt in journal)
    assert all(seen[function, "ok"] for function in TRACES) and seen["bank:transfer", "refused"], seen
    assert sum(seen[function, "unknown"] for function in TRACES), "nothing was under way at any kill"
    with sqlite3.connect(data / "app.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
