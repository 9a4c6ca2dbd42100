# SPDX-License-Identifier: MIT
"""The pages of the documentation, and the code in them, as tests read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.relative_to(ROOT).as_posix()
)
_FENCE = re.compile(r"^( *)(```+)([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w/.-]+\.(?:py|toml|env))\b")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: the first word after the fence, "" for none.
        code: its text, without the indentation of the fence.
        line: where it begins on its page.
    """

    language: str
    code: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that it shows: what its first line says, as `# shop/routes.py`."""
        found = _FILE.match(self.code)
        return found[1] if found else None


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        indent, _, words, code = found.groups()
        if indent:
            code = re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        yield Block(words.split()[0] if words.split() else "", code, text.count("\n", 0, found.start()) + 1)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and MkDocs make them."""
    found = set()
    for title in re.findall(r"^#+ +(.*?) *#*$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title.replace("`", "").replace("*", ""))
        found.add(re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-"))
    return found
