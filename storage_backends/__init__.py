# SPDX-License-Identifier: MIT
"""Storage engines, one file each, found by the scheme of a URL (`sqlite:data/app.db`,
`filesystem:data/files`).

A file offers `DocumentBackend`, `FileBackend`, or both, and fits the Protocols of `minihttp/data/backend.py`
and `minihttp/files/backend.py` by shape. It imports the standard library and at most its one driver.
"""
