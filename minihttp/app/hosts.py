# SPDX-License-Identifier: MIT
"""Which hosts a request may name: a page whose name a stranger has bound to this address (DNS rebinding)
sends its own, and gets 421 (RFC 9110 §15.5.20).

Names are compared without port and case. A server that takes requests for every address of the machine cannot
know its names, so there nothing is refused until `hosts` or `origin` says them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ConfigurationError, HTTPError
from ..http.target import check_host, split_host
from ..loopback import LOCAL_NAMES, is_loopback

PROBES = frozenset(("/_/health", "/_/ready"))  # what asks them knows an address, and gets to know nothing
EVERYWHERE = frozenset(("", "0.0.0.0", "::"))  # noqa: S104
_MAX_REMEMBERED = 64


class Hosts:
    """The hosts of one app.

    Attributes:
        known: values of `Host` that were seen to be good and the app's own.

    Args:
        named: the option `hosts`: names and addresses; `*.example.com` for all below a name, `*` for any.
        origin: the option `origin`.
        bound: where the server listens; empty while no server has said it.

    Raises:
        ConfigurationError: for a name that no Host can be.
    """

    def __init__(self, named: Iterable[str], origin: str, bound: Iterable[str] = ()) -> None:
        names = {name.strip().lower() for name in named}
        known = {_bare(name) for name in names if name != "*"}
        if origin:
            known.add(_bare(origin.partition("://")[2].partition("/")[0]))
        bound = set(bound)
        self._is_open = "*" in names or not (known or (bound and not bound & EVERYWHERE))
        self._names = frozenset(known | (bound - EVERYWHERE) | LOCAL_NAMES)
        self._remembered: set[str] = set()
        self.known: set[str | None] = set()
        self._origin = origin

    def remember(self, host: str | None) -> None:
        """A `Host` has passed every check, and need not be looked at again."""
        if host is not None and len(self.known) < _MAX_REMEMBERED:
            self.known.add(host)

    def includes(self, name: str) -> bool:
        """Whether a host, without its port, is one of the app's own by name."""
        name = name.lower().removesuffix(".")
        parents = [name[at:] for at, letter in enumerate(name) if letter == "."]
        return name in self._names or is_loopback(name) or any(f"*{end}" in self._names for end in parents)

    def allows(self, host: str | None) -> bool:
        """Whether a request with this `Host` is answered; one that lacks it comes from no browser."""
        if host is None or self._is_open or host in self._remembered:
            return True
        found = split_host(host)
        if found is None:
            return True  # and it is refused by whoever reads it
        is_ours = self.includes(found[0])
        if is_ours and len(self._remembered) < _MAX_REMEMBERED:
            self._remembered.add(host)
        return is_ours

    def public_url(self, url: str) -> str:
        """The URL of a request as others were given it: below the origin, since `Host` is a stranger's word.

        Without an origin it is as it was sent, if its host is the app's own by name, else "".
        """
        target = "/" + url.partition("://")[2].partition("/")[2]
        scheme, _, rest = (self._origin or url).partition("://")
        authority, _, base = rest.partition("/")
        if not self._origin:
            return url if self.includes((split_host(authority) or ("",))[0]) else ""
        if base and not f"{target}/".startswith(f"/{base}/"):  # a proxy took it away
            target = f"/{base}{target}"
        return f"{scheme}://{authority}{target}"

    def check(self, environ: dict[str, Any]) -> None:
        """Refuse a request for another host; a probe is answered under any.

        Raises:
            HTTPError: 421; 400 for what is no host.
        """
        host = environ.get("HTTP_HOST")
        if self.allows(host) or environ.get("REQUEST_URI", environ.get("PATH_INFO")) in PROBES:
            return
        name = check_host(environ)
        raise HTTPError(
            421,
            f"This server does not answer for the host {name[:100]}; `hosts` or `origin` in its settings"
            " say which it has",
            code="MisdirectedRequest",
        )


def _bare(text: str) -> str:
    """A host without port and brackets."""
    name = text.removeprefix("*.")
    found = split_host(f"[{name}]" if name.count(":") > 1 and name[0] != "[" else name)
    if found is None:
        raise ConfigurationError(
            f"hosts: {text!r} is no host; names such as api.example.com or *.example.com"
        )
    return text[: len(text) - len(name)] + found[0].lower().removesuffix(".")
