# SPDX-License-Identifier: MIT
"""How a provider signs, as data. A new provider is one of these and three names in a file of its own.

Knows nothing of how it is used: `verifier.py` compiles it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .delivery import Delivery
    from .keys import Key, Token


class HMACScheme(NamedTuple):
    """One provider's rules.

    The signature header is read in one of three ways. Alone: `prefix` and the MAC. With `separator`: a list,
    of which the elements that begin with `prefix` count. With `fields`: a list of `name=value`, where the two
    `fields` are the names of the timestamp and of the signature.
    """

    name: str  # as in `webhooks send NAME`
    signature_header: str  # header names are spelled as the provider does; they are read in any case
    algorithm: str = "sha256"  # of hashlib, or "token": the header is the secret itself and nothing is signed
    encoding: str = "hex"  # of the MAC: "hex" (lower case) or "base64"; "plain" for a token
    prefix: str = ""
    separator: str = ""
    fields: tuple[str, str] | None = None
    timestamp_header: str = ""
    id_header: str = ""
    signed: str = "{body}"  # ends in {body}; {id}, {timestamp}, {url} and literal text may stand before it
    contents: Callable[[bytes, str], Iterable[bytes]] | None = (
        None  # (body, url) -> what may have been signed instead
    )
    key_encoding: str = (
        "utf-8"  # of text secrets; "utf-8": the text verbatim; "base64": decoded, after any "whsec_"
    )
    tolerance_seconds: float = (
        300  # how far a timestamp may be off, both ways, unless the caller says otherwise
    )
    families: tuple[
        tuple[str, str, str], ...
    ] = ()  # more spellings of (signature, timestamp, id); a complete one decides
    timestamp_path: str = ""  # into the JSON body, to milliseconds, where no header has a timestamp
    id_paths: tuple[str, ...] = ()  # into the JSON body, where no header has the delivery's id
    event_header: str = ""
    event_paths: tuple[str, ...] = ()
    form_field: str = ""  # the field of a form body that holds the JSON
    handshake: Callable[[Delivery, Key | Token], Any] | None = (
        None  # the JSON to answer instead of handling it, or None
    )
    kept_headers: tuple[str, ...] = ()  # worth keeping with a stored delivery, beside those named above
