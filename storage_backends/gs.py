# SPDX-License-Identifier: MIT
"""Blobs in Google Cloud Storage: `gs://bucket/prefix`. Not tested against the service itself.

Credentials are found as `obstore` finds them, which is in the environment first.
"""

from __future__ import annotations

from typing import Any

from obstore.store import GCSStore

from . import object_store


def _connect(bucket: str, prefix: str, options: Any, settings: dict[str, Any]) -> GCSStore:
    return GCSStore(bucket, prefix=prefix or None, config=options, **settings)


class FileBackend(object_store.FileBackend):
    """Blobs below `//bucket/prefix`; the options are `redirect` and obstore's own."""

    def __init__(self, location: str) -> None:
        super().__init__(location, _connect)
