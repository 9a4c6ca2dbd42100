# SPDX-License-Identifier: MIT
"""What pages are made with: links to single things, secrets masked, what cannot be undone."""

from __future__ import annotations

import http.client
import json
import logging
import re
from urllib.parse import quote

import webtest

from minihttp import key_store
from minihttp.webhooks import github
from tests.dashboard.conftest import HOSTILE, KEY, SECRET, Site
from tests.dashboard.seen import PATHS, first_link
from tests.dashboard.test_html import Seen


def test_pages_lead_to_single_things(site: Site) -> None:
    for page, pattern, wanted in (
        ("data/items", "/_/data/items/[0-9a-v]{32}", "Validator"),
        ("data/orders", "/_/data/orders/[0-9a-v]{32}", "item: items "),
        ("functions", "/_/functions/shop%3Acreate", "Make one item."),
        ("files", "/_/files/[0-9a-v]{32}", "SHA-256"),
        ("webhooks", "/_/webhooks/[0-9a-v]{32}", "x-github-event"),
        ("webhooks?state=refused", "/_/webhooks/[0-9a-v]{32}", "Why it was refused"),
    ):
        link = first_link(site.person.get(f"/_/{page}").text, pattern)
        answer = site.person.get(link)
        assert (answer.status, wanted.lower() in answer.text.lower()) == (200, True), link
        assert "<script" not in answer.text


def test_secrets_of_the_app_are_masked_wherever_they_are(site: Site) -> None:
    id = site.app.run_mutation("shop:create", name=f"about {SECRET}", price=1)
    logging.getLogger("shop").warning("the secret is %s, the key %s", SECRET, KEY)
    for path in ("data/items?order=desc", f"data/items/{id}", "logs"):
        text = site.person.get(f"/_/{path}").text
        assert "•••masked•••" in text, path
        assert SECRET not in text
        assert KEY not in text
    place = f"/_/data/items/{id}"
    form = {"document": '{"name": "about •••masked•••", "price": 2, "tags": []}'}
    assert site.person.submit(place, place, **form).status == 400
    assert site.app.run_query("_app:document", id=id)["document"]["price"] == 1


def test_what_a_stranger_sends_is_inert_wherever_it_is(site: Site) -> None:
    """In paths, headers, event types, ids, payloads, file types, names, errors and log lines."""
    body = json.dumps({"id": HOSTILE, HOSTILE: [HOSTILE]}).encode()
    headers = github.sign(body, SECRET, event_type=HOSTILE)
    headers |= {"Content-Type": "application/json", "User-Agent": HOSTILE, "Host": "localhost"}
    client = webtest.TestApp(site.app)
    client.post("/webhooks/github", body, headers=headers)
    client.post("/webhooks/github", body + b" ", headers=headers, status=400)
    port = int(site.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest("GET", f"/{HOSTILE.replace(' ', '%20')}")
    connection.putheader("User-Agent", HOSTILE)
    connection.endheaders()
    connection.getresponse().read()
    connection.close()
    key_store.issue(site.app, HOSTILE, data={HOSTILE: HOSTILE})
    site.app.jobs.scheduler(None, None).run_after(0, "shop:fail", why=HOSTILE)
    site.app.jobs.run_due()
    pages = [
        *PATHS,
        "keys",
        "logs?level=debug",
        f"logs?text={quote(HOSTILE)}",
        f"data/items?field={quote(HOSTILE)}",
    ]
    pages += [
        f"data/items?eq={quote(HOSTILE)}&index=by_name",
        f"jobs?name={quote(HOSTILE)}",
        quote(HOSTILE, safe=""),
    ]
    for page in ("data/items", "files", "jobs", "webhooks", "webhooks?state=refused"):
        found = re.findall(
            'href="/_/((?:data/items|files|jobs|webhooks)/[0-9a-v]{32})"', site.person.get(f"/_/{page}").text
        )
        pages += found[:3]
    shown = 0
    for page in pages:
        seen = Seen(site.person.get(f"/_/{page}").text)
        assert not {"script", "img", "iframe", "object", "embed", "style", "base"} & set(seen.elements), page
        assert [name for name, _ in seen.attributes if name.startswith("on") or name == "style"] == [], page
        links = [str(value) for name, value in seen.attributes if name in ("href", "action")]
        assert all(link.startswith(("/_/", "#", "data:,")) for link in links), page
        shown += "<script>" in seen.text
    assert shown > 12


def test_what_cannot_be_undone_asks_first(site: Site) -> None:
    """The button is behind another one, which says what will be."""
    link = first_link(site.person.get("/_/data/items").text, "/_/data/items/[0-9a-v]{32}")
    text = site.person.get(link).text
    assert re.search(
        '<details class="sure"><summary[^>]*>Delete this document…</summary>.*for good.*</details>', text
    )
