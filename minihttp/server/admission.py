# SPDX-License-Identifier: MIT
"""Who may stay connected: a table with a limit, a limit for each peer, and a reserve for probes.

When the table is full, or a peer has its share of it, a connection on which nothing happens gives way to a
new one: the one that has been idle for longest, else one whose head has been arriving for too long. Where
there is none, the new one is in the reserve: a probe is answered on it, anything else gets a 503. The reserve
is small, and its oldest connection gives way to the next. Knows no sockets.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger("minihttp.server")

RESERVE = 16
_MAX_HEAD_SECONDS = 5.0  # when there is no room: a client sends its head at once
_SEARCH_SHARE = 8  # the table is searched once for every eighth of its size of new connections
_COMPLAINT_SECONDS = 60.0  # the least time between two log lines about it


class Admission:
    """The connections of one server; used by its main loop only.

    Args:
        connections: how many there may be, besides the reserve.
        per_peer: how many one peer may have.
        is_exempt: whether a peer may have them all, as a proxy.
        active: the channels that are connected.
    """

    def __init__(
        self,
        connections: int,
        per_peer: int,
        is_exempt: Callable[[str], bool],
        active: Callable[[], Iterable[Any]],
    ) -> None:
        self.connections, self.per_peer = connections, per_peer
        self._is_exempt = is_exempt
        self._active = active
        self.count = 0
        self._peers: Counter[Any] = Counter()
        self._reserve: deque[Any] = deque()
        self._to_leave: dict[Any, deque[Any]] = {}  # by peer; None: all; the longest idle last
        self._since_search = connections
        self._next_complaint = 0.0
        self.closed = self.refused = 0

    def admit(self, peer: Any, now: float) -> bool:
        """Makes room for a connection of `peer`; False where there is none but in the reserve."""
        has_share = self._peers[peer] >= self.per_peer and not self._is_exempt(peer)
        if not has_share and self.count < self.connections:
            return True
        channel = self._find(peer if has_share else None, now)
        if channel is None:
            self.refused += 1
        else:
            self.closed += 1
            channel.will_close = True
            channel.handle_close()
        self._complain(peer, has_share, now)
        return channel is not None

    def add(self, channel: Any) -> None:
        """Counts a connection, in the reserve if it is marked so."""
        if channel.is_reserved:
            self._reserve.append(channel)
            if len(self._reserve) > RESERVE:
                self._reserve[0].handle_close()
        else:
            self.count += 1
            self._peers[channel.peer] += 1

    def remove(self, channel: Any) -> None:
        """Counts it no more."""
        if channel.is_reserved:
            if channel in self._reserve:
                self._reserve.remove(channel)
            return
        self.count -= 1
        self._peers[channel.peer] -= 1
        if not self._peers[channel.peer]:
            del self._peers[channel.peer]

    def _find(self, peer: Any, now: float) -> Any:
        """A connection that gives way, of this peer if there is one named."""
        channel = self._next_to_leave(peer, now)
        self._since_search += 1
        if channel is None and self._since_search * _SEARCH_SHARE >= self.count:
            self._since_search = 0
            self._search(now)
            channel = self._next_to_leave(peer, now)
        return channel

    def _next_to_leave(self, peer: Any, now: float) -> Any:
        candidates = self._to_leave.get(peer, deque())
        while candidates:
            channel = candidates.pop()
            if channel.connected and _seconds_without_use(channel, now):
                return channel
        return None

    def _search(self, now: float) -> None:
        unused = [(_seconds_without_use(c, now), n, c) for n, c in enumerate(self._active())]
        self._to_leave = {None: deque()}
        for seconds, _, channel in sorted(unused):
            if seconds:
                self._to_leave[None].append(channel)
                self._to_leave.setdefault(channel.peer, deque()).append(channel)

    def _complain(self, peer: Any, has_share: bool, now: float) -> None:
        if now < self._next_complaint:
            return
        self._next_complaint = now + _COMPLAINT_SECONDS
        full = f"{peer} has its {self.per_peer}" if has_share else f"all {self.connections}"
        counts = self.closed, self.refused
        log.warning("%s connections are in use; %d idle ones were closed so far, %d refused", full, *counts)


def _seconds_without_use(channel: Any, now: float) -> float:
    """How long nothing has happened on a connection: who has most leaves first. 0 if it is in use."""
    if channel.is_reserved:
        return 0.0
    if channel.is_idle or channel.lingering:
        return 1e9 + float(now - channel.active_at)
    request = channel.request
    if request is not None and not request.headers_finished and not channel.requests:
        seconds = float(now - request.began)
        return seconds if seconds > _MAX_HEAD_SECONDS else 0.0
    return 0.0
