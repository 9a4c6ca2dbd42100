# SPDX-License-Identifier: MIT
"""Documents: validators, schema, transactions and queries, on any engine that fits `backend.py`; no HTTP."""
