# SPDX-License-Identifier: MIT
"""The rules of the command line, for every verb and every action: a new one has to stand in a table here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shell import Shell, shell
from tests.cli.test_cli import parsers

__all__ = ["shell"]

# What reads, on an app with nothing stored: the command, and whether it has something to print.
READS = {
    "check": ("check", False),
    "config": ("config", True),
    "crons": ("crons", True),
    "data": ("data items", False),
    "doctor": ("doctor", True),
    "env": ("env", True),
    "functions": ("functions", True),
    "jobs list": ("jobs list", False),
    "keys list": ("keys list", False),
    "migrate": ("migrate", False),
    "request": ("request GET /items", True),
    "routes": ("routes", True),
    "run": ("run app:count", True),
    "webhooks list": ("webhooks list", False),
}
# What changes something, or shows one thing: the command, which fails or prints what it did.
CHANGES = {
    "backup": "backup backups",
    "export": "export s.zip",
    "files copy": "files copy --from filesystem:data/files --to filesystem:elsewhere",
    "import": "import none.zip",
    "jobs cancel": "jobs cancel -y none",
    "jobs retry": "jobs retry none",
    "jobs run": "jobs run",
    "jobs show": "jobs show none",
    "keys issue": "keys issue somebody",
    "keys revoke": "keys revoke -y none",
    "move": "move -y --to sqlite:moved/app.db",
    "restore": "restore none",
    "vendor": "vendor copied --only router",
    "webhooks prune": "webhooks prune -y",
    "webhooks replay": "webhooks replay none",
    "webhooks retry": "webhooks retry -y --dead",
    "webhooks send": "webhooks send github push http://127.0.0.1:9/hook",
    "webhooks show": "webhooks show none",
    "webhooks explain": "webhooks explain none",
    "webhooks verify": "webhooks verify github --body body --headers headers",
}
# What has no `--json`, and why: docs/cli.md says it.
TEXT = {
    "completion": "prints a program for a shell",
    "init": "makes files",
    "serve": "runs; its log has --log-format json",
    "types": "prints a program",
    "worker": "runs; its log has --log-format json",
}
OWN_WORD = {"logs": "needs a server; --jsonl"}


def test_every_verb_stands_in_a_table() -> None:
    assert sorted({*READS, *CHANGES, *TEXT, *OWN_WORD}) == sorted(name for name, _ in parsers())


@pytest.mark.parametrize("name", [name for name, _ in parsers()])
def test_help_is_data_and_misuse_is_talk(shell: Shell, name: str) -> None:
    done = shell(*name.split(), "--help")
    assert done.out.startswith("usage: minihttp ") and not done.err
    done = shell(*name.split(), "--none-such", code=2)
    assert done.err.startswith("usage: minihttp ") and not done.out
    assert "\n" not in done.err.partition("error: ")[2].rstrip("\n"), "one sentence"


@pytest.mark.parametrize("name", READS)
def test_what_reads_prints_one_object_a_line_or_says_that_there_is_nothing(shell: Shell, name: str) -> None:
    shell("run", "app:count")
    command, has_something = READS[name]
    done = shell(*command.split(), "--json", code=None)
    assert done.code in (0, 1)
    for line in done.out.splitlines():
        assert isinstance(json.loads(line), dict) or name == "run"
    assert bool(done.out) == has_something
    assert has_something or done.err.count("\n") == 1, "an empty list says so on stderr"
    assert not done.err.startswith("minihttp: ") or done.code == 1
    plain = shell(*command.split(), code=None)
    assert (plain.code, bool(plain.out)) == (done.code, has_something)


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_prints_objects_or_one_sentence(shell: Shell, tmp_path: Path, name: str) -> None:
    (tmp_path / "body").write_text("{}")
    (tmp_path / "headers").write_text("X-GitHub-Event: push\n")
    shell.environ["GITHUB_WEBHOOK_SECRET"] = "a secret of sixteen bytes"
    shell("run", "app:count")
    done = shell(*CHANGES[name].split(), "--json", code=None)
    assert done.code in (0, 1), done
    assert all(isinstance(json.loads(line), dict) for line in done.out.splitlines())
    assert "Traceback" not in done.err
    if done.code == 1 and not done.out:
        assert done.err.startswith("minihttp: ") and done.err.count("\n") == 1


@pytest.mark.parametrize("name", TEXT)
def test_what_prints_no_rows_says_so_in_the_documents(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    [sentence] = [line for line in page.replace("\n  ", " ").splitlines() if "have no `--json`" in line]
    assert f"`{name}`" in sentence
