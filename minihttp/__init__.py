# SPDX-License-Identifier: MIT
"""minihttp: HTTP actions as plain Python.

The public names, loaded on demand (PEP 562): `from minihttp import HttpRouter` imports the router alone, and no
sqlite3.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "App": "app",
    "HttpRouter": "http.router",
    "Request": "http.request",
    "Response": "http.response",
    "Headers": "http.headers",
    "Cors": "http.cors",
    "v": "data.validators",
    "Schema": "data.schema",
    "Table": "data.schema",
    "Int64": "values",
    "UNSET": "values",
    "query": "functions.registry",
    "mutation": "functions.registry",
    "action": "functions.registry",
    "internal_query": "functions.registry",
    "internal_mutation": "functions.registry",
    "internal_action": "functions.registry",
    "QueryCtx": "functions.context",
    "MutationCtx": "functions.context",
    "ActionCtx": "functions.context",
    "HandlerCtx": "functions.context",
    "Crons": "jobs.crons",
    "Retry": "jobs.retry",
    "Drop": "jobs.retry",
    "RateLimit": "jobs.rate_limit",
    "Limits": "limits",
    "MinihttpError": "errors",
    "HTTPError": "errors",
    "ApplicationError": "errors",
    "ValidationError": "errors",
    "WebhookError": "errors",
    "RouteError": "errors",
    "ConfigurationError": "errors",
}
_ROOMS = ("webhooks", "testing", "errors")

__all__ = [*sorted(_WHERE), *_ROOMS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        value: Any = importlib.import_module(f".{name}", __name__)
    elif name in _WHERE:
        value = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
