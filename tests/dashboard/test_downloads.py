# SPDX-License-Identifier: MIT
"""All documents of a query as JSON lines or CSV, also where there is more than one page of them."""

from __future__ import annotations

import csv
import json
from typing import Any

from minihttp.dashboard.downloads import shown_document
from minihttp.dashboard.pieces import MASK
from tests.dashboard.conftest import Site


def test_all_that_fit_is_downloaded(site: Site) -> None:
    def fill(transaction: Any) -> None:
        for n in range(1_200):
            transaction.db.insert("items", {"name": f"=n{n}", "price": n, "tags": []})

    site.app.database.write(fill)
    query = "field=price&is=gte&value=100"
    assert len(site.person.get(f"/_/data/items?format=jsonl&{query}").text.splitlines()) == 1_100
    rows = site.person.get(f"/_/data/items?format=csv&{query}").text.splitlines()
    assert rows[0] == "_id,_creationTime,name,price,count,tags"
    assert len(rows) == 1_101
    assert "'=n1199" in rows[-1]  # no formula


def test_fields_that_come_late_are_in_the_last_column(site: Site) -> None:
    """Of a table without a schema the columns are those of the first page."""

    def fill(transaction: Any) -> None:
        for n in range(600):
            transaction.system.insert("_leases", {"name": f"n{n}", **({"late": n} if n == 599 else {})})

    site.app.database.write(fill)
    rows = list(csv.reader(site.person.get("/_/data/_leases?format=csv").text.splitlines()))
    assert rows[0][-1] == "other fields"
    assert json.loads(rows[-1][-1]) == {"late": 599}
    assert {len(row) for row in rows} == {len(rows[0])}


def test_credentials_of_the_frameworks_rows() -> None:
    row = {"headers": {"x-signature": "abc", "accept": "*/*"}, "n": 1}
    assert shown_document("_webhook_refusals", row)["headers"] == {"x-signature": MASK, "accept": "*/*"}
    assert shown_document("items", row) is row
