# SPDX-License-Identifier: MIT
"""Blobs in Google Cloud Storage: `gs://bucket/prefix`. Not tested against the service itself.

Credentials are found as `obstore` finds them, which is in the environment first.
"""

from __future__ import annotations

from obstore.store import GCSStore

from . import object_store


class FileBackend(object_store.FileBackend):
    """Blobs below `//bucket/prefix`; the options are `redirect` and obstore's own."""

    client = GCSStore
