# SPDX-License-Identifier: MIT
"""The verb `webhooks` in this process, against a live server and against its database once it has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minihttp import App
from minihttp.webhooks import github, stripe
from tests.cli.webhooks_shell import ENVIRON, SECRET, Shell, server, shell
from tests.live import ROOT, Client, live

__all__ = ["server", "shell"]


class TestSend:
    def test_samples_are_accepted_and_duplicates_known(self, shell: Shell, server: Client) -> None:
        sent = shell.rows(
            "send",
            "stripe",
            "checkout.session.completed",
            f"{server.url}/webhooks/stripe",
            "--duplicate",
            "2",
        )
        assert [row["status"] for row in sent] == [200, 200, 200]
        assert [json.loads(row["response"]) for row in sent] == [
            {"ok": True},
            *[{"ok": True, "duplicate": True}] * 2,
        ]
        assert "200" in shell("send", "github", "push", f"{server.url}/webhooks/github")

    def test_tampered_and_old_deliveries_are_refused(self, shell: Shell, server: Client) -> None:
        target = ("send", "stripe", "checkout.session.completed", f"{server.url}/webhooks/stripe")
        assert "400" in shell(*target, "--tamper", code=1)
        assert "400" in shell(*target, "--age", "900", code=1)
        refused = shell.rows("list", shell.target, "--server", server.url, "--state", "refused")
        assert [row["reason"] for row in refused] == ["too_old", "mismatch"]

    def test_a_secret_that_cannot_be_one_is_named(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(ENVIRON, "GITHUB_WEBHOOK_SECRET", " ")
        said = shell("send", "github", "push", "http://h", code=1)
        assert "GITHUB_WEBHOOK_SECRET: a webhook secret is empty or blank" in said

    def test_ones_own_data_and_secret(self, shell: Shell, server: Client, tmp_path: Path) -> None:
        (tmp_path / "event.json").write_bytes(b'{"id": "evt_mine"}')
        target = f"{server.url}/webhooks/stripe"
        shell("send", "stripe", "x", target, "--body", "event.json")
        assert shell.rows("list", shell.target, "--server", server.url)[0]["delivery"] == "evt_mine"
        shell(
            "send", "stripe", "x", target, "--body", "event.json", "--secret", "GITHUB_WEBHOOK_SECRET", code=1
        )

    def test_a_secret_in_the_place_of_its_name_is_not_printed(self, shell: Shell) -> None:
        said = shell("send", "stripe", "x", "http://h", "--secret", "whsec_abc", code=1)
        assert "--secret takes the name of an environment variable" in said and "abc" not in said

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["nobody", "x", "http://h"], "'nobody' is not a webhook provider; known are clerk"),
            (
                ["stripe", "x", "http://h"],
                "there is no sample stripe x: send your own (--body), or one of checkout.session.completed",
            ),
            (["github", "push", "ftp://h"], "'ftp://h' is not a URL such as http://"),
            (["github", "push", "http://h:99999"], "'http://h:99999' is not a URL such as http://"),
            (["github", "push", "http://[::1/x"], "is not a URL such as http://"),
            (["github", "push", "http://a b/x"], "is not a URL such as http://"),
            (["github", "push", "http://h/\N{EURO SIGN}"], "is not a URL such as http://"),
            (["github", "push", "http:///x"], "is not a URL such as http://"),
        ],
    )
    def test_misuse(self, shell: Shell, argv: list[str], message: str) -> None:
        assert message in shell("send", *argv, code=2)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (
                ["clerk", "user.created", "http://h"],
                "CLERK_WEBHOOK_SECRET is not set; --secret NAME names another",
            ),
            (
                ["github", "push", "http://127.0.0.1:1"],
                "http://127.0.0.1:1 did not answer: Connection refused\n",
            ),
            (["github", "push", "http://h", "--body", "nothing.json"], "nothing.json: No such file"),
        ],
    )
    def test_mistakes(self, shell: Shell, argv: list[str], message: str) -> None:
        assert message in shell("send", *argv, code=1)


class TestInbox:
    @pytest.fixture
    def filled(self, shell: Shell, server: Client) -> Callable[..., list[str]]:
        """One done, one dead and one refused delivery; returns the arguments that name the running server."""
        shell("send", "stripe", "checkout.session.completed", f"{server.url}/webhooks/stripe")
        shell("send", "github", "push", f"{server.url}/webhooks/github")
        shell(
            "send",
            "stripe",
            "checkout.session.completed",
            f"{server.url}/webhooks/stripe",
            "--tamper",
            code=1,
        )
        while App.from_target(shell.target).jobs.run_due():
            pass
        return lambda *argv: [*argv, shell.target, "--server", server.url]

    def test_list_and_show(self, shell: Shell, filled: Any) -> None:
        rows = shell.rows(*filled("list"))
        assert [(row["state"], row["attempts"]) for row in rows] == [("dead", 1), ("done", 1)]
        assert rows[0]["event"] == "push" and rows[0]["reason"] == "ValueError: no luck"
        assert [row["event"] for row in shell.rows(*filled("list", "--state", "done"))] == [
            "checkout.session.completed"
        ]
        [shown] = shell.rows(*filled("show", rows[0]["id"]))
        assert json.loads(shown["body"])["ref"] == "refs/heads/main"
        assert shown["headers"]["x-github-event"] == "push"
        text = shell(*filled("show", rows[0]["id"]))
        assert "state: dead" in text and '"ref":"refs/heads/main"' in text

    def test_replay_and_retry(self, shell: Shell, filled: Any) -> None:
        _, done = shell.rows(*filled("list"))
        assert "scheduled" in shell(*filled("replay", done["id"]))
        assert shell.rows(*filled("retry", "--dead")) == [{"retried": 1}]
        assert {row["state"] for row in shell.rows(*filled("list"))} == {"pending"}
        [refused] = shell.rows(*filled("list", "--state", "refused"))
        assert "there is nothing to run" in shell(*filled("replay", refused["id"]), code=1)

    def test_replay_to_another_place(self, shell: Shell, filled: Any, server: Client) -> None:
        _, done = shell.rows(*filled("list"))
        again = shell.rows(*filled("replay", done["id"]), "--to", f"{server.url}/webhooks/stripe")
        # As it came, signature and all
        assert json.loads(again[0]["response"]) == {"ok": True, "duplicate": True}

    def test_explain(self, shell: Shell, filled: Any) -> None:
        [refused] = shell.rows(*filled("list", "--state", "refused"))
        [said] = shell.rows(*filled("explain", refused["id"]))
        assert said["explanation"][0].startswith("mismatch: no configured secret")
        assert said["explanation"][1].startswith("none of the usual causes")
        done = shell.rows(*filled("list"))[1]
        assert "was not refused: it is done" in shell(*filled("explain", done["id"]))

    def test_explain_says_what_the_endpoint_said_not_what_the_signature_is(
        self, shell: Shell, filled: Any, server: Client
    ) -> None:
        """Its id is malformed, or its endpoint more strict than its provider: the signature is right."""
        body = b"{}"
        headers = github.sign(body, "the secret of the hub", id="a b", event_type="push")
        assert server.post("/webhooks/github", body, headers).status == 400
        refused = shell.rows(*filled("list", "--state", "refused"))[0]
        [said] = shell.rows(*filled("explain", refused["id"]))
        assert said["explanation"][1] == "the id of the github delivery is not 1-256 printable characters"

    def test_a_large_delivery_is_shown_whole(
        self, shell: Shell, filled: Any, server: Client, tmp_path: Path
    ) -> None:
        (tmp_path / "large").write_bytes(b'{"id": "evt_large", "filling": "%s"}' % (b"x" * 200_000))
        shell("send", "stripe", "x", f"{server.url}/webhooks/stripe", "--body", "large")
        [shown] = shell.rows(*filled("show", shell.rows(*filled("list"))[0]["id"]))
        assert shown["body"] == (tmp_path / "large").read_text()
        read_end, write_end = os.pipe()
        os.close(read_end)  # as `| head` does once it has seen enough
        command = [sys.executable, "-m", "minihttp", "webhooks", *filled("show", shown["_id"])]
        path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
        with os.fdopen(write_end, "wb") as pipe:
            done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, env=path, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_prune(self, shell: Shell, filled: Any) -> None:
        assert shell.rows(*filled("prune")) == [{"removed": 0}]

    def test_what_does_not_exist(self, shell: Shell, filled: Any) -> None:
        said = shell(*filled("show", "nonsense"), code=1)
        assert said == "minihttp: there is no webhook delivery 'nonsense'\n"

    def test_a_server_that_is_not_there_or_does_not_know_the_key(
        self, shell: Shell, server: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "did not answer" in shell("list", shell.target, "--server", "http://127.0.0.1:1", code=1)
        monkeypatch.setitem(ENVIRON, "MINIHTTP_ADMIN_KEY", "wrong")
        assert "not valid" in shell("list", shell.target, "--server", server.url, code=1)
        monkeypatch.delitem(ENVIRON, "MINIHTTP_ADMIN_KEY")
        assert "MINIHTTP_ADMIN_KEY must be set" in shell("list", shell.target, "--server", server.url, code=1)

    def test_without_a_server_the_database_itself(self, shell: Shell) -> None:
        with live(App.from_target(shell.target)) as client:
            shell("send", "stripe", "checkout.session.completed", f"{client.url}/webhooks/stripe")
        App.from_target(shell.target).close()
        [row] = shell.rows("list", shell.target)
        assert row["state"] == "pending"
        assert shell.rows("prune", shell.target) == [{"removed": 0}]


class TestVerify:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[str]:
        body = b'{"id": "evt_1", "type": "charge.succeeded"}'
        headers = stripe.sign(body, SECRET, timestamp=1_700_000_000)
        (tmp_path / "body").write_bytes(body)
        (tmp_path / "changed").write_bytes(body + b"\n")
        (tmp_path / "headers").write_text(
            "HTTP/1.1 200 OK\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        )
        (tmp_path / "headers.json").write_text(json.dumps(headers))
        return ["verify", "stripe", "--headers", "headers"]

    def test_a_genuine_one(self, shell: Shell, files: list[str]) -> None:
        for name in ("headers", "headers.json"):
            [row] = shell.rows(*files[:-1], name, "--body", "body", "--any-age")
            assert row == {
                "verdict": "ok",
                "id": "evt_1",
                "event": "charge.succeeded",
                "timestamp": 1_700_000_000,
            }

    def test_others_are_explained(self, shell: Shell, files: list[str]) -> None:
        assert "too_old: the signature is right, but old" in shell(*files, "--body", "body", code=1)
        said = shell(*files, "--body", "changed", "--any-age", code=1)
        assert "something added one" in said
        wrong = [*files, "--body", "body", "--any-age", "--secret", "GITHUB_WEBHOOK_SECRET"]
        assert "none of the usual causes" in shell(*wrong, code=1)

    def test_a_public_key_is_a_secret(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "body").write_bytes(b'{"test": 2432232314}')
        signature = "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        lines = ["webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: 1614265330"]
        (tmp_path / "headers").write_text("\n".join([*lines, f"webhook-signature: v1a,{signature}"]))
        argv = ["verify", "standard-webhooks-v1a", "--headers", "headers", "--body", "body", "--any-age"]
        [row] = shell.rows(*argv)
        assert (row["verdict"], row["id"]) == ("ok", "msg_p5jXN8AQM9LWM0D4loKWxJek")

    def test_mistakes(self, shell: Shell, files: list[str], tmp_path: Path) -> None:
        (tmp_path / "headers").write_text("{no json")
        assert "headers is not a JSON object" in shell(*files, "--body", "body", code=1)
