# SPDX-License-Identifier: MIT
"""The head of a response. What tasks do with a client is in `test_channel` and `test_suspended`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from waitress.task import Task

from minihttp.server.task import ApplicationTask


class Surroundings:
    """What a task needs of a channel and a server to make a head."""

    draining, ident = False, "minihttp"

    def __init__(self) -> None:
        self.server = self.adj = self


class Request:
    """What a task needs of a request to make a head."""

    command, is_unread = "GET", False

    def __init__(self, version: str, connection: str) -> None:
        self.version, self.connection = version, connection
        self.headers = {"CONNECTION": connection} if connection else {}


response_fields = st.just(("content-length", "3")) | st.tuples(
    st.sampled_from(["etag", "ETag", "X-a-b", "Date", "Server", "Via", "Set-Cookie", "x"]),
    st.sampled_from(["", "1", "a b", "ä"]),
)


@given(
    st.lists(response_fields), st.sampled_from(["1.0", "1.1"]), st.sampled_from(["", "keep-alive", "close"])
)
def test_the_head_of_a_response_is_as_waitress_makes_it(
    headers: list[tuple[str, str]], version: str, connection: str
) -> None:
    heads = []
    for make in (Task.build_response_header, ApplicationTask.build_response_header):
        request = Request(version, connection)
        task = ApplicationTask(Surroundings(), request)
        task.start_time = 1_700_000_000.5
        task.response_headers, task.content_length = list(headers), 3
        heads.append((make(task), task.close_on_finish))
    assert heads[0] == heads[1]


def head(
    status: str, *headers: tuple[str, str], version: str = "1.1", connection: str = ""
) -> tuple[bytes, Any]:
    """A head without a Content-Length of the server's, and the task that made it."""
    task = ApplicationTask(Surroundings(), Request(version, connection))
    task.start_response(status, list(headers))
    task.content_length = None
    return task.build_response_header(), task


def test_a_response_of_unknown_length_is_chunked_and_leaves_the_connection_open() -> None:
    data, task = head("200 OK")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in data and b"Connection" not in data
    assert task.chunked_response and not task.close_on_finish


def test_a_status_without_a_body_has_no_length_and_no_chunks() -> None:
    for status in ("204 No Content", "304 Not Modified"):
        data, task = head(status, ("content-length", "0"), ("etag", "x"))
        assert (
            b"Content-Length" not in data and b"Transfer-Encoding" not in data and b"\r\nEtag: x\r\n" in data
        )
        assert not task.chunked_response and not task.close_on_finish


def test_an_http_1_0_client_is_told_that_the_connection_closes_where_the_length_is_not_known() -> None:
    data, task = head("200 OK", version="1.0", connection="keep-alive")
    assert (
        data.count(b"\r\nConnection: close\r\n") == 1 and task.close_on_finish and not task.chunked_response
    )
