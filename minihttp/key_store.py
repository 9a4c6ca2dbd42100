# SPDX-License-Identifier: MIT
"""API keys that an app gives out: `issue`, `revoke`, `validate`, `listed`; a table of the framework's own.

A key is shown once, by `issue`; what is stored is its SHA-256 and how it begins. Each function takes whatever
can call functions: a handler's or a function's context, or the app itself. `python -m minihttp keys` calls
the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .data.schema import Table
from .data.validators import v
from .errors import HTTPError
from .http.credentials import digest, new_token, require_api_key, require_bearer
from .http.hooks import Guard

if TYPE_CHECKING:
    from .functions.context import SystemCtx
    from .functions.registry import Registry
    from .http.request import Request

_KEYS = "_api_keys"
KEY_TABLES: Mapping[str, Table] = {
    _KEYS: Table(
        {
            "digest": v.string(),
            "prefix": v.string(),
            "name": v.string(),
            "data": v.any(),
            "lastUsedAt": v.optional(v.number()),
            "revokedAt": v.optional(v.number()),
        }
    ).index("by_digest", ["digest"])
}
_PREFIX_LENGTH = 8  # characters of the random part that are kept, so that people know a key when they see it
_USED_MILLISECONDS = 60_000.0  # `lastUsedAt` is written at most once a minute: reading a key is not a write
_MAX_KEY_LENGTH = 500


class Caller(Protocol):
    """A context or an app."""

    def run_query(self, function: Any, /, **args: Any) -> Any: ...
    def run_mutation(self, function: Any, /, **args: Any) -> Any: ...


def issue(ctx: Caller, name: str, *, prefix: str = "mk_", data: Any = None) -> dict[str, Any]:
    """A new key of 256 random bits.

    Args:
        ctx: of a mutation, an action or a handler, or the app.
        name: what it is for, such as "laptop of Ada".
        prefix: what the key begins with, so that it is known for what it is where it should not be.
        data: any value that `validate` gives back, such as `{"userId": user_id, "scopes": ["read"]}`.

    Returns:
        The row as `validate` gives it, and `key`: the key itself, which nobody can see again.
    """
    key, key_digest = new_token(prefix)
    shown = key[: len(prefix) + _PREFIX_LENGTH]
    row: dict[str, Any] = ctx.run_mutation(
        "_keys:insert", digest=key_digest, prefix=shown, name=name, data=data
    )
    return {**row, "key": key}


def validate(ctx: Any, key: object) -> dict[str, Any] | None:
    """The row of a key that was issued and not revoked, or None.

    `lastUsedAt` is brought up to date at most once a minute, by a mutation of its own; in a query it stays.

    Args:
        ctx: any context, or the app.
        key: what the caller sent, of any type and length.

    Returns:
        `{"_id", "_creationTime", "prefix", "name", "data", "lastUsedAt"?}`, times in milliseconds.
    """
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY_LENGTH:
        return None
    found: dict[str, Any] | None = ctx.run_query("_keys:find", digest=digest(key))
    if found is not None and found.pop("isDue") and hasattr(ctx, "run_mutation"):
        ctx.run_mutation("_keys:touch", id=found["_id"])
    return found


def require(ctx: Any, request: Request, *, header: str = "X-API-Key") -> dict[str, Any]:
    """The row of the key in a request, as `validate` gives it.

    Args:
        header: where the key is; "Authorization" takes a bearer token.

    Raises:
        HTTPError: 401 for none, 403 for a wrong or revoked one.
    """
    is_bearer = header.lower() == "authorization"
    key = require_bearer(request) if is_bearer else require_api_key(request, header=header)
    row = validate(ctx, key)
    if row is None:
        raise HTTPError(403, "Invalid token" if is_bearer else "Invalid API key", code="Forbidden")
    return row


def guard(*, header: str = "X-API-Key") -> Guard:
    """A hook that lets only callers with a key through, for `route(auth=…)` and `HttpRouter(before=[…])`.

    The key's row is `request.state["key"]` for the handler.

    Args:
        header: as for `require`.
    """

    def check(ctx: Any, request: Request) -> None:
        request.state["key"] = require(ctx, request, header=header)

    return Guard(check, header)


def revoke(ctx: Caller, id: str) -> bool:
    """Revoke the key of an id (`_id`) for good; whether there is such a key that was good until now."""
    return bool(ctx.run_mutation("_keys:revoke", id=id))


def listed(ctx: Caller) -> list[dict[str, Any]]:
    """All keys, the newest first, with `revokedAt` where they are revoked; no key itself and no digest."""
    return list(ctx.run_query("_keys:list"))


class KeyFunctions:
    """The internal functions `_keys:…` of an app."""

    def register(self, registry: Registry) -> None:
        names = {"query": ("find", "list"), "mutation": ("insert", "touch", "revoke")}
        registry.add_methods("_keys", self, names)

    def insert(self, ctx: SystemCtx, **fields: Any) -> dict[str, Any]:
        system = ctx.transaction.system
        return _shown(system.get(system.insert(_KEYS, fields)) or {})

    def find(self, ctx: SystemCtx, digest: str) -> dict[str, Any] | None:
        row = ctx.transaction.rows_where(_KEYS, "digest", digest).unique()
        if row is None or "revokedAt" in row:
            return None
        return {**_shown(row), "isDue": _is_due(ctx, row)}

    def touch(self, ctx: SystemCtx, id: str) -> None:
        row = self._row(ctx, id)
        if row is not None and _is_due(ctx, row):
            ctx.transaction.system.patch(id, {"lastUsedAt": _milliseconds(ctx)})

    def revoke(self, ctx: SystemCtx, id: str) -> bool:
        row = self._row(ctx, id)
        if row is None or "revokedAt" in row:
            return False
        ctx.transaction.system.patch(id, {"revokedAt": _milliseconds(ctx)})
        return True

    def list(self, ctx: SystemCtx) -> list[dict[str, Any]]:
        return [_shown(row) for row in ctx.transaction.system.query(_KEYS).order("desc")]

    def _row(self, ctx: SystemCtx, id: str) -> Any:
        system = ctx.transaction.system
        return system.get(id) if system.normalize_id(_KEYS, id) else None


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "digest"}


def _milliseconds(ctx: SystemCtx) -> float:
    return float(int(ctx.now() * 1000))


def _is_due(ctx: SystemCtx, row: Mapping[str, Any]) -> bool:
    return not 0 <= _milliseconds(ctx) - row.get("lastUsedAt", float("-inf")) < _USED_MILLISECONDS
