# SPDX-License-Identifier: MIT
"""API keys: issued, shown once, revoked."""

from __future__ import annotations

import re

from minihttp import key_store
from tests.dashboard.conftest import Site


def test_a_key_is_issued_shown_once_and_revoked(site: Site) -> None:
    made = site.person.submit("/_/keys", "/_/keys", name="laptop of <Ada>", data='{"scopes": ["read"]}')
    assert made.status == 303
    shown = site.person.get(made.headers["Location"]).text
    key = re.search("mk_[A-Za-z0-9_-]{30,}", shown)
    assert key
    row = key_store.validate(site.app, key[0])
    assert row is not None
    assert row["data"] == {"scopes": ["read"]}
    assert key[0] not in site.person.get(made.headers["Location"]).text
    assert "laptop of &lt;Ada&gt;" in site.person.get("/_/keys").text
    assert site.person.submit("/_/keys", f"/_/keys/{row['_id']}/revoke").status == 303
    assert key_store.validate(site.app, key[0]) is None
    assert site.person.submit("/_/keys", f"/_/keys/{row['_id']}/revoke").status == 404
    assert site.person.submit("/_/keys", "/_/keys", name=" ").status == 400
    digests = {row["digest"] for row in site.app.run_query("_app:documents", table="_api_keys")["page"]}
    assert not any(digest in site.person.get("/_/data/_api_keys").text for digest in digests)
