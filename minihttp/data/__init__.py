# SPDX-License-Identifier: MIT
"""Documents: validators, schema, transactions and queries on any engine that fits `backend.py`. Knows nothing of HTTP."""
