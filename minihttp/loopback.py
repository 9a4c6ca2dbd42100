# SPDX-License-Identifier: MIT
"""Hosts by their text: what only this machine reaches, and the network that a peer counts for."""

from __future__ import annotations

LOCAL_NAMES = frozenset(("localhost", "::1"))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host: `localhost`, ::1 or an address of 127.0.0.0/8 (RFC 6890)."""
    parts = host.split(".")
    return host in LOCAL_NAMES or (
        len(parts) == 4 and parts[0] == "127" and all(part.isdigit() and int(part) < 256 for part in parts)
    )


def network_of(host: str) -> str:
    """Whom a peer counts for: an IPv4 address, or the half of an IPv6 address that names a network, since a
    host there has billions of addresses.
    """
    if "." in host:  # ::ffff:192.0.2.1
        return host.rpartition(":")[2]
    return ":".join(host.partition("%")[0].partition("::")[0].split(":")[:4])
