# SPDX-License-Identifier: MIT
"""A copy of a database in use."""

from __future__ import annotations

import os
import threading
from contextlib import closing

from storage_backends.sqlite import DocumentBackend
from tests.storage_backends.sqlite_world import backend, path

__all__ = ["backend", "path"]


def test_a_copy_made_while_others_write_is_whole_and_of_one_moment(
    backend: DocumentBackend, path: str
) -> None:
    """Each transaction changes two documents; a copy never has one of the two."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            text = f'{{"n":{number},"x":"{"x" * 4000}"}}'
            backend.write(
                lambda w, text=text, number=number: [
                    w.put(f"{place}{number % 50:02}", "t", text, [(1, b"%d" % number)], ()) for place in "ab"
                ],
                None,
            )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            target = f"{path}.copy{number}"
            steps: list[int] = []
            with closing(DocumentBackend.Copy(path)) as snapshot:
                snapshot.write(target, lambda done, total, steps=steps: steps.append(done))
            copy = DocumentBackend(target)
            with copy.read(None) as reading:
                first = [json for _, json in reading.scan("a", "b", reverse=False, limit=100)]
                second = [json for _, json in reading.scan("b", "c", reverse=False, limit=100)]
            assert first == second
            assert steps
            copy.close()
    finally:
        stop.set()
        thread.join()
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".partial")]
