# SPDX-License-Identifier: MIT
"""Plots as inline SVG: stacked bars and lines over time. Colours are classes of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

from .html import Safe, tag

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 400, 140, 56, 20, 10
Series = tuple[str, Sequence[float]]
"""(name, a value for each step of time, the oldest first); the name is also the class of its colour."""


def _nice_maximum(value: float) -> float:
    """A round number that is at least the value: 1, 2 or 5 with zeros."""
    if value < 1e-6:
        return 1.0
    unit: float = 10.0 ** ceil(log10(value) - 1)
    return next(unit * step for step in (1, 2, 5, 10, 20) if unit * step >= value * 0.999)


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value / 1_000:g}k"
    return f"{value:g}"


def _frame(title: str, top: float, unit: str, span: str, marks: list[Safe], names: Sequence[str]) -> Safe:
    bottom = _HEIGHT - _BOTTOM
    grid = [
        tag("line", x1=_LEFT, x2=_WIDTH, y1=y, y2=y, class_="grid")
        for y in (_TOP, (_TOP + bottom) / 2, bottom)
    ]
    labels = [
        tag("text", f"{_number(top)}{unit}", x=_LEFT - 6, y=_TOP + 4, class_="axis end"),
        tag("text", "0", x=_LEFT - 6, y=bottom, class_="axis end"),
        tag("text", f"{span} ago", x=_LEFT, y=_HEIGHT - 3, class_="axis"),
        tag("text", "now", x=_WIDTH, y=_HEIGHT - 3, class_="axis end"),
    ]
    svg = tag(
        "svg",
        tag("title", title),
        grid,
        marks,
        labels,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=title,
    )
    legend = tag("ul", [tag("li", name, class_=f"key {_css_name(name)}") for name in names], class_="legend")
    return tag("figure", tag("figcaption", title, legend), svg, class_="plot")


def _css_name(name: str) -> str:
    return "s-" + "".join(character if character.isalnum() else "-" for character in name)


def bars(title: str, series: Sequence[Series], span: str) -> Safe:
    """Stacked bars, one for each step of time.

    Args:
        series: the lowest of the stack first; all as long as each other.
        span: how far back the plot reaches, such as "1 h".
    """
    count = len(series[0][1])
    top = _nice_maximum(max((sum(values) for values in zip(*(v for _, v in series), strict=True)), default=0))
    step, height = (_WIDTH - _LEFT) / count, _HEIGHT - _BOTTOM - _TOP
    marks = []
    for n in range(count):
        y = float(_HEIGHT - _BOTTOM)
        for name, values in series:
            size = values[n] / top * height
            if size:
                y -= size
                x, width = _LEFT + n * step, max(1.0, step - 1)
                marks.append(
                    tag(
                        "rect",
                        x=f"{x:.1f}",
                        y=f"{y:.1f}",
                        width=f"{width:.1f}",
                        height=f"{size:.1f}",
                        class_=_css_name(name),
                    )
                )
    return _frame(title, top, "", span, marks, [name for name, _ in series])


def lines(title: str, series: Sequence[Series], span: str, unit: str = "") -> Safe:
    """Lines over time; takes what `bars` takes, and the unit of the values."""
    top = _nice_maximum(max((max(values, default=0) for _, values in series), default=0))
    height, marks = _HEIGHT - _BOTTOM - _TOP, []
    for name, values in series:
        step = (_WIDTH - _LEFT) / max(1, len(values) - 1)
        points = [
            f"{_LEFT + n * step:.1f},{_HEIGHT - _BOTTOM - value / top * height:.1f}"
            for n, value in enumerate(values)
        ]
        marks.append(tag("polyline", points=" ".join(points), class_=f"line {_css_name(name)}"))
    return _frame(title, top, unit, span, marks, [name for name, _ in series])
