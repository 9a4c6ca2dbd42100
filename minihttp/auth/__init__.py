# SPDX-License-Identifier: MIT
"""Who calls: `App(auth=[auth.oidc(…), auth.jwt(…), auth.shared_secret(…), auth.resolver(…)])`.

Providers say whose tokens are believed, an `Authenticator` checks one (docs/auth.md), and an `Identity` is
who it speaks of. This package knows no HTTP server, no documents and no functions: it turns the text of a
token into an identity. The names are loaded on demand (PEP 562): an app without providers loads none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .authenticator import Authenticator as Authenticator
    from .guard import required as required
    from .identity import Identity as Identity
    from .providers import IdentityProvider as IdentityProvider
    from .providers import jwks_file as jwks_file
    from .providers import jwt as jwt
    from .providers import oidc as oidc
    from .providers import resolver as resolver
    from .providers import shared_secret as shared_secret
    from .token import sign as sign

_WHERE = {
    "Authenticator": "authenticator",
    "Identity": "identity",
    "IdentityProvider": "providers",
    "jwks_file": "providers",
    "jwt": "providers",
    "oidc": "providers",
    "required": "guard",
    "resolver": "providers",
    "shared_secret": "providers",
    "sign": "token",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    return value
