# SPDX-License-Identifier: MIT
"""CORS as one rule object (WHATWG Fetch §3.2): which origins may read responses, and preflights.

A rule only adds headers: a request from another origin still runs, its response stays unreadable to the page.
Knows no routes; whoever routes says which methods a path has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..errors import ConfigurationError
from .headers import Headers, is_token
from .response import Response

_ORIGIN = r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_SUBDOMAINS = r"\*(?:\.[a-z0-9_-]+)+"
_HTTPS_HOST = r"https://([a-z0-9._-]+)(?::[0-9]{1,5})?"


_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def _check_port(origin: str) -> None:
    """Refuse a port that no browser writes: the scheme's own, one with leading zeros, one beyond 65535."""
    scheme, _, rest = origin.partition("://")
    host, colon, port = rest.rpartition(":")
    if not colon or port.endswith("]"):
        return
    if port == _DEFAULT_PORTS.get(scheme):
        raise ConfigurationError(
            f"no browser sends the origin {origin!r}: the port {port} is left out, so write '{scheme}://{host}'"
        )
    if port.startswith("0") or int(port) > 65_535:
        raise ConfigurationError(f"no browser sends the origin {origin!r}: {port} is no port")


def _check_credentials(origins: Iterable[str], **names: Iterable[str]) -> None:
    """Refuse what lets any site act as the user, and what browsers take literally on such requests."""
    for origin, who in (("*", "any site"), ("null", "any sandboxed page")):
        if origin in origins:
            raise ConfigurationError(
                f"credentials=True needs a list of origins: {origin!r} lets {who} act as the user"
            )
    for what, listed in names.items():
        if "*" in listed:
            raise ConfigurationError(
                f"{what}=['*'] with credentials=True allows only what is called '*': name the {what}"
            )


def _listed(names: Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


class Cors:
    """Which origins may use a route, for `HttpRouter(cors=…)` and `route(cors=…)`.

    Args:
        origins: `["*"]` for any; exact origins such as `"https://a.example:8443"` (or `"null"`), as browsers
            send them: in lower case, without a path, and without the port that is the scheme's own;
            `"*.bar.com"` for bar.com and all its sub-domains over https, on any port.
        methods: what a preflight allows; by default all methods that the path has.
        headers: request header names that a preflight allows.
        expose: response header names that scripts may read.
        credentials: whether cookies and Authorization may be sent; not together with `"*"` in any of the
            lists, which browsers then take for a name (WHATWG Fetch §3.2.5), nor with the origin `"null"`,
            which every sandboxed page has.
        max_age_seconds: how long a browser may keep the preflight's answer.

    Raises:
        ConfigurationError: an origin that no browser could send, or credentials for any origin.
    """

    __slots__ = ("_any", "_domains", "_origins", "_preflight", "_simple", "methods")

    def __init__(
        self,
        origins: Iterable[str],
        *,
        methods: Iterable[str] | None = None,
        headers: Iterable[str] = ("Content-Type", "Authorization"),
        expose: Iterable[str] = (),
        credentials: bool = False,
        max_age_seconds: int = 86400,
    ) -> None:
        origins, headers, expose = _listed(origins), _listed(headers), _listed(expose)
        for origin in origins:
            if origin not in ("*", "null") and not re.fullmatch(f"{_ORIGIN}|{_SUBDOMAINS}", origin):
                raise ConfigurationError(
                    f"origin {origin!r} is neither '*', 'scheme://host' without a path, nor '*.domain'"
                )
            _check_port(origin)
        self._any = "*" in origins
        self._origins = frozenset(origins)
        self._domains = tuple(origin[1:] for origin in origins if origin.startswith("*."))
        self.methods = None if methods is None else _listed(methods)
        if credentials:
            _check_credentials(origins, methods=self.methods or (), headers=headers, expose=expose)
        for name in (*headers, *expose, *(self.methods or ())):
            if not is_token(name):
                raise ConfigurationError(f"{name!r} is not the name of a header or a method")
        for method in self.methods or ():
            if not method.isupper():
                raise ConfigurationError(f"method {method!r} is not in capitals, as methods are")
        if max_age_seconds < 0:
            raise ConfigurationError(f"max_age_seconds {max_age_seconds!r} is negative")
        self._simple = [("Access-Control-Allow-Credentials", "true")] * credentials
        if expose:
            self._simple.append(("Access-Control-Expose-Headers", ", ".join(expose)))
        self._preflight = [
            ("Access-Control-Allow-Headers", ", ".join(headers)),
            ("Access-Control-Max-Age", str(max_age_seconds)),
        ]

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin may read responses; compared exactly, never by prefix or suffix."""
        if origin is None:
            return False
        if origin in self._origins:
            return not origin.startswith("*")
        if self._any:  # echoed only if a browser can have sent it
            return origin == "null" or re.fullmatch(_ORIGIN, origin) is not None
        match = re.fullmatch(_HTTPS_HOST, origin) if self._domains else None
        return match is not None and f".{match[1]}".endswith(self._domains)

    def permits(self, method: str, origin: str | None) -> bool:
        """Whether a page of this origin may use a method of a route under this rule."""
        return self.allows(origin) and (self.methods is None or method in self.methods)

    def apply(self, headers: Headers, origin: str | None) -> None:
        """Add the rule's fields to a response, a handler's own Allow-Origin giving way to them.

        Args:
            headers: the response's; `Vary` keeps what it has and gains `Origin`.
            origin: the request's Origin header, or None.
        """
        vary = headers.get_all("Vary")
        if not any(name.strip().lower() in ("origin", "*") for line in vary for name in line.split(",")):
            headers.set("Vary", ", ".join([*vary, "Origin"]))
        if origin is None:
            return
        headers.delete("Access-Control-Allow-Origin")
        if self.allows(origin):
            headers.set("Access-Control-Allow-Origin", origin)
            for name, value in self._simple:
                headers.set(name, value)

    def preflight(self, environ: dict[str, Any], methods: Iterable[str]) -> Response:
        """The 204 that answers an OPTIONS request.

        Args:
            environ: the WSGI environ.
            methods: those that the path has.
        """
        response = Response(status=204, headers=self._preflight)
        response.headers.set("Access-Control-Allow-Methods", ", ".join(self.methods or methods))
        self.apply(response.headers, environ.get("HTTP_ORIGIN"))
        return response
