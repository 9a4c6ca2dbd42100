# SPDX-License-Identifier: MIT
"""What a context offers, as Protocols: for type checkers `QueryCtx` and its siblings are these, so whatever
has the members may be passed to a helper that is annotated with them, a fake of a test too.

When a program runs they are the classes of `context.py`: the context is the permission. `_fits` has type
checkers compare the two, name by name and type by type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from ..auth.identity import Identity
    from ..data.catalog import Document
    from ..data.filters import Filter
    from ..data.ranges import IndexRange
    from ..files.access import StoredFile
    from . import context
    from .calls import RunsActions, RunsMutations, RunsQueries, Scheduler

    class Auth(Protocol):
        """`ctx.auth`."""

        def get_user_identity(self) -> Identity | None:
            """Who calls, None without a token; AuthError (401) for a token that is not valid."""

        def require_user_identity(self) -> Identity:
            """Who calls; AuthError (401) also without a token."""

    class DocumentQuery(Protocol):
        """The documents of a table; each step gives a new query and closes the one before."""

        def with_index(
            self, name: str, build: Callable[[IndexRange], IndexRange] | None = None
        ) -> DocumentQuery:
            """Read along an index: `.with_index("by_name", lambda q: q.eq("name", name))`."""

        def full_table_scan(self) -> DocumentQuery:
            """Read the whole table in order of creation."""

        def order(self, direction: str) -> DocumentQuery:
            """`"asc"` (the default) or `"desc"`."""

        def filter(self, build: Callable[[Filter], Any]) -> DocumentQuery:
            """Keep the documents for which `lambda q: q.eq(q.field("a"), 1)` is true."""

        def __iter__(self) -> Iterator[Document]: ...
        def collect(self) -> list[Document]:
            """All documents."""

        def first(self) -> Document | None:
            """The first document, or None."""

        def unique(self) -> Document | None:
            """The only document, or None; DocumentError for more than one."""

        def take(self, n: float) -> list[Document]:
            """At most the first `n` documents."""

        def paginate(
            self,
            options: Mapping[str, Any] | None = None,
            /,
            *,
            num_items: float | None = None,
            cursor: str | None = None,
        ) -> dict[str, Any]:
            """One page: `.paginate(pagination_opts)` as a client sent it, or `.paginate(num_items=10)`."""

    class DatabaseReader(Protocol):
        """`ctx.db` of a query."""

        def get(self, *where: str) -> Document | None:
            """`get(id)` or `get(table, id)`: the document, or None."""

        def query(self, table: str) -> DocumentQuery:
            """A query over the documents of a table."""

        def normalize_id(self, table: str, text: object) -> str | None:
            """The text, if it has the form of an id of that table, else None."""

        @property
        def system(self) -> DatabaseReader:
            """`_storage` and `_scheduled_functions`."""

    class DatabaseWriter(DatabaseReader, Protocol):
        """`ctx.db` of a mutation."""

        def insert(self, table: str, document: Document) -> str:
            """Store a new document and return its id."""

        def patch(self, *where_and_fields: Any) -> None:
            """`patch(id, fields)`: set some fields; UNSET removes one."""

        def replace(self, *where_and_document: Any) -> None:
            """`replace(id, document)`: all of it but its id and time."""

        def delete(self, *where: str) -> None:
            """`delete(id)`."""

    class StorageReader(Protocol):
        """`ctx.storage` of a query."""

        def get_url(self, id: str, *, expires_in: float | None = None) -> str | None:
            """The URL of a file, or None; with seconds, one that is signed and expires."""

        def get_metadata(self, id: str) -> Document | None:
            """`{"storageId", "sha256", "size", "contentType"}`, or None."""

    class StorageWriter(StorageReader, Protocol):
        """`ctx.storage` of a mutation."""

        def store(
            self, source: Any, *, content_type: str | None = None, sha256: str | bytes | None = None
        ) -> str:
            """Store bytes, a binary file or an iterable of bytes; returns the id."""

        def delete(self, id: str) -> None:
            """Delete a file."""

        def generate_upload_url(
            self,
            *,
            max_bytes: int | None = None,
            content_types: Iterable[str] | None = None,
            once: bool = False,
        ) -> str:
            """A URL that takes a file by POST, for an hour."""

    class Storage(StorageWriter, Protocol):
        """`ctx.storage` of an action and a handler."""

        def get(self, id: str) -> StoredFile | None:
            """Open a file for reading, or None."""

    class AnyCtx(RunsQueries, Protocol):
        """What all contexts have."""

        @property
        def auth(self) -> Auth:
            """Who calls: `ctx.auth.get_user_identity()`."""

        @property
        def origin(self) -> str:
            """Scheme and authority for URLs, such as "https://api.example.com"."""

        @property
        def deadline(self) -> float:
            """When this call is interrupted, on `time.monotonic()`."""

        def time_left(self) -> float:
            """Seconds until the deadline, never below 0."""

        def now(self) -> float:
            """Unix seconds by the app's clock."""

    class QueryCtx(AnyCtx, Protocol):
        """The context of a query: one snapshot, read only."""

        @property
        def db(self) -> DatabaseReader:
            """Documents: `get`, `query`, `normalize_id`, `system`."""

        @property
        def storage(self) -> StorageReader:
            """Files: `get_url` and `get_metadata`."""

    class MutationCtx(QueryCtx, RunsMutations, Protocol):
        """The context of a mutation: one serializable transaction."""

        @property
        def db(self) -> DatabaseWriter:
            """Documents: also `insert`, `patch`, `replace`, `delete`."""

        @property
        def storage(self) -> StorageWriter:
            """Files: also `store`, `delete` and `generate_upload_url`, undone with the transaction."""

        @property
        def scheduler(self) -> Scheduler:
            """Work for later, written in this transaction: `run_after`, `run_at`, `cancel`."""

    class ActionCtx(AnyCtx, RunsMutations, RunsActions, Protocol):
        """The context of an action: it may touch the outside world and is no transaction."""

        def secret(self, name: str) -> str:
            """An environment variable; HTTPError (503) where it is missing or empty."""

        @property
        def scheduler(self) -> Scheduler:
            """Work for later: `run_after`, `run_at`, `cancel`; each call takes effect at once."""

        @property
        def storage(self) -> Storage:
            """Files: `store`, `get`, `get_url`, `get_metadata`, `delete`, `generate_upload_url`."""

    class HandlerCtx(ActionCtx, Protocol):
        """The context of a handler: it calls functions, keeps files and schedules; it has no `db`."""

    def _fits(
        query: context.QueryCtx,
        mutation: context.MutationCtx,
        action: context.ActionCtx,
        handler: context.HandlerCtx,
    ) -> tuple[QueryCtx, MutationCtx, ActionCtx, HandlerCtx]:
        return query, mutation, action, handler

else:
    from .context import ActionCtx, HandlerCtx, MutationCtx, QueryCtx

__all__ = ["ActionCtx", "HandlerCtx", "MutationCtx", "QueryCtx"]
