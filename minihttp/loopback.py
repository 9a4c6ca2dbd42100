# SPDX-License-Identifier: MIT
"""What only this machine reaches."""

from __future__ import annotations

LOCAL_NAMES = frozenset(("localhost", "::1"))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host: `localhost`, ::1 or an address of 127.0.0.0/8 (RFC 6890)."""
    parts = host.split(".")
    return host in LOCAL_NAMES or (
        len(parts) == 4 and parts[0] == "127" and all(part.isdigit() and int(part) < 256 for part in parts)
    )
