# SPDX-License-Identifier: MIT
"""What a trusted proxy says of a request: `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`.

Each is a list to which every hop adds at its end, so the value that counts is the one that the trusted hop
added, counted from the end. From any other peer these fields are removed, and `Forwarded` (RFC 7239) always:
a proxy that sets one kind hands on what a stranger wrote into the other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ..errors import HTTPError

_NAMES = ("FOR", "PROTO", "HOST", "PORT", "PREFIX")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS = {"http": "80", "https": "443"}
_has_port = re.compile(r"(?:[^:\[\]]+|\[[^\[\]]*\]):([0-9]*)").fullmatch
_is_prefix = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+;=:@-]+)+").fullmatch


class TrustedProxies:
    """Which peers are believed, and how many hops of theirs there are.

    Args:
        trusted: addresses and networks, separated by commas; `*` for any peer; "" for none.
        hops: how many proxies stand in a row; None for as many as have a trusted address (one for `*`).
    """

    def __init__(self, trusted: str, hops: int | None = None) -> None:
        from ipaddress import ip_network  # 5 ms to import, and mostly there is no proxy

        self._any = trusted == "*"
        listed = [] if self._any or not trusted else trusted.split(",")
        self._networks = [ip_network(network.strip(), strict=False) for network in listed]
        self._hops = hops or (1 if self._any else None)
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def _trusts(self, address: str) -> bool:
        """Whether a peer of this address is believed."""
        if self._any or not self._networks:
            return self._any
        from ipaddress import ip_address

        try:
            found: Any = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)

    def exempts(self, peer: str) -> bool:
        """Whether a peer of `loopback.network_of` may be a trusted proxy: of IPv6 that is half an address."""
        return self.trusts(peer) or self.trusts(f"{peer}::1")

    def apply(self, environ: dict[str, Any]) -> None:
        """Put what the trusted proxy says into a WSGI environ, and remove what nobody vouches for.

        Raises:
            HTTPError: 400 for a field that cannot be read.
        """
        environ.pop("HTTP_FORWARDED", None)
        environ.pop("HTTP_X_FORWARDED_BY", None)
        values = {name: environ.pop(f"HTTP_X_FORWARDED_{name}", "") for name in _NAMES}
        if not any(values.values()) or not self.trusts(environ["REMOTE_ADDR"]):
            return
        lists = {name: [_unquoted(part) for part in value.split(",")] for name, value in values.items()}
        depth = self._depth(lists["FOR"])
        picked = {name: parts[-min(depth, len(parts))] for name, parts in lists.items()}
        environ.update((f"HTTP_X_FORWARDED_{name}", value) for name, value in picked.items() if value)
        client = _address(picked["FOR"])
        if client:
            environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = client
            environ.pop("REMOTE_PORT", None)
        _put_scheme_and_host(environ, picked["PROTO"].lower(), picked["HOST"], picked["PORT"].lstrip(":"))
        _put_prefix(environ, picked["PREFIX"].rstrip("/"))

    def _depth(self, clients: list[str]) -> int:
        """How far from the end of the list the value stands that the first trusted hop added."""
        if self._hops is not None:
            return self._hops
        depth = 1
        while depth < len(clients) and self.trusts(_address(clients[-depth])):
            depth += 1
        return depth


def _unquoted(text: str) -> str:
    return text.strip(" \t").strip('"')


def _refuse(name: str, value: str) -> HTTPError:
    return HTTPError(400, f"X-Forwarded-{name} {value[:100]!a} cannot be read")


def _address(text: str) -> str:
    """The IP address of `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:1234`; "" for an unknown one.

    Raises:
        HTTPError: 400 for anything else.
    """
    if not text or text.lower() == "unknown" or text.startswith("_"):  # RFC 7239 §6
        return ""
    from ipaddress import ip_address

    match = _has_port(text)
    bare = text.rpartition(":")[0] if match else text
    try:
        return str(ip_address(bare.strip("[]")))
    except ValueError:
        raise _refuse("For", text) from None


def _put_scheme_and_host(environ: dict[str, Any], proto: str, host: str, port: str) -> None:
    if proto and proto not in _SCHEMES:
        raise _refuse("Proto", proto)
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65_535):
        raise _refuse("Port", port)
    if proto:
        scheme = environ["wsgi.url_scheme"] = _SCHEMES[proto]
        environ["SERVER_PORT"] = _PORTS[scheme]
    if host:  # whether it is one is seen where every Host is checked
        named = _has_port(host)
        environ["HTTP_HOST"] = host if named or not port else f"{host}:{port}"
        environ["SERVER_NAME"] = host.rpartition(":")[0] if named else host
        port = (named and named[1]) or port
    if port:
        environ["SERVER_PORT"] = port


def _put_prefix(environ: dict[str, Any], prefix: str) -> None:
    """Where the proxy has mounted the app: the prefix is part of the URL again, and of no route."""
    if not prefix:
        return
    if not _is_prefix(prefix):
        raise _refuse("Prefix", prefix)
    environ["SCRIPT_NAME"] = prefix
    for name in ("REQUEST_URI", "RAW_URI"):
        if environ.get(name, "").startswith("/"):
            environ[name] = prefix + environ[name]
