# SPDX-License-Identifier: MIT
"""minihttp: HTTP actions as plain Python.

The public names, loaded on demand (PEP 562): `from minihttp import HttpRouter` imports the router alone, and
no sqlite3.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know it by its name; `typing` takes as long to load as Python to start
if TYPE_CHECKING:  # what `__getattr__` finds, for type checkers and editors
    from typing import Any

    from . import auth as auth
    from . import errors as errors
    from . import key_store as key_store
    from . import testing as testing
    from . import webhooks as webhooks
    from .app.wsgi import App as App
    from .data.schema import Schema as Schema
    from .data.schema import Table as Table
    from .data.validators import v as v
    from .errors import ApplicationError as ApplicationError
    from .errors import ConfigurationError as ConfigurationError
    from .errors import HTTPError as HTTPError
    from .errors import MinihttpError as MinihttpError
    from .errors import RouteError as RouteError
    from .errors import ValidationError as ValidationError
    from .errors import WebhookError as WebhookError
    from .functions.decorators import action as action
    from .functions.decorators import internal_action as internal_action
    from .functions.decorators import internal_mutation as internal_mutation
    from .functions.decorators import internal_query as internal_query
    from .functions.decorators import mutation as mutation
    from .functions.decorators import query as query
    from .functions.protocols import ActionCtx as ActionCtx
    from .functions.protocols import HandlerCtx as HandlerCtx
    from .functions.protocols import MutationCtx as MutationCtx
    from .functions.protocols import QueryCtx as QueryCtx
    from .http.cors import Cors as Cors
    from .http.headers import Headers as Headers
    from .http.multipart import FilePart as FilePart
    from .http.parameters import Parameter as Parameter
    from .http.request import Request as Request
    from .http.response import Response as Response
    from .http.router import HttpRouter as HttpRouter
    from .jobs.crons import Crons as Crons
    from .jobs.retry import Drop as Drop
    from .jobs.retry import RetryLater as RetryLater
    from .jobs.retry import RetryPolicy as RetryPolicy
    from .limits import Limits as Limits
    from .rate_limit import RateLimit as RateLimit
    from .values import UNSET as UNSET
    from .values import Int64 as Int64

__version__ = "0.1.0"

_MODULES = {
    "app.wsgi": "App",
    "http.router": "HttpRouter",
    "http.request": "Request",
    "http.response": "Response",
    "http.headers": "Headers",
    "http.multipart": "FilePart",
    "http.parameters": "Parameter",
    "http.cors": "Cors",
    "data.validators": "v",
    "data.schema": "Schema Table",
    "values": "Int64 UNSET",
    "functions.decorators": "query mutation action internal_query internal_mutation internal_action",
    "functions.protocols": "QueryCtx MutationCtx ActionCtx HandlerCtx",
    "jobs.crons": "Crons",
    "jobs.retry": "RetryPolicy RetryLater Drop",
    "rate_limit": "RateLimit",
    "limits": "Limits",
    "errors": (
        "MinihttpError HTTPError ApplicationError ValidationError WebhookError RouteError ConfigurationError"
    ),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names.split()}
_ROOMS = ("auth", "errors", "key_store", "testing", "webhooks")

__all__ = [*sorted(_WHERE), *_ROOMS]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ROOMS:
        value: Any = importlib.import_module(f".{name}", __name__)
    elif name in _WHERE:
        try:
            value = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith(f"{__name__}."):
                raise
            raise ImportError(
                f"{name} is not in this copy of minihttp, which lacks {error.name}:"
                " `vendor` copies all of it, `vendor --only router` the routes alone"
            ) from error
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
