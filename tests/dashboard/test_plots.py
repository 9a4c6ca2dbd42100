# SPDX-License-Identifier: MIT
"""Plots are well-formed SVG whose marks stay inside of it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.dashboard.plots import Series, bars, lines

values = st.lists(st.floats(0, 1e9), min_size=1, max_size=80)


@given(values, st.sampled_from([bars, lines]))
def test_marks_stay_inside(found: list[float], plot: object) -> None:
    steps = [f"12:{n:02}" for n in range(len(found))]
    markup = plot("Title <b>", [Series("2xx", found), Series("5xx", found)], steps)  # type: ignore[operator]
    figure = ElementTree.fromstring(markup)
    svg = figure.find("svg")
    assert svg is not None
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    for rect in svg.iter("rect"):
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width + 1
        assert -1 <= y <= y + h <= height
    for line in svg.iter("polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width + 0.1
            assert -1 <= y <= height


@pytest.mark.parametrize(
    ("top", "label"), [(0, "1"), (3, "5"), (9, "10"), (12, "20"), (999, "1k"), (0.4, "0.5")]
)
def test_the_axis_is_round(top: float, label: str) -> None:
    assert f">{label}<" in bars("t", [Series("jobs", [0, top])], ["1", "2"])


def test_it_says_what_it_shows() -> None:
    series = [Series("p50", [1, 3], "3 ms", "/_/logs"), Series("p95", [2, 4])]
    markup = lines("Time to answer", series, ["12:00", "12:01"], " ms")
    assert 'aria-label="Time to answer: p50 3 ms, p95"' in markup
    assert ">12:00</text>" in markup
    assert '<a href="/_/logs">p50 <b>3 ms</b></a>' in markup
    assert re.findall(r"<title>([^<]+)", markup) == ["12:00: p50 1 ms, p95 2 ms", "12:01: p50 3 ms, p95 4 ms"]
