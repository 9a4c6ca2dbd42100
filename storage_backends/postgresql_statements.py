# SPDX-License-Identifier: MIT
"""The tables of a document database in PostgreSQL, and the text of every statement on them.

Every statement goes by a primary key. Not a backend itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

FORMAT = 1
TABLES = (
    # A document that is replaced stays on its page where that has room; else its new place goes into the
    # index, and all conflict that have read near it there.
    'CREATE TABLE documents (id text COLLATE "C" PRIMARY KEY, "table" text NOT NULL, json text NOT NULL)'
    " WITH (fillfactor = 70)",
    'CREATE TABLE entries ("index" int, key bytea, rest bytea, id text COLLATE "C",'
    ' PRIMARY KEY ("index", key, id))',
    "CREATE TABLE writers (id text PRIMARY KEY, batch bigint NOT NULL, seen_at timestamptz, app text)"
    " WITH (fillfactor = 50)",
    "CREATE TABLE gate ()",
    "CREATE TABLE format (version int NOT NULL)",
    f"INSERT INTO format VALUES ({FORMAT})",
)
SNAPSHOTS = (  # under their numbers; a server that starts has none
    "CREATE UNLOGGED TABLE IF NOT EXISTS snapshots"
    " (number numeric PRIMARY KEY, name text NOT NULL, until timestamptz NOT NULL)"
)
_SINGLE_ROWS = 4  # so many rows are cheaper as statements that are prepared than as one that is not


def guard_text(place: str, json: str, locked: str = "") -> str:
    """A statement that fails, by the root of -1, if there is no document with this text at this place."""
    found = f"SELECT 1 FROM documents WHERE {place} AND json = {json}{locked}"
    return f"SELECT sqrt(count(*) - 1) FROM ({found}) AS guard"


# name -> (the types of its parameters, the statement)
_STATEMENTS = {
    "get": ("text", """SELECT "table" || chr(30) || json FROM documents WHERE id = $1"""),
    **{
        f"scan{suffix}": (
            "text, text, bigint",
            'SELECT id, "table" || chr(30) || json FROM documents WHERE id >= $1 AND id < $2'
            f" ORDER BY id{order} LIMIT $3",
        )
        for suffix, order in (("", ""), ("_back", " DESC"))
    },
    **{
        # The document is a scalar subquery, so that no join can be planned in another way.
        f"entries{suffix}": (
            "int, bytea, text, bytea, text, bigint",
            'SELECT key, id, (SELECT "table" || chr(30) || json FROM documents d WHERE d.id = e.id), rest'
            ' FROM entries e WHERE "index" = $1 AND (key, id) >= ($2, $3) AND (key, id) < ($4, $5)'
            f" ORDER BY key{order}, id{order} LIMIT $6",
        )
        for suffix, order in (("", ""), ("_back", " DESC"))
    },
    "count": (
        "text, text, bigint",
        "SELECT count(*) FROM (SELECT 1 FROM documents WHERE id >= $1 AND id < $2 LIMIT $3) AS found",
    ),
    "all_entries": (
        "int, bytea, text, bigint",
        'SELECT "index", key, id, rest FROM entries WHERE ("index", key, id) >= ($1, $2, $3)'
        ' ORDER BY "index", key, id LIMIT $4',
    ),
    "lock": (
        "text[]",
        'SELECT id, "table" || chr(30) || json FROM documents WHERE id = ANY($1) FOR UPDATE SKIP LOCKED',
    ),
    "put": (
        "text, text, text",
        "INSERT INTO documents VALUES ($1, $2, $3)"
        ' ON CONFLICT (id) DO UPDATE SET "table" = EXCLUDED."table", json = EXCLUDED.json',
    ),
    # Fails where the document is not the fourth text any more. Not an UPDATE, which would look into the
    # index: then all transactions conflict that write near it there.
    "swap": (
        "text, text, text, text",
        "WITH swapped AS (INSERT INTO documents AS stored VALUES ($1, '', '')"
        ' ON CONFLICT (id) DO UPDATE SET "table" = $2, json = $3 WHERE stored.json = $4 RETURNING json)'
        " SELECT ln(count(*)) FROM swapped WHERE json <> ''",
    ),
    "delete": ("text", "DELETE FROM documents WHERE id = $1"),
    "add": (
        "int, bytea, bytea, text",
        'INSERT INTO entries VALUES ($1, $2, $3, $4) ON CONFLICT ("index", key, id)'
        " DO UPDATE SET rest = EXCLUDED.rest",
    ),
    "remove": ("int, bytea, text", 'DELETE FROM entries WHERE "index" = $1 AND key = $2 AND id = $3'),
    "guard": ("tid, text, text", guard_text("ctid = $1 AND id || '' = $2", "$3")),
    "guard_locked": ("tid, text, text", guard_text("ctid = $1 AND id || '' = $2", "$3", " FOR SHARE")),
    # The logarithm of 0 fails: it is not so any more.
    "unchanged": ("text, text", "SELECT ln(count(*)) FROM documents WHERE id = $1 AND json = $2"),
    # The division by zero fails: no such row, or a greater number in it.
    "token": (
        "bigint, text",
        "WITH w AS (UPDATE writers SET batch = $1, seen_at = clock_timestamp()"
        " WHERE id = $2 AND batch < $1 RETURNING 1) SELECT 1/count(*) FROM w",
    ),
}
PREPARED = "; ".join(
    f"PREPARE mh_{name} ({types}) AS {statement}" for name, (types, statement) in _STATEMENTS.items()
)


class Statements:
    """The text of each statement with its arguments, which are literals of SQL.

    Args:
        prepared: as EXECUTE, else written out (a pooler may change the connection under us).
    """

    def __init__(self, prepared: bool) -> None:
        self._templates = {
            name: _executed(name, types) if prepared else _written_out(statement)
            for name, (types, statement) in _STATEMENTS.items()
        }

    def __call__(self, name: str, *arguments: object) -> str:
        return self._templates[name](*arguments)

    def rows(self, name: str, rows: Sequence[tuple[object, ...]]) -> Iterator[str]:
        """Many rows of "put" or "add" in one statement; a few, and those of others, in one each."""
        if len(rows) <= _SINGLE_ROWS or name not in ("put", "add"):
            yield from (self(name, *row) for row in rows)
            return
        _, statement = _STATEMENTS[name]
        start, rest = statement.index("("), statement.index(" ON CONFLICT")
        for first in range(0, len(rows), 1_024):
            values = ", ".join(f"({', '.join(map(str, row))})" for row in rows[first : first + 1_024])
            yield f"{statement[:start]}{values}{statement[rest:]}"


def _executed(name: str, types: str) -> Callable[..., str]:
    return f"EXECUTE mh_{name} ({', '.join(['{}'] * (types.count(',') + 1))})".format


def _written_out(statement: str) -> Callable[..., str]:
    pieces = statement.split("$")
    return (pieces[0] + "".join(f"{{{int(piece[0]) - 1}}}{piece[1:]}" for piece in pieces[1:])).format
