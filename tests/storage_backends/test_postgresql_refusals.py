# SPDX-License-Identifier: MIT
"""What a server says when it refuses a connection, and what that means: wait for it, or give up."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

pytest.importorskip("psycopg", reason="the extra postgresql is not installed")

ENCRYPTION_REQUESTS = (struct.pack("!i", 80_877_103), struct.pack("!i", 80_877_104))  # SSL, GSSAPI


@contextmanager
def refusing_server(message: str) -> Iterator[int]:
    """A server that answers every connection with this FATAL error; its port.

    The message is ErrorResponse of https://www.postgresql.org/docs/current/protocol-message-formats.html.
    """
    fields = b"".join(part.encode() + b"\0" for part in ("SFATAL", "VFATAL", "CXXXXX", f"M{message}")) + b"\0"
    answer = b"E" + struct.pack("!i", len(fields) + 4) + fields

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    while client.recv(65_536)[4:8] in ENCRYPTION_REQUESTS:
                        client.sendall(b"N")
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("the database system is starting up", errno.ECONNRESET),
        ("the database system is shutting down", errno.ECONNRESET),
        ("the database system is in recovery mode", errno.ECONNRESET),
        ("the database system is not yet accepting connections", errno.ECONNRESET),
        ("the database system is not accepting connections", errno.ECONNRESET),
        ("terminating connection due to administrator command", errno.ECONNRESET),
        ('database "nowhere" does not exist', errno.ENOENT),
        ("no such database: nowhere", errno.ENOENT),  # pgbouncer's
        ('role "me" does not exist', errno.EACCES),
        ('role "me" is not permitted to log in', errno.EACCES),
        ('password authentication failed for user "me"', errno.EACCES),
        ('no pg_hba.conf entry for host "10.0.0.1", user "me", database "x", no encryption', errno.EACCES),
        ('permission denied for database "x"', errno.EACCES),
        ("sorry, too many clients already", errno.EAGAIN),
        ('too many connections for role "me"', errno.EAGAIN),
        ('too many connections for database "x"', errno.EAGAIN),
        ("remaining connection slots are reserved for roles with the SUPERUSER attribute", errno.EAGAIN),
    ],
)
def test_what_a_refusal_means(message: str, number: int) -> None:
    from storage_backends.postgresql_connection import Connection, Fault, Target

    with refusing_server(message) as port, pytest.raises(Fault) as caught:
        Connection(Target(f"//me:hidden-password@127.0.0.1:{port}/x"))
    assert caught.value.errno == number
    assert message in str(caught.value) and "hidden-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("//me:pa@cret@h/x", "%40"),  # libpq's host would be "cret@h", and shown
        ("//me:pa/cret@h/x", "%40"),
        ("//me:pa%cret@h/x", "%40"),
        ("/me:cret@h/x", "begins with //"),
        ("me:cret@h/x", "begins with //"),
        ("//me:cret@h/x?conections=5", "'conections'"),
        ("//me:cret@h/x?pass=cret", "'pass'"),
    ],
)
def test_a_url_that_is_none(location: str, message: str) -> None:
    from storage_backends.postgresql_connection import Fault, Target

    with pytest.raises(Fault) as caught:
        Target(location)
    assert caught.value.errno == errno.EINVAL
    assert message in str(caught.value) and "cret" not in str(caught.value)
