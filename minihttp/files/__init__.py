# SPDX-License-Identifier: MIT
"""Files: `ctx.storage`, metadata documents, upload URLs and serving, on any engine that fits `backend.py`."""
