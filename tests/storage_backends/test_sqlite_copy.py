# SPDX-License-Identifier: MIT
"""A copy of a database in use."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from itertools import pairwise

from storage_backends.sqlite import DocumentBackend
from tests.contracts.documents import put
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


def test_it_is_written_and_synced_in_small_steps(backend: DocumentBackend, path: str) -> None:
    """A COMMIT waits at most for what one step has left to the file system."""
    for number in range(60):
        put(backend, f"d{number:02}", "x" * 100_000)
    steps = [0]
    with closing(DocumentBackend.Copy(path)) as snapshot:
        snapshot.write(f"{path}.copy", lambda done, total: steps.append(done))
    assert len(steps) > 5 and max(b - a for a, b in pairwise(steps)) <= 256
    assert (os.stat(f"{path}.copy").st_mode & 0o777) == 0o600
