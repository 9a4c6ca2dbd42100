# SPDX-License-Identifier: MIT
"""Every page of an app with very much in it reads no more than a page: rows are counted, not seconds.

The 1,000,000 documents are written below minihttp, straight into SQLite, with the entries of their index.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import webtest

from minihttp import App
from minihttp.dashboard import install
from minihttp.data import ids
from minihttp.jobs.store import new_row
from minihttp.values import index_key
from storage_backends.sqlite_tables import Reading
from tests.dashboard.conftest import KEY, make_app

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
MILLION, JOBS = 1_000_000, 10_000
_MAX_ROWS = 2_500  # that any page may read
PAGES = (
    *("", "?span=day", "data", "data?system=1", "functions", "files", "jobs", "jobs?state=failed", "crons"),
    *(
        "data/items",
        "data/items?order=desc",
        "data/items?index=by_name&eq=n999999",
        "webhooks",
        "logs",
        "keys",
    ),
    "data/items?field=price&is=gt&value=5000000",
    "jobs?state=failed&name=shop:tidy",
)


def ids_of(count: int) -> Iterator[str]:
    tag = ids.table_tag("items")
    for n in range(count):
        yield tag + ids.time_text(1_700_000_000_000_000 + n) + "0" * 15


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Any]]:
    """The app, and somebody who is signed in."""
    folder = str(tmp_path_factory.mktemp("large") / "data")
    with make_app(folder, workers=0) as app:
        item = app.run_mutation("shop:create", name="the one", price=0)
        app.run_mutation("_app:insert_document", table="orders", document={"item": item})
        _fail_jobs(app, JOBS)
        index = app.database.read(
            lambda transaction: transaction.catalog.user.named("items").stored[0].number
        )
    _write_documents(Path(folder, "app.db"), index)
    app = make_app(folder, workers=0)
    assert install(app, "write") is not None
    with app:
        client = webtest.TestApp(app)
        client.post("/_/login", {"key": KEY}, headers={"Origin": "http://localhost"}, status=303)
        yield app, client


def _fail_jobs(app: App, count: int) -> None:
    store = app.jobs.store

    def write(transaction: Any) -> None:
        for n in range(count):
            row = new_row("shop:fail", {"why": f"reason {n}"}, "mutation", store.now_ms())
            id = store.add(transaction, row)["_id"]
            error = f"ValueError: reason {n}\n" + '  File "shop.py", line 1, in fail\n' * 20
            store.finish(transaction, {**row, "_id": id}, "failed", error=error)

    app.database.write(write)


def _write_documents(path: Path, index: int) -> None:
    every = list(ids_of(MILLION))
    text = '{"name":"n%d","price":%d,"tags":[]}'
    documents = ((id, "items", text % (n, n)) for n, id in enumerate(every))
    entries = ((index, index_key([f"n{n}"]), id) for n, id in enumerate(every))
    with closing(sqlite3.connect(path)) as database:
        database.executemany("INSERT INTO documents VALUES (?, ?, ?)", documents)
        database.executemany("INSERT INTO entries VALUES (?, ?, ?)", entries)
        database.commit()


@pytest.fixture
def rows(large: tuple[App, Any], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each look of the app into the engine gives."""
    seen: list[int] = []

    def noting(name: str) -> Any:
        look = getattr(Reading, name)

        def noted(*args: Any, **options: Any) -> Any:
            found = look(*args, **options)
            seen.append(found if isinstance(found, int) else 1 if name == "get" else len(found))
            return found

        return noted

    for name in ("get", "scan", "scan_index", "count"):
        monkeypatch.setattr(Reading, name, noting(name))
    return seen


@pytest.mark.parametrize("page", PAGES)
def test_a_page_reads_no_more_than_it_shows(large: tuple[App, Any], rows: list[int], page: str) -> None:
    _, client = large
    text = client.get(f"/_/{page}").text
    assert "<h1>" in text
    assert sum(rows) <= _MAX_ROWS, page
    assert max(rows, default=0) <= 1_001  # tables are counted to 1,000


def test_a_document_and_who_refers_to_it(large: tuple[App, Any], rows: list[int]) -> None:
    _, client = large
    first = re.search('href="(/_/data/items/[0-9a-v]{32})"', client.get("/_/data/items?order=desc").text)
    assert first
    rows.clear()
    assert " as item</li>" in client.get(first[1]).text
    assert sum(rows) <= _MAX_ROWS


def test_counts_are_capped(large: tuple[App, Any]) -> None:
    _, client = large
    assert ">1,000+<" in client.get("/_/data").text
    assert ">100+<" in client.get("/_/").text


def test_the_last_of_a_million_is_found(large: tuple[App, Any]) -> None:
    _, client = large
    assert ">n999999<" in client.get("/_/data/items?index=by_name&eq=n999999").text
    text = client.get("/_/data/items").text
    for n in range(3):
        assert f">n{n * 50}<" in text
        following = re.search('href="([^"]+cursor=[^"]+)"', text)
        assert following
        text = client.get(following[1].replace("&amp;", "&")).text


def test_ten_thousand_failed_jobs_are_paged_to_the_oldest(large: tuple[App, Any]) -> None:
    _, client = large
    seen: list[str] = []
    link = "/_/jobs?state=failed"
    for _ in range(200):
        text = client.get(link).text
        seen += re.findall(r"ValueError: (reason \d+)", text)
        following = re.search('href="([^"]+cursor=[^"]+)"', text)
        if following is None:
            break
        link = following[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == JOBS


def test_one_of_ten_thousand_is_run_again(large: tuple[App, Any]) -> None:
    app, client = large
    job = re.search('href="(/_/jobs/[0-9a-v]{32})"', client.get("/_/jobs?state=failed").text)
    assert job
    form = client.get(job[1]).forms
    page = next(each for each in form.values() if each.action.endswith("/retry"))
    done = page.submit(headers={"Origin": "http://localhost"}, status=303)
    assert "Ran job " in client.get(done.headers["Location"]).text
    assert app.jobs.run_due() == 1
