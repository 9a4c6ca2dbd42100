# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest

from minihttp.errors import ConfigurationError
from minihttp.settings import read_env_file


def test_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# comment\n\nA=1\nexport B = \"two words\"\nC='x # y'  \nD=plain # comment\nE=\nF=a=b#c\n"
    )
    assert read_env_file(str(path)) == {
        "A": "1", "B": "two words", "C": "x # y", "D": "plain", "E": "", "F": "a=b#c",
    }  # fmt: skip
    assert read_env_file(str(tmp_path / "none")) == {}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('KEY="a" # note', "a"),
        ("KEY='a'# note", "a"),
        ('KEY="a # b" # it\'s "c"', "a # b"),
        ('KEY = "" # none', ""),
        ("KEY=   # fill in later", ""),
        ("KEY= # x", ""),
        ("KEY=#b", "#b"),
        ("KEY=a#b", "a#b"),
        ("KEY=a # b", "a"),
        ("KEY=it's", "it's"),
        ('KEY=say "hi"', 'say "hi"'),
        ('KEY="a"b"', 'a"b'),
        ('KEY="C:\\tmp\\"', "C:\\tmp\\"),
        ("export KEY=' a '", " a "),
    ],
)
def test_comments_and_quotes_in_an_env_file(tmp_path: Path, line: str, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text(line + "\n")
    assert read_env_file(str(path)) == {"KEY": value}


@pytest.mark.parametrize("line", ['KEY="abc', "KEY='abc # note", 'KEY="', "KEY='a\"", 'KEY="a" b', "KEY = '"])
def test_a_quote_that_is_not_closed_is_an_error_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"\.env:2: the value of KEY begins with a quote") as caught:
        read_env_file(str(path))
    assert "abc" not in str(caught.value), "it may be a secret"


def test_an_env_file_from_windows(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfA=1\r\nB=2\r\n")
    assert read_env_file(str(path)) == {"A": "1", "B": "2"}


@pytest.mark.parametrize("line", ["A=\0", "hello", "1A=2", "A B=1", "=1"])
def test_a_line_of_an_env_file_that_is_none(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigurationError, match=r":2: a line must be NAME=value"):
        read_env_file(str(path))
