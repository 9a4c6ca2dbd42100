# SPDX-License-Identifier: MIT
"""What one process hears of the others: a hint that there is news, the server's time, signs of life.

One thread with one connection. A hint is a wake-up only (LISTEN and NOTIFY) and never part of a mutation: a
NOTIFY makes commits queue behind one lock. Not a backend itself.
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from .postgresql_connection import Connection, Fault
from .postgresql_token import Token

log = logging.getLogger("minihttp.storage")

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.01  # between two hints
_RETRY_SECONDS = 1.0


class Clock:
    """The server's time minus ours: of the last measurements the one with the shortest round trip."""

    def __init__(self) -> None:
        self._measured: deque[tuple[float, float]] = deque([(float("inf"), 0.0)], maxlen=8)
        self.offset_seconds = 0.0

    def measure(self, connection: Connection) -> None:
        before, started = time.time(), monotonic()
        [(text,)] = connection.rows("SELECT extract(epoch FROM clock_timestamp())")
        seconds = monotonic() - started
        self._measured.append((seconds, float(text or 0) - before - seconds / 2))
        self.offset_seconds = min(self._measured)[1]


class Watch:
    """The thread; it starts with the first `listen` or `notify`.

    Args:
        connect: makes a connection.
        hears: whether it is not behind a pooler, which would give hints to anybody.
        clock: is measured at each look.
        tokens: of the writers of this process, whose rows show that it lives.
        look: is called every second or so, also while the server does not answer.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        hears: bool,
        clock: Clock,
        tokens: list[Token],
        look: Callable[[], object],
    ) -> None:
        self._connect = connect
        self._hears = hears
        self._clock = clock
        self._tokens = tokens
        self._look = look
        self._calls: list[Callable[[], object]] = []
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closed = False
        self._told = False  # a hint is to be given
        self._wakes, self._woken = -1, -1  # the ends of a pipe

    @property
    def looks(self) -> bool:
        """Whether it has begun."""
        return self._thread is not None

    def listen(self, call: Callable[[], object]) -> None:
        self._calls.append(call)
        self._start()

    def notify(self) -> None:
        if not self._told and self._hears:
            self._told = True
            self._start()
            with suppress(OSError):  # it is full: the thread is awake
                os.write(self._wakes, b"\0")

    def close(self) -> None:
        self._closed = True
        thread = self._thread
        if thread is not None:
            with suppress(OSError):
                os.write(self._wakes, b"\0")
            if thread is not threading.current_thread():
                thread.join(5.0)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                self._woken, self._wakes = os.pipe()
                os.set_blocking(self._wakes, False)
                os.set_blocking(self._woken, False)
                self._thread = threading.Thread(target=self._run, name="postgresql-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while not self._closed:
                try:
                    self._watch(self._connect())
                except Fault as fault:
                    self._look()
                    log.info("the database tells no news: %s", fault.strerror)
                    self._wait(None, _RETRY_SECONDS)
        finally:
            os.close(self._woken)
            os.close(self._wakes)

    def _watch(self, connection: Connection) -> None:
        try:
            if self._hears:
                connection.run(
                    "DO $$ BEGIN EXECUTE 'LISTEN ' || quote_ident('minihttp_' || current_schema()); END $$"
                )
            self._call()  # what was told while nobody listened
            while not self._closed:
                self._look()
                self._clock.measure(connection)
                for token in self._tokens:
                    token.beat(connection)
                end = monotonic() + _LOOK_SECONDS
                while not self._closed and monotonic() < end:
                    self._wait(connection, end - monotonic())
                    if self._told:
                        self._told = False
                        connection.run("SELECT pg_notify('minihttp_' || current_schema(), '')")
                        time.sleep(_PAUSE_SECONDS)
                    if connection.notified():
                        self._call()
        finally:
            connection.close()

    def _wait(self, connection: Connection | None, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection.socket, selectors.EVENT_READ)
            selector.select(max(0.0, seconds))
        with suppress(OSError):
            os.read(self._woken, 4_096)

    def _call(self) -> None:
        for call in list(self._calls):
            try:
                call()
            except Exception:
                log.exception("news could not be told")
