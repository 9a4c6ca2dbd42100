# SPDX-License-Identifier: MIT
"""Starts on several machines that would lose files or mix up times are refused, and say what to do."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from minihttp import App, HttpRouter
from minihttp.data.database import Database
from minihttp.errors import ConfigurationError, DataDirectoryError
from tests.postgresql_server import postgresql, schema_for


@pytest.fixture
def data(tmp_path: Path) -> str:
    return "postgresql:" + postgresql().location(schema_for(tmp_path))


@pytest.mark.sqlite  # the suites on PostgreSQL keep their files beside each test
def test_shared_documents_with_the_files_of_one_machine(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"name a file store, such as --files s3://bucket"):
        App(HttpRouter(), data=data, workers=0).open()
    with App(HttpRouter(), data=data, files=f"filesystem:{tmp_path}/files", workers=0) as app:
        assert app.database.shared  # somebody has said that it is the only machine


@pytest.mark.parametrize(
    ("offset_seconds", "said"), [(6.0, "6.0 s behind"), (-5.5, "5.5 s ahead of"), (0.7, "0.7 s behind")]
)
def test_a_clock_that_is_wrong(
    data: str,
    offset_seconds: float,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from storage_backends.postgresql import DocumentBackend

    class Machine(DocumentBackend):
        def clock_offset(self) -> float:
            return super().clock_offset() + offset_seconds

    backend = Machine(data.partition(":")[2])
    try:
        if abs(offset_seconds) > 5:
            with pytest.raises(DataDirectoryError, match=f"the clock of this machine is {said}"):
                Database(backend)
        else:
            with caplog.at_level(logging.WARNING):
                database = Database(backend)
            assert f"the clock of this machine is {said}" in caplog.text
            assert abs(database.clock() - time.time() - offset_seconds) < 0.4
    finally:
        backend.close()


def test_a_password_is_in_no_message(data: str) -> None:
    place = data.replace("//minihttp@", "//minihttp:very-secret@").replace("/minihttp?", "/nowhere?")
    with pytest.raises(DataDirectoryError) as refused:
        App(HttpRouter(), data=place, files="sqlite::memory:", workers=0).open()
    assert "very-secret" not in str(refused.value)
    assert "does not exist" in str(refused.value)
