# SPDX-License-Identifier: MIT
"""Links lead somewhere: between pages, to their headings, to files; in docstrings and in `llms.txt` too."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import minihttp
import storage_backends
from tests.docs.pages import PAGES, ROOT, anchors, name_of, prose

CODE = [
    *Path(minihttp.__file__).parent.rglob("*.py"),
    *Path(storage_backends.__file__).parent.rglob("*.py"),
    *(ROOT / "examples").rglob("*.py"),
]
LLMS = ROOT / "docs" / "llms.txt"


def links(text: str) -> list[str]:
    without_code = re.sub(r"`[^`\n]*`", "", text)
    return re.findall(r"\]\(([^)\s]+)\)", without_code) + re.findall(r'src="([^"]+)"', without_code)


def broken(page: Path, target: str) -> str | None:
    """What is wrong with a link of a page, if anything is."""
    path, _, anchor = target.partition("#")
    if re.match("[a-z]+:", target):
        return None
    there = (page.parent / path).resolve() if path else page
    if there.is_relative_to(ROOT / "minihttp"):  # which may be installed elsewhere
        there = Path(minihttp.__file__).parent / there.relative_to(ROOT / "minihttp")
    if not there.exists():
        return f"{name_of(page)}: {target} does not exist"
    if anchor and anchor not in anchors(there):
        return f"{name_of(page)}: {target} has no such heading"
    return None


@pytest.mark.parametrize("page", [*PAGES, LLMS], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    problems = [problem for target in links(prose(page)) if (problem := broken(page, target))]
    assert not problems, "\n".join(problems)


def test_a_broken_link_would_be_found() -> None:
    page = ROOT / "docs" / "errors.md"
    assert broken(page, "#idempotency-key") is None
    assert broken(page, "nowhere.md") and broken(page, "convex.md#nowhere") and broken(page, "#nowhere")


def test_every_page_is_listed_for_programs() -> None:
    listed = {(LLMS.parent / target).resolve() for target in links(LLMS.read_text("utf-8"))}
    there = {page.resolve() for page in (ROOT / "docs").rglob("*.md")}
    assert there <= listed, sorted(name_of(page) for page in there - listed)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert re.search(rf"(: |- ){re.escape(name)}$", navigation, re.MULTILINE), name


def test_every_example_is_linked() -> None:
    linked = "".join(page.read_text("utf-8") for page in PAGES if "docs" in page.parts)
    for path in (ROOT / "examples").iterdir():
        if path.name not in ("__init__.py", "__pycache__", "README.md"):
            assert re.search(rf"examples/{re.escape(path.name)}[/)]", linked), path.name


def test_documents_that_code_cites_are_there() -> None:
    for path in CODE:
        for cited in re.findall(r"(?<![\w/.*])((?:[\w-]+/)*[\w-]+\.md)\b", path.read_text("utf-8")):
            if re.search(rf"[/_]?{re.escape(cited)}", "spec/standard-webhooks.md hashlib.md"):
                continue  # of others
            assert (ROOT / cited).exists(), f"{path}: {cited}"


def test_what_the_reference_shows_is_there() -> None:
    shown = [
        line
        for page in (ROOT / "docs" / "reference").glob("*.md")
        for line in page.read_text("utf-8").splitlines()
        if line.startswith(":::")
    ]
    assert len(shown) > 30
    for line in shown:
        found = re.fullmatch(r"::: (minihttp[\w.]*)", line)
        assert found, f"{line}: options stand in lines of their own"
        pkgutil.resolve_name(found[1])
