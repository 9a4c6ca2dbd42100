# SPDX-License-Identifier: MIT
"""The listening socket, how many connections there are descriptors for, and what a peer has taken.

A port in use is a `ConfigurationError` that names the process which holds it, where /proc tells. Knows
nothing of HTTP.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from math import inf

from ..errors import ConfigurationError

_REASONS = {errno.EADDRNOTAVAIL: "this machine has no such address"}  # plainer than the system's
_TCP_INFO_BYTES = 128  # of linux/tcp.h's tcp_info, up to and with tcpi_bytes_acked
_FIRST_LISTEN_FD = 3
# The database, files being served, logs, the loop's own pipe, and the reserve for probes
_SPARE_DESCRIPTORS = 48
_SHARE_OF_FILES = 8  # one of so many descriptors at least is for bodies too large for memory


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to `host` and `port` (0: the system chooses), and listening; IPv4 before IPv6.

    Raises:
        ConfigurationError: an unknown host, a port in use, or no right to it; the message names the address.
    """
    host = host.strip("[]")  # as in a URL
    try:
        # Text would be encoded by IDNA, whose tables take 1 MB of memory.
        name = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot listen on host {host!r}: {reason}") from None
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    try:
        listener = socket.socket(family, kind, protocol)  # fails where there is no IPv6
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()  # only this finds a second listener on Linux when both set SO_REUSEADDR
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {authority(host, port)}: {_reason(error, port)}"
        ) from None
    return listener


def inherited(environ: MutableMapping[str, str]) -> socket.socket | None:
    """The listening socket that systemd opened for this process (sd_listen_fds(3)), or None.

    systemd keeps it open while the service restarts: connections wait, none is refused. The variables that
    tell of it are removed, so that no child takes it for its own.

    Raises:
        ConfigurationError: there are several, or it is no listening TCP socket.
    """
    pid, count = environ.get("LISTEN_PID"), environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or count in ("", "0"):
        return None
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if count != "1":
        raise ConfigurationError(f"systemd passes {count} sockets, one is served: leave one ListenStream=")
    try:
        listener = socket.socket(fileno=_FIRST_LISTEN_FD)
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"the socket that systemd passes cannot be used: {error.strerror}") from None
    if not is_listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise ConfigurationError(
            f"systemd passes {listener.getsockname()!r}, which is no TCP port: ListenStream=127.0.0.1:8080"
        )
    listener.set_inheritable(False)
    return listener


def authority(host: str, port: int) -> str:
    """`host:port` as in a URL (RFC 3986 §3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(port)
        return "the port is in use" + (f" by {holder}" if holder else "") + "; choose another with --port"
    if error.errno == errno.EACCES:
        return f"no right to use port {port}; below 1024 it needs a privilege"
    number = error.errno or errno.EIO
    return _REASONS.get(number) or os.strerror(number)


def _holder(port: int) -> str | None:
    """`pid 123 (name)` of the process that listens on `port`, or None where /proc does not tell."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                rows = [line.split() for line in lines][1:]
        except OSError:
            continue
        inodes |= {
            f"socket:[{row[9]}]"
            for row in rows
            if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
        }
    for pid in filter(str.isdigit, os.listdir("/proc") if inodes else ()):
        try:
            if not inodes.isdisjoint(_open_files(f"/proc/{pid}/fd")):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                    return f"pid {pid} ({comm.read().strip()})"
        except OSError:  # another user's process, or one that has just ended
            continue
    return None


def _open_files(folder: str) -> Iterator[str]:
    """What the descriptors in a folder of /proc stand for, but those closed meanwhile, as its own."""
    for name in os.listdir(folder):
        with suppress(OSError):
            yield os.readlink(os.path.join(folder, name))


def acked_bytes(connection: socket.socket) -> int | None:
    """How many bytes the peer has acknowledged so far; None where the system does not tell (Linux does).

    Sending tells less: a socket is writable again only when a third of its buffer, often megabytes, is free.
    """
    if sys.platform != "linux":  # others put something else there
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None
    if len(info) < _TCP_INFO_BYTES:
        return None
    return int.from_bytes(info[-8:], sys.byteorder) or None  # 0 where it is not counted, as in gVisor


def descriptor_limit() -> int | None:
    """How many file descriptors this process may open; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def affordable_connections(wanted: int, threads: int) -> int:
    """`wanted` connections, or as many as there are file descriptors for.

    Out of descriptors, waitress spins and does not answer.

    Raises:
        ConfigurationError: not even ten connections can be had.
    """
    limit = descriptor_limit()
    if limit is None:
        return wanted
    affordable = limit - threads - _SPARE_DESCRIPTORS - 1
    if affordable < 10:
        raise ConfigurationError(
            f"the limit of {limit} open files is too low for {threads} threads; raise `ulimit -n`"
        )
    return min(wanted, affordable - affordable // _SHARE_OF_FILES)


def affordable_files(connections: int, threads: int) -> float:
    """How many bodies and responses may be in files, beside so many connections."""
    limit = descriptor_limit()
    return inf if limit is None else max(2, limit - threads - _SPARE_DESCRIPTORS - 1 - connections)
