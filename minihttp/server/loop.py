# SPDX-License-Identifier: MIT
"""The sockets of the main loop, by epoll: one is asked what it waits for only after something happened to it.

Waitress asks every connection in every poll, which with hundreds of them is most of the work. Where there is
no epoll the loop is waitress's own. Knows nothing of HTTP.
"""

from __future__ import annotations

import select
from collections import deque
from typing import Any

from waitress import wasyncore


class Sockets(dict[int, Any]):
    """The map by file descriptor into which waitress's dispatchers put themselves.

    Attributes:
        changed: called with a dispatcher that may now answer `readable` or `writable` in another way; from
            another thread, before the loop is woken.
        ready: how many sockets this poll found ready.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._waits_for: dict[int, int] = {}  # events by file descriptor, as epoll knows them
        self._new: set[int] = set()  # descriptors of this poll's connections
        self._changed: deque[Any] = deque()
        self.changed = self._changed.append
        self.ready = 0

    def __setitem__(self, descriptor: int, dispatcher: Any) -> None:
        super().__setitem__(descriptor, dispatcher)
        self._new.add(descriptor)
        self.changed(dispatcher)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        if self._waits_for.pop(descriptor, 0):
            self._epoll.unregister(descriptor)

    def poll(self, timeout_seconds: float) -> None:
        """Waits for an event at most so long, and handles those that are there."""
        while self._changed:
            self._ask(self._changed.popleft())
        happened = self._epoll.poll(timeout_seconds)
        self.ready = len(happened)
        self._new.clear()
        for descriptor, events in happened:
            dispatcher = self.get(descriptor)
            if dispatcher is not None and descriptor not in self._new:  # the event is of one that has gone
                wasyncore.readwrite(dispatcher, events)
                self.changed(dispatcher)

    def _ask(self, dispatcher: Any) -> None:
        descriptor = dispatcher._fileno
        if descriptor not in self or self[descriptor] is not dispatcher:  # closed meanwhile
            return
        events = select.EPOLLIN if dispatcher.readable() else 0
        if dispatcher.writable():
            events |= select.EPOLLOUT
        before = self._waits_for.get(descriptor, 0)
        self._waits_for[descriptor] = events
        if events == before:
            return
        if not before:
            self._epoll.register(descriptor, events)
        elif events:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.unregister(descriptor)
