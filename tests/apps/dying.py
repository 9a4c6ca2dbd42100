# SPDX-License-Identifier: MIT
"""An app whose process is killed at one place of its own code, or whose files may not grow.

`DIE_AT=call:sqlite_tables.py:commit:20` is SIGKILL when a thread other than the main one calls `commit` of
that file for the 20th time; `return:` is when it returns. `MAX_FILE_BYTES` is the limit of every file.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import threading
from typing import Any

from minihttp import App, HttpRouter, Schema, Table, internal_mutation, mutation, v
from minihttp.webhooks import github

_PAUSE_SECONDS = 0.3  # before the kill: an answer that was given too early gets out
TEXT = v.optional(v.string())
schema = Schema(notes=Table({"key": v.string(), "text": TEXT}))
http = HttpRouter()


@mutation(args={"key": v.string(), "text": TEXT})
def note(ctx: Any, key: str, text: str | None = None) -> None:
    """Writes one row for each call."""
    ctx.db.insert("notes", {"key": key, "text": text})


@internal_mutation
def on_event(ctx: Any, delivery: Any) -> None:
    note(ctx, delivery["id"])


http.mutation("/notes", note, status=201)
http.webhook("/hook", github.provider(secret="GITHUB_WEBHOOK_SECRET"), handler=on_event)
app = App(http, schema=schema, modules=[__name__])


def _die_at(event: str, file: str, function: str, count: str) -> None:
    seen = itertools.count(1)

    def hook(frame: Any, what: str, argument: object) -> None:
        code = frame.f_code
        is_there = what == event and code.co_name == function and code.co_filename.endswith(f"/{file}")
        if is_there and next(seen) == int(count):
            threading.Event().wait(_PAUSE_SECONDS)
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(hook)


if "DIE_AT" in os.environ:
    _die_at(*os.environ["DIE_AT"].split(":"))
if "MAX_FILE_BYTES" in os.environ:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["MAX_FILE_BYTES"]), hard))
