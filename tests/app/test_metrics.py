# SPDX-License-Identifier: MIT
"""What is counted, and how it is written."""

from __future__ import annotations

import re
import threading

from minihttp.app.metrics import Metrics
from minihttp.logs import Served

SERVED = Served(1.0, "GET", "/a/{id}", "/a/7", 200, 0.004, 42, "id", "192.0.2.1", True)
SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [0-9.e+-]+')


def test_requests_and_their_time() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.004, 0.005, 99.0):
        metrics.record(SERVED._replace(seconds=seconds))
    metrics.record(SERVED._replace(status=500, route=None, method="BREW"))
    lines = metrics.text([("jobs_pending", "Jobs.", [("", {}, 3)])]).splitlines()
    assert 'minihttp_requests_total{method="GET",route="/a/{id}",status="200"} 4' in lines
    assert 'minihttp_requests_total{method="other",route="",status="500"} 1' in lines
    assert 'minihttp_request_seconds_bucket{route="/a/{id}",le="0.001"} 1' in lines
    assert 'minihttp_request_seconds_bucket{route="/a/{id}",le="0.005"} 3' in lines
    assert 'minihttp_request_seconds_bucket{route="/a/{id}",le="10.0"} 3' in lines
    assert 'minihttp_request_seconds_bucket{route="/a/{id}",le="+Inf"} 4' in lines
    assert 'minihttp_request_seconds_sum{route="/a/{id}"} 99.0095' in lines
    assert 'minihttp_request_seconds_count{route="/a/{id}"} 4' in lines
    assert "jobs_pending 3" in lines


def test_every_line_is_valid_exposition_text() -> None:
    metrics = Metrics()
    metrics.record(SERVED._replace(route='/"\\\n{x}'))
    text = metrics.text()
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line), line


def test_threads_lose_no_count() -> None:
    metrics = Metrics()
    threads = [
        threading.Thread(target=lambda: [metrics.record(SERVED) for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 'minihttp_requests_total{method="GET",route="/a/{id}",status="200"} 2000' in metrics.text()
