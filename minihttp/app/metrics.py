# SPDX-License-Identifier: MIT
"""Counts of requests, and other numbers, as Prometheus text (exposition format 0.0.4), written by hand."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..logs import Served

# Prometheus's own choice of buckets
_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Any other method is a stranger's word, and each would be a new series.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

Sample = tuple[str, dict[str, str], float]  # suffix of the name, labels, value
Gauge = tuple[str, str, list[Sample]]  # name, help, samples


class Metrics:
    """Counts requests by method, route and status, and how long they took by route; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = {}
        # Per route: counts of each bucket; [sum]
        self._seconds: dict[str, tuple[list[int], list[float]]] = {}
        self._started = time.time()

    def record(self, served: Served) -> None:
        """Counts one answered request."""
        route = served.route or ""
        key = (served.method if served.method in _METHODS else "other", route, served.status)
        with self._lock:
            self._requests[key] = self._requests.get(key, 0) + 1
            if route not in self._seconds:
                self._seconds[route] = ([0] * (len(_BUCKETS_SECONDS) + 1), [0.0])
            counts, total = self._seconds[route]
            counts[bisect_left(_BUCKETS_SECONDS, served.seconds)] += 1
            total[0] += served.seconds

    def text(self, gauges: Iterable[Gauge] = ()) -> str:
        """Everything counted, and `gauges`, in Prometheus text."""
        with self._lock:
            requests = dict(self._requests)
            seconds = {route: (list(counts), total[0]) for route, (counts, total) in self._seconds.items()}
        lines = _family(
            "minihttp_requests_total",
            "counter",
            "Requests answered.",
            [
                ("", {"method": m, "route": r, "status": str(s)}, n)
                for (m, r, s), n in sorted(requests.items())
            ],
        )
        histograms = [sample for route in sorted(seconds) for sample in _histogram(route, *seconds[route])]
        lines += _family("minihttp_request_seconds", "histogram", "Time to answer a request.", histograms)
        started: Gauge = (
            "process_start_time_seconds",
            "Start of the process in Unix seconds.",
            [("", {}, self._started)],
        )
        for name, about, samples in (started, *gauges):
            lines += _family(name, "gauge", about, samples)
        return "\n".join(lines) + "\n"


def _histogram(route: str, counts: list[int], total: float) -> Iterator[Sample]:
    so_far = 0
    for bound, count in zip((*map(str, _BUCKETS_SECONDS), "+Inf"), counts, strict=True):
        so_far += count
        yield "_bucket", {"route": route, "le": bound}, so_far
    yield "_sum", {"route": route}, total
    yield "_count", {"route": route}, so_far


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> list[str]:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for suffix, labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{suffix}{{{inside}}} {value:.12g}" if inside else f"{name}{suffix} {value:.12g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
