# SPDX-License-Identifier: MIT
"""Files: `ctx.storage`, their metadata rows, upload URLs and serving, on any engine that fits `backend.py`."""
