# SPDX-License-Identifier: MIT
"""Loggers are those of `logging`, which an app that answers requests well does not import."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from minihttp.loggers import get_logger


def test_lines_go_to_the_logger_of_that_name(caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger("minihttp.test")
    with caplog.at_level(logging.INFO, "minihttp.test"):
        log.info("%s of %d", "one", 2)
    assert caplog.record_tuples == [("minihttp.test", logging.INFO, "one of 2")]
    log.setLevel("ERROR")
    assert logging.getLogger("minihttp.test").level == logging.ERROR == log.level


def test_a_request_that_goes_well_imports_no_logging() -> None:
    program = """
import io, sys
from minihttp import App, HttpRouter, Response

http = HttpRouter()
http.route("/x", "GET", lambda ctx, request: Response(request.path))
environ = {
    "REQUEST_METHOD": "GET", "PATH_INFO": sys.argv[1], "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
}
print(b"".join(App(http)(environ, lambda status, headers: None)), "logging" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program, "/x"], capture_output=True, text=True, check=True)
    assert ran.stdout == "b'/x' False\n", ran.stderr
