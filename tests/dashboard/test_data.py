# SPDX-License-Identifier: MIT
"""Tables and documents: along an index, filtered, one changed."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from tests.dashboard.conftest import Site
from tests.dashboard.seen import first_link


def test_documents_along_an_index(site: Site) -> None:
    text = site.person.get("/_/data/items?index=by_name&eq=%22pen+1%22").text
    assert "pen 1" in text
    assert "pen 2" not in text
    lines = site.person.get("/_/data/items?format=jsonl")
    assert len(lines.text.splitlines()) == 4
    assert lines.headers["Content-Disposition"] == 'attachment; filename="items.jsonl"'
    assert site.person.get("/_/data/items?format=csv").text.startswith("_id,_creationTime,")


@pytest.mark.parametrize(
    "query", ["index=nothing", "order=sideways", "cursor=x", "field=name&is=like", "eq=%5B1%2C2%5D"]
)
def test_a_query_that_cannot_be_says_why(site: Site, query: str) -> None:
    answer = site.person.get(f"/_/data/items?{query}")
    assert 400 <= answer.status < 500
    assert 'role="alert"' in answer.text


def test_a_page_of_a_large_table_is_bounded(site: Site) -> None:
    def fill(transaction: Any) -> None:
        for n in range(1_200):
            transaction.db.insert("items", {"name": f"n{n}", "price": 1, "tags": []})

    site.app.database.write(fill)
    assert "1,000+" in site.person.get("/_/data").text
    text = site.person.get("/_/data/items").text
    assert text.count("<tr>") == 51
    following = first_link(text, "cursor=").replace("&amp;", "&")
    assert site.person.get(following).text.count("<tr>") == 51


def test_a_document_is_inserted_changed_and_deleted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "minihttp.audit")
    person = site.person
    made = person.submit(
        "/_/data/items/new",
        "/_/data/items/new",
        document='{"name": "ink", "price": 3, "count": {"$integer": "BwAAAAAAAAA="}, "tags": []}',
    )
    assert made.status == 303
    place = made.headers["Location"].partition("?")[0]
    assert f"Inserted items {place.rpartition(chr(47))[2]}." in person.get(made.headers["Location"]).text
    assert "&quot;$integer&quot;: &quot;BwAAAAAAAAA=&quot;" in person.get(place).text
    assert person.submit(place, place, document='{"name": "ink", "price": 4, "tags": []}').status == 303
    id = place.rpartition("/")[2]
    assert site.app.run_query("_app:document", id=id)["document"]["price"] == 4
    refused = person.submit(place, place, document='{"name": 1}')
    assert refused.status == 400
    assert "does not match the schema" in refused.text
    assert "{&quot;name&quot;: 1}" in refused.text  # what was written is still there
    assert person.submit(place, place, document="{").status == 400
    assert person.submit(place, f"{place}/delete").status == 303
    assert person.get(place).status == 404
    said = [record.getMessage() for record in caplog.records if record.name == "minihttp.audit"]
    assert [line.split(" request_id")[0] for line in said if "ink" not in line] == [
        f"dashboard admin key: inserted items {id}",
        f"dashboard admin key: changed items {id}",
        f"dashboard admin key: deleted items {id}",
    ]


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(site: Site) -> None:
    person = site.person
    place = first_link(person.get("/_/data/items").text, "/_/data/items/[0-9a-v]{32}")
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', person.get(place).text)
    assert seen
    mine, others = (f'{{"name": "{name}", "price": 1, "tags": []}}' for name in ("mine", "another's"))
    assert person.submit(place, place, document=others).status == 303
    refused = person.submit(place, place, document=mine, seen=seen[1])
    assert refused.status == 409
    assert "Somebody has changed this document meanwhile" in refused.text
    assert "&quot;mine&quot;" in refused.text
    id = place.rpartition("/")[2]
    assert site.app.run_query("_app:document", id=id)["document"]["name"] == "another's"


def test_who_refers_to_a_document_and_to_a_file(site: Site) -> None:
    item = site.app.run_query("_app:documents", table="orders")["page"][0]["item"]
    text = site.person.get(f"/_/data/items/{item}").text
    assert " as item</li>" in text
    assert 'href="/_/data/orders/' in text
    assert 'href="/_/data/pictures/' in text
    assert "pictures" in site.person.get("/_/files").text
    file = first_link(site.person.get("/_/files").text, "/_/files/[0-9a-v]{32}")
    assert " as file</li>" in site.person.get(file).text


def test_documents_are_filtered_by_any_field(site: Site) -> None:
    def names(query: str) -> list[str]:
        return re.findall("<td>(pen .)</td>", site.person.get(f"/_/data/items?{query}").text)

    assert names("field=name&value=pen+1") == ["pen 1"]
    assert names("field=price&is=lt&value=2&order=desc") == ["pen 2", "pen 1", "pen 0"]
    assert names("field=price&is=gt&value=5") == []
    assert "No document fits" in site.person.get("/_/data/items?field=price&is=gt&value=5").text


def test_the_frameworks_tables_show_no_credentials(site: Site) -> None:
    page = site.person.get("/_/data/_webhook_deliveries").text
    one = site.person.get(first_link(page, "/_/data/_webhook_deliveries/[0-9a-v]{32}")).text
    lines = site.person.get("/_/data/_webhook_deliveries?format=jsonl").text
    for text in (page, one, lines):
        assert "sha256=" not in text
    for text in (one, lines):
        assert "x-hub-signature-256" in text
        assert "•••masked•••" in text
    assert "Save" not in one  # they are not changed by hand
