# SPDX-License-Identifier: MIT
"""`worker`: runs the jobs of an app in a process of their own, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import signal
import threading

from .. import logs
from ..errors import ConfigurationError
from ..watchdog import watchdog
from . import load_app, settings_of
from ._admin import in_use_means
from ._settings import WORKER_FLAGS

HELP = "run the scheduled functions of an app, without serving it"
ARGUMENTS = ("target", *WORKER_FLAGS)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    logs.configure(settings["log_format"], settings["log_level"])
    app, stop = load_app(args), threading.Event()
    if app.options.workers < 1:
        raise ConfigurationError("a worker needs workers: this app has 0, give it --workers 4")

    def on_signal(number: int, frame: object) -> None:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)  # a second signal ends the process at once
        stop.set()

    watchdog.end_frozen_process(app.limits.frozen_cpu_seconds)
    with in_use_means(
        "the server there runs its own jobs (serve --workers N). A worker of its own needs a database that"
        " several processes may use, such as postgresql://…"
    ):
        app.open()
    try:
        app.start()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, on_signal)
        logs.say(f"worker: {app.options.workers} jobs side by side, until SIGTERM")
        stop.wait()
    finally:
        app.close(settings["grace"])
    return 0
