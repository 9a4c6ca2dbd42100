# SPDX-License-Identifier: MIT
"""Draws the main tables of RESULTS.md as small SVG plots.

    python benchmarks/plots.py [FOLDER]

FOLDER is docs/images/plots if absent. Each plot is one column of one table: a bar for each row, ours in
colour. The tables are the only source: after a new run, put its table into RESULTS.md and call this again (a
test compares). Only the standard library.
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images" / "plots"


class Plot(NamedTuple):
    """One plot.

    Attributes:
        file: its name, without `.svg`.
        heading: of the section that the table stands in.
        table: what the first cell of the table's head begins with.
        column: whose numbers are drawn.
        title: above it; what is better is said there.
        across: whether the bars are the cells of the row `column`, not the rows of a column.
    """

    file: str
    heading: str
    table: str
    column: str
    title: str
    across: bool = False


PLOTS = [
    Plot("http-rate", "Serving over HTTP", "requests/s", "64 conn.", "GET by 64 clients: requests a second"),
    Plot(
        "http-processor", "Serving over HTTP", "processor time", "64 conn.",
        "GET by 64 clients: µs of processor a request (less is better)",
    ),
    Plot("dispatch", "In-process dispatch", "calls/s", "parameter", "Route with a parameter: calls a second"),
    Plot(
        "documents", "Documents over HTTP", "requests/s", "create 64",
        "Documents created over HTTP by 64 clients, a second", across=True,
    ),
    Plot(
        "webhooks", "Webhooks", "requests/s", "64 conn.",
        "Signed webhooks verified and stored, 64 connections, a second",
    ),
    Plot("jobs", "Job queues", "jobs/s", "take+ack", "Jobs taken and done, a second"),
    Plot("multipart", "Multipart", "MiB/s", "64 MiB file", "Multipart, 64 MiB file: MiB a second"),
    Plot("footprint", "Footprint", "", "served, MiB RSS", "Memory when serving, MiB (less is better)"),
]  # fmt: skip

_WIDTH, _LABEL_WIDTH, _BAR_WIDTH, _ROW_HEIGHT, _TOP = 680, 250, 340, 22, 34
_STYLE = (
    "text{font:13px sans-serif;fill:#1f2328}.title{font-weight:600}.bar{fill:#b6bcc4}.ours{fill:#2563c9}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#59616b}.ours{fill:#5b9bff}}"
)


def tables(text: str, heading: str) -> list[list[list[str]]]:
    """The tables of a section, each a list of rows of cells; the first row is the head."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"(?:^\|.*\n)+", section + "\n", re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in block.splitlines()
            if "---" not in line
        ]
        for block in found
    ]


def bars(text: str, plot: Plot) -> list[tuple[str, float]]:
    """(label, number) of each bar: the first number in its cell; a cell without one is left out."""
    head, *rows = next(
        table
        for table in tables(text, plot.heading)
        if table[0][0].startswith(plot.table)
        and plot.column in (table[0] if not plot.across else [r[0] for r in table])
    )
    if plot.across:
        cells = list(zip(head[1:], next(row for row in rows if row[0] == plot.column)[1:], strict=True))
        cells = [
            (label, cell) for label, cell in cells if "/" not in label
        ]  # a ratio is none of the things compared
    else:
        at = head.index(plot.column)
        cells = [(row[0], row[at]) for row in rows if " / " not in row[0]]
    numbers = [(label, re.search(r"[0-9][0-9,]*(?:\.[0-9]+)?", cell)) for label, cell in cells]
    return [(label.replace("`", ""), float(found[0].replace(",", ""))) for label, found in numbers if found]


def svg(title: str, found: list[tuple[str, float]]) -> str:
    most = max(number for _, number in found)
    height = _TOP + _ROW_HEIGHT * len(found) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
        f' height="{height}" role="img"><title>{escape(title)}</title><style>{_STYLE}</style>',
        f'<text class="title" x="8" y="20">{escape(title)}</text>',
    ]
    for number, (label, value) in enumerate(found):
        y = _TOP + _ROW_HEIGHT * number
        width = max(1, round(_BAR_WIDTH * value / most))
        kind = "bar ours" if "minihttp" in label else "bar"
        shown = f"{value:,.0f}" if value >= 100 else f"{value:g}"
        parts += [
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 14}" text-anchor="end">{escape(label[:38])}</text>',
            f'<rect class="{kind}" x="{_LABEL_WIDTH}" y="{y + 2}" width="{width}" height="16"/>',
            f'<text x="{_LABEL_WIDTH + width + 6}" y="{y + 14}">{shown}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def draw(folder: Path) -> None:
    """Write all plots into a folder."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    folder.mkdir(parents=True, exist_ok=True)
    for plot in PLOTS:
        (folder / f"{plot.file}.svg").write_text(svg(plot.title, bars(text, plot)))


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
