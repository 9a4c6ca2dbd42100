# SPDX-License-Identifier: MIT
"""Webhooks: bytes, headers, secrets and a clock in; verified or refused out. Knows nothing of HTTP servers or
storage.

Each provider is one file with a `SCHEME` and, from it, `verify`, `sign` and `provider`. They are loaded on
demand, so there is no list of them to edit: `names()` reads the folder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scheme import Scheme


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no provider {name!r}") from None


def names() -> list[str]:
    """The names of all providers, such as `github` and `standard-webhooks`, sorted."""
    import pkgutil

    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in modules if hasattr(__getattr__(name), "SCHEME"))


def scheme_of(name: str) -> Scheme:
    """The scheme of a provider by its name; ConfigurationError, with the known names, for any other."""
    from ..errors import ConfigurationError

    if name not in names():
        raise ConfigurationError(f"{name!r} is not a webhook provider; known are {', '.join(names())}")
    found: Scheme = __getattr__(name.replace("-", "_")).SCHEME
    return found
