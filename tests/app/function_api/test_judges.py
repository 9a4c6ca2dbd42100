# SPDX-License-Identifier: MIT
"""Convex's own HTTP clients, from npm and from PyPI, unmodified, against a running server."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.app.function_api.conftest import ADMIN_KEY
from tests.live import ROOT, Client

NODE_MODULES = Path(os.environ.get("CONVEX_NODE_MODULES", ROOT / "node_modules"))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_MODULES / "convex").is_dir(), reason="npm install convex (CONVEX_NODE_MODULES)")
def test_the_npm_client(client: Client) -> None:
    program = Path(__file__).with_name("judge.mjs")
    command = ["node", str(program), client.url, ADMIN_KEY, str(NODE_MODULES)]
    judged = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert judged.returncode == 0, judged.stderr
    assert len(json.loads(judged.stdout)) == 10


def test_the_pypi_client(client: Client) -> None:
    convex = pytest.importorskip("convex", reason="pip install convex")
    http_client = pytest.importorskip("convex.http_client")
    judge = http_client.ConvexHttpClient(client.url)
    sent = judge.mutation("messages:send", {"body": {"n": 1.5}, "author": "ada"})
    [message] = judge.query("messages:list_messages", {"author": "ada"})
    assert (message["_id"], message["body"]) == (sent, {"n": 1.5})
    values: list[Any] = [
        *(None, True, False, 1.5, -0.0, 0.0, 1e300, math.inf, -math.inf, "", "é😀", "a\0b", b"", b"\x00\xff"),
        *([], [[1.0]], {}, {"a": {"b": [None]}}, convex.ConvexInt64(2**63 - 1), convex.ConvexInt64(-(2**63))),
    ]
    for value in values:
        back = judge.query("messages:echo", {"value": value})
        assert (back, type(back)) == (value, type(value))
        assert judge.action("messages:act", {"value": value}) == value
    assert math.isnan(judge.query("messages:echo", {"value": math.nan}))
    assert judge.query("messages:echo", {"value": 1}) == 1.0

    with pytest.raises(convex.ConvexError) as refused:
        judge.mutation("messages:refuse", {"data": "sold out"})
    assert refused.value.data == "sold out"
    with pytest.raises(convex.ConvexError) as refused:
        judge.mutation("messages:refuse", {"data": {"code": "SOLD_OUT"}})
    assert refused.value.data == {"code": "SOLD_OUT"}
    with pytest.raises(http_client.ConvexExecutionError, match="Could not find public function"):
        judge.query("messages:secret")
    with pytest.raises(
        http_client.ConvexExecutionError, match=r"^\[Request ID: [0-9a-f]{16}\] Server Error$"
    ):
        judge.query("messages:crash")
    judge.set_admin_auth("wrong")
    with pytest.raises(Exception, match="401 InvalidAuthHeader"):
        judge.query("messages:secret")
    judge.set_admin_auth(ADMIN_KEY)
    assert judge.query("messages:secret") == "only for the admin"
