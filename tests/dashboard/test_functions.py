# SPDX-License-Identifier: MIT
"""Functions: one is run from its page."""

from __future__ import annotations

from tests.dashboard.conftest import Person, Site


def _another(site: Site) -> str:
    """The cookie of somebody else who is signed in."""
    return f"{site.installed.sessions.cookie_name}={site.installed.sessions.new()}"


def test_a_function_is_run(site: Site) -> None:
    page = "/_/functions/shop%3Acreate"
    fields = {"text:name": "ink", "json:price": "2.5", "json:isGift": "true"}
    done = site.person.submit(page, page, **fields)
    assert done.status == 303
    for _ in range(2):  # also when the page is loaded again
        answer = site.person.get(done.headers["Location"])
        assert "creating ink" in answer.text
        assert "Took" in answer.text
    assert "Took" not in Person(site.url, _another(site)).get(done.headers["Location"]).text
    assert site.app.run_query("shop:total") == 9
    refused = site.person.submit_and_follow(page, page, **{"text:name": "ink", "json:price": '"x"'})
    assert "It failed" in refused.text
    broken = site.person.submit(page, page, **{"text:name": "ink", "json:price": "{"})
    assert (broken.status, "price: " in broken.text, 'value="ink"' in broken.text) == (400, True, True)
    failing = "/_/functions/shop%3Afail"
    assert "ValueError" in site.person.submit_and_follow(failing, failing, args='{"why": "so"}').text
    who = "/_/functions/shop%3Awho"
    shown = site.person.submit_and_follow(who, who, args="{}", identity='{"subject": "Ada"}')
    assert "&quot;Ada&quot;" in shown.text
