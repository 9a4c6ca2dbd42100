# SPDX-License-Identifier: MIT
"""SECURITY.md says of each bound and each heading of ASVS which test shows it: the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
ROWS = [
    line
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| bytes", "| heading"))
]
NAMED = sorted(set(re.findall(r"`(tests/[^`]*)`", TEXT)))


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_is_named_exists(name: str) -> None:
    file, _, function = name.partition("::")
    assert (ROOT / file).is_file(), f"there is no file {file}"
    if function:
        assert re.search(rf"^ *def {function}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), name


def test_every_row_names_a_test() -> None:
    assert len(ROWS) > 40
    assert [row for row in ROWS if "::test_" not in row.rpartition("|")[0].rpartition("|")[2]] == []


def test_the_headings_are_those_of_the_standard_and_in_its_order() -> None:
    headings = [
        tuple(map(int, number.split("."))) for number in re.findall(r"^\| V([0-9.]+)", TEXT, re.MULTILINE)
    ]
    assert headings == sorted(set(headings)) and {chapter for chapter, _ in headings} >= {
        *range(1, 10),
        11,
        12,
        13,
        14,
        15,
        16,
    }
