# SPDX-License-Identifier: MIT
"""Plots as inline SVG: stacked bars and lines over time. Colours are classes of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10
from typing import NamedTuple

from .html import Safe, tag

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 400, 140, 44, 20, 10


class Series(NamedTuple):
    """What a plot shows in one colour.

    Attributes:
        name: for people, and the class of its colour.
        values: one for each step of time, the oldest first.
        said: the number beside its name.
        href: where the number leads.
    """

    name: str
    values: Sequence[float]
    said: str = ""
    href: str = ""


def _nice_maximum(value: float) -> float:
    """A round number that is at least the value: 1, 2 or 5 with zeros."""
    if value < 1e-6:
        return 1.0
    unit: float = 10.0 ** ceil(log10(value) - 1)
    return next(unit * step for step in (1, 2, 5, 10, 20) if unit * step >= value * 0.999)


def _number(value: float) -> str:
    return f"{value / 1_000:.3g}k" if value >= 1_000 else f"{value:.3g}"


def _frame(
    title: str, top: float, unit: str, marks: list[Safe], series: Sequence[Series], steps: Sequence[str]
) -> Safe:
    bottom, ago = _HEIGHT - _BOTTOM, steps[0]
    grid = [
        tag("line", x1=_LEFT, x2=_WIDTH, y1=y, y2=y, class_="grid")
        for y in (_TOP, (_TOP + bottom) / 2, bottom)
    ]
    labels = [
        tag("text", f"{_number(top)}{unit}", x=_LEFT - 6, y=_TOP + 4, class_="axis end"),
        tag("text", "0", x=_LEFT - 6, y=bottom, class_="axis end"),
        tag("text", ago, x=_LEFT, y=_HEIGHT - 3, class_="axis"),
        tag("text", "now", x=_WIDTH, y=_HEIGHT - 3, class_="axis end"),
    ]
    about = f"{title}: {', '.join(f'{each.name} {each.said}'.strip() for each in series)}"
    svg = tag(
        "svg",
        grid,
        marks,
        labels,
        _hovers(series, unit, steps),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=about,
    )
    legend = tag("ul", [tag("li", _key(each), class_=f"key {_css_name(each.name)}") for each in series])
    caption = tag("figcaption", tag("b", title), legend)
    return tag("figure", caption, svg, class_="plot")


def _key(series: Series) -> Safe:
    said = tag("b", series.said) if series.said else None
    if series.href:
        return tag("a", series.name, " ", said, href=series.href)
    return tag("span", series.name, " ", said)


def _hovers(series: Sequence[Series], unit: str, steps: Sequence[str]) -> list[Safe]:
    """For each step an invisible bar that says its numbers when the mouse is over it."""
    width = (_WIDTH - _LEFT) / len(steps)
    bars = []
    for n, step in enumerate(steps):
        said = ", ".join(f"{each.name} {_number(each.values[n])}{unit}" for each in series)
        about = tag("title", f"{step}: {said}")
        x = f"{_LEFT + n * width:.1f}"
        bars.append(tag("rect", about, x=x, y=0, width=f"{width:.1f}", height=_HEIGHT, class_="hover"))
    return bars


def _css_name(name: str) -> str:
    return "s-" + "".join(character if character.isalnum() else "-" for character in name)


def bars(title: str, series: Sequence[Series], steps: Sequence[str]) -> Safe:
    """Stacked bars, one for each step of time.

    Args:
        series: the lowest of the stack first; all as long as each other.
        steps: when each step was, such as "12:05", the oldest first.
    """
    count = len(steps)
    stacks = zip(*(each.values for each in series), strict=True)
    top = _nice_maximum(max((sum(values) for values in stacks), default=0))
    step, height = (_WIDTH - _LEFT) / count, _HEIGHT - _BOTTOM - _TOP
    marks = []
    for n in range(count):
        y = float(_HEIGHT - _BOTTOM)
        for name, values, *_ in series:
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
    return _frame(title, top, "", marks, series, steps)


def lines(title: str, series: Sequence[Series], steps: Sequence[str], unit: str = "") -> Safe:
    """Lines over time; takes what `bars` takes, and the unit of the values."""
    top = _nice_maximum(max((max(each.values, default=0) for each in series), default=0))
    height, marks = _HEIGHT - _BOTTOM - _TOP, []
    for name, values, *_ in series:
        step = (_WIDTH - _LEFT) / max(1, len(values) - 1)
        points = [
            f"{_LEFT + n * step:.1f},{_HEIGHT - _BOTTOM - value / top * height:.1f}"
            for n, value in enumerate(values)
        ]
        marks.append(tag("polyline", points=" ".join(points), class_=f"line {_css_name(name)}"))
    return _frame(title, top, unit, marks, series, steps)
