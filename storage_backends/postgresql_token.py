# SPDX-License-Identifier: MIT
"""How a process learns whether a COMMIT took place whose answer never came.

Not a backend itself.
"""

from __future__ import annotations

import errno

from .postgresql_connection import Connection, Fault, quoted
from .postgresql_statements import Statements


class Token:
    """The row of some writers in the table `writers`, and the number in it.

    Each COMMIT sets the next even number, and fails if that or a greater one is there. To ask is to set the
    odd number after it: who finds the even one knows that the COMMIT took place, and after the odd one it
    never can.

    Args:
        id: of the row.
        app: a name that people can read.
    """

    def __init__(self, id: str, app: str) -> None:
        self.id = quoted(id)
        self._app = quoted(app)
        self._number = 0

    def create(self, connection: Connection) -> None:
        """Not in a serializable transaction: its failure would be that of a start."""
        connection.run(
            "BEGIN ISOLATION LEVEL READ COMMITTED; INSERT INTO writers VALUES"
            f" ({self.id}, {self._number}, clock_timestamp(), {self._app})"
            " ON CONFLICT (id) DO NOTHING; COMMIT"
        )

    def delete(self, connection: Connection) -> None:
        connection.run(f"DELETE FROM writers WHERE id = {self.id}")

    def beat(self, connection: Connection) -> None:
        """Show that this process lives, if no COMMIT has shown it for a while."""
        connection.run(
            f"UPDATE writers SET seen_at = clock_timestamp() WHERE id = {self.id}"
            " AND seen_at < clock_timestamp() - interval '15 s'"
        )

    def next(self, statements: Statements) -> str:
        """The statement that goes with the next COMMIT."""
        self._number += 2
        return statements("token", self._number, self.id)

    def took_place(self, connection: Connection) -> bool:
        """Whether the last COMMIT took place; if not, it never will. Waits for it, if it still runs.

        Raises:
            Fault: EIO, when somebody has removed the row, so that nobody can know.
        """
        rows = connection.rows(
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT batch FROM writers WHERE id = {self.id} FOR UPDATE"
        )
        if not rows:
            connection.run("ROLLBACK")
            raise Fault(
                errno.EIO, "nobody knows whether the transaction took place: its writer's row is gone"
            )
        found = rows[0][0] == str(self._number)
        later = self._number + (not found)
        connection.run(f"UPDATE writers SET batch = {later} WHERE id = {self.id}; COMMIT")
        return found
