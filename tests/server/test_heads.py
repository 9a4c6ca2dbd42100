# SPDX-License-Identifier: MIT
"""Heads that are known from a response before. What a task makes of one is in `test_task` and `test_lean`."""

from __future__ import annotations

import pytest

from minihttp.server.heads import Head, head_of

FIELDS = [("content-type", "text/plain"), ("content-length", "3")]


def test_the_same_fields_are_spelled_once_a_second() -> None:
    head = head_of("200 OK", list(FIELDS))
    assert head_of("200 OK", list(FIELDS)) is head
    first, same, later = head.at(0, "me"), head.at(0, "me"), head.at(1, "me")
    assert first is same and first != later
    assert later == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\nServer: me\r\n\r\n"
    )


def test_other_fields_are_another_head() -> None:
    lengths = [head_of("200 OK", [("Content-Length", str(n))]).at(0, "me") for n in range(300)]
    assert len(set(lengths)) == 300
    assert head_of("201 Created", FIELDS).at(0, "me") != head_of("200 OK", FIELDS).at(0, "me")


def test_those_of_long_ago_and_large_ones_are_not_kept() -> None:
    head, large = head_of("200 OK", FIELDS), [("Set-Cookie", "x" * 2_000)]
    for n in range(300):
        head_of("200 OK", [("Etag", str(n))])
    assert head_of("200 OK", FIELDS) is not head
    assert head_of("200 OK", large) is not head_of("200 OK", large)


@pytest.mark.parametrize(
    ("status", "name", "value"),
    [
        ("200 OK", "X-A", "1\r\nX-B: 2"),
        ("200 OK", "X\n", ""),
        ("200\r\n", "X-A", "1"),
        ("200 OK", "Content-Length", "x"),
    ],
)
def test_what_cannot_be_sent_is_refused_every_time(status: str, name: str, value: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError):
            head_of(status, [(name, value)])
        with pytest.raises(AssertionError, match="connection is a header of the connection"):
            head_of("200 OK", [*FIELDS, ("connection", "close")])


def test_which_responses_have_a_body_and_say_its_length() -> None:
    facts = {status: Head(status, FIELDS) for status in ("100 Go on", "200 OK", "204 No Content", "304 Same")}
    assert [status[:3] for status, head in facts.items() if head.has_body] == ["200"]
    assert facts["200 OK"].is_whole and not facts["304 Same"].is_whole
    assert not Head("200 OK", FIELDS[:1]).is_whole


def test_pairs_may_be_lists() -> None:
    assert b"\r\nX-A: 1\r\n" in head_of("200 OK", [["x-a", "1"]]).at(0, "me")  # type: ignore[list-item]
