# SPDX-License-Identifier: MIT
"""The durable webhook inbox: verified deliveries are stored once, and their handlers run as jobs."""
