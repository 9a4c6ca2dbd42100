# SPDX-License-Identifier: MIT
"""`keys`: issued once, listed without the key, revoked for good."""

from __future__ import annotations

import pytest

from minihttp import App
from tests.cli.shell import Shell, shell

__all__ = ["shell"]


def test_the_life_of_a_key(shell: Shell) -> None:
    assert shell("keys", "list").err == "no keys have been issued\n"
    done = shell("keys", "issue", "laptop of Ada", "--value", '{"scopes": ["read"]}')
    key = done.out.strip()
    assert key.startswith("mk_") and "shown once" in done.err
    [row] = shell("keys", "list", "--json").rows
    assert row["name"] == "laptop of Ada" and row["data"] == {"scopes": ["read"]}
    listed = shell("keys", "list").out
    assert key not in listed and key[:11] in listed
    shell("keys", "revoke", row["_id"])
    assert "revokedAt" in shell("keys", "list", "--json").rows[0]
    assert "there is no key" in shell("keys", "revoke", row["_id"], code=1).err
    assert "--value takes JSON" in shell("keys", "issue", "x", "--value", "{", code=2).err


def test_of_a_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from minihttp import key_store

    with shell.served(monkeypatch) as url:
        [row] = shell("keys", "issue", "ci", "--json", "--server", url).rows
        shell("keys", "revoke", row["_id"], "--server", url)
    with App(data=str(shell.folder / "data"), workers=0) as app:
        assert key_store.validate(app, row["key"]) is None
