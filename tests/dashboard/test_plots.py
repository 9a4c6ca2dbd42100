# SPDX-License-Identifier: MIT
"""Plots are well-formed SVG whose marks stay inside of it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.dashboard.plots import bars, lines

values = st.lists(st.floats(0, 1e9), min_size=1, max_size=80)


@given(values, st.sampled_from([bars, lines]))
def test_marks_stay_inside(found: list[float], plot: object) -> None:
    markup = plot("Title <b>", [("2xx", found), ("5xx", found)], "1 h")  # type: ignore[operator]
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
    assert f">{label}<" in bars("t", [("jobs", [0, top])], "1 h")


def test_it_says_what_it_shows() -> None:
    markup = lines("Time to answer", [("p50", [1]), ("p95", [2])], "24 h", " ms")
    assert 'aria-label="Time to answer"' in markup
    assert "24 h ago" in markup
    assert re.findall(r'<li class="key [^"]+">(\w+)', markup) == ["p50", "p95"]
