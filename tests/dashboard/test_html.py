# SPDX-License-Identifier: MIT
"""Markup by type: whatever is not Safe is shown as text."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from minihttp.dashboard.html import Safe, escape, join, tag


class Seen(HTMLParser):
    """What a browser makes of markup: elements, attributes and text."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


visible = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))


@given(visible, visible)
def test_text_and_attributes_come_back_as_they_were(text: str, title: str) -> None:
    seen = Seen(tag("p", text, tag("b", "x"), title=title))
    assert seen.elements == ["p", "b"]
    assert seen.attributes == [("title", title)]
    assert seen.text == f"{text}x"


def test_the_usual_attacks_are_text() -> None:
    for text in (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</textarea><script>",
        "&lt;",
    ):
        seen = Seen(tag("textarea", text, placeholder=text))
        assert seen.elements == ["textarea"]
        assert seen.attributes == [("placeholder", text)]


def test_attributes() -> None:
    assert tag("input", class_="a", aria_label="b", required=True, disabled=False, value=None) == (
        '<input class="a" aria-label="b" required>'
    )
    assert tag("input", name="x", value=0) == '<input name="x" value="0">'


def test_children() -> None:
    assert tag("p", None, 1, ["a", [Safe("<b>"), None]]) == "<p>1a<b></p>"
    assert join([]) == ""
    assert escape(Safe("<")) == "<"
    assert escape("\0") == "\ufffd"
