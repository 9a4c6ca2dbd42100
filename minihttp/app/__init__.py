# SPDX-License-Identifier: MIT
"""The app: everything put together behind one WSGI callable (`wsgi.py`)."""
