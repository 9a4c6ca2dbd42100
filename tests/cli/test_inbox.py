# SPDX-License-Identifier: MIT
"""`webhooks inbox`: deliveries of a provider without an app, kept and forwarded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from minihttp import RetryPolicy, cli
from minihttp.cli._http import ReceiverBusy
from minihttp.limits import MIB
from minihttp.webhooks import github, stripe
from tests.cli.webhooks_shell import ENVIRON, SECRET, Shell, server, shell
from tests.live import Process

__all__ = ["server", "shell"]


class TestWithoutAnApp:
    @pytest.fixture
    def receiver(self) -> Iterator[tuple[str, list[tuple[bytes, dict[str, str]]]]]:
        """Another server: 503 at first, then 200; and what it got."""
        got: list[tuple[bytes, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((body, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(200 if len(got) > 1 else 503)
                self.send_header("Retry-After", "0")
                self.end_headers()
                arrived.release()

            def log_message(self, *_: Any) -> None: ...

        arrived = threading.Semaphore(0)
        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        got_two = lambda: arrived.acquire(timeout=60) and arrived.acquire(timeout=60)
        yield f"http://127.0.0.1:{server.server_port}/there", got, got_two  # type: ignore[misc]
        server.shutdown()
        thread.join()
        server.server_close()

    def test_an_inbox_that_forwards(self, shell: Shell, receiver: Any, tmp_path: Path) -> None:
        url, got, got_two = receiver
        process = Process(cli.INBOX_TARGET, tmp_path / "data", "--forward", url)
        try:
            body = b'{"id": "evt_1", "type": "x", "spacing":  "odd"}'
            headers = {**stripe.sign(body, SECRET), "Accept": "*/*; q=0.5", "X-Trace": "t", "Cookie": "a=b"}
            foreign = {"X-User": "admin", "X-Original-URL": "/", "X-Http-Method-Override": "DELETE"}
            assert process.client.post("/webhooks/stripe", body, {**headers, **foreign}).status == 200
            assert process.client.post("/webhooks/clerk", body).status == 404  # its secret is not set
            assert got_two()
            assert "--server URL asks the server that runs" in shell("list", "--data", "data", code=1)
        finally:
            assert process.terminate() == 0
        assert [b for b, _ in got] == [body, body]
        for _, fields in got:
            assert {name: fields.get(name.lower()) for name in headers} == {**headers, "Cookie": None}
            assert not {name.lower() for name in foreign} & set(fields)
        [row] = shell.rows("list", "--data", "data")
        assert (row["state"], row["attempts"]) == ("done", 2)

    def test_an_inbox_takes_what_github_may_send(self, shell: Shell, tmp_path: Path) -> None:
        body = json.dumps({"ref": "x" * (21 * MIB)}).encode()  # more than other routes take
        process = Process(cli.INBOX_TARGET, tmp_path / "data")
        try:
            signed = github.sign(body, ENVIRON["GITHUB_WEBHOOK_SECRET"], event_type="push")
            assert process.client.post("/webhooks/github", body, signed).status == 200
            assert (
                process.client.post("/webhooks/stripe", body[: 2 * MIB], stripe.sign(b"", SECRET)).status
                == 413
            )
        finally:
            assert process.terminate() == 0
        [row] = shell.rows("list", "--data", "data")
        assert row["event"] == "push"

    def test_looking_into_the_inbox_needs_no_secret(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ENVIRON:
            monkeypatch.delenv(name)
        assert cli.main(["webhooks", "list", shell.target], {}) == 0
        assert caplog.text == ""

    def test_no_arguments_in_an_empty_folder(self, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.inbox_target({"STRIPE_WEBHOOK_SECRET": "x"}) == cli.INBOX_TARGET
        assert cli.inbox_target({"OTHER_SECRET": "x"}) is None
        assert cli.main(["--forward", "http://h"], {}) == 1
        assert "none of GITHUB_WEBHOOK_SECRET" in capsys.readouterr().err

    @pytest.mark.parametrize("asked_seconds", [0, 10_000])
    def test_a_receiver_that_says_when_is_not_asked_sooner_nor_more_often(self, asked_seconds: int) -> None:
        policy = RetryPolicy(8, 2, 4, 0)
        pauses = [ReceiverBusy("503", asked_seconds).delay_seconds(n, policy) for n in (1, 2, 8)]
        assert pauses == [max(pause, asked_seconds) for pause in (2, 8, 7200)]

    def test_forwarding_is_not_for_apps(self, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["serve", shell.target, "--forward", "http://h"], dict(ENVIRON)) == 2
        assert "--forward is for the ready-made inbox" in capsys.readouterr().err
