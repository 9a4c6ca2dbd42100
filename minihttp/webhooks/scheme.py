# SPDX-License-Identifier: MIT
"""How a provider signs, as data. A new provider is one of these and three names in a file of its own.

Knows nothing of how it is used: `verifier.py` compiles it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Scheme(NamedTuple):
    """One provider's rules.

    The signature header is read in one of three ways. Alone: `prefix` and the MAC. With `separator`: a list,
    of which the elements that begin with `prefix` count. With `fields`: a list of `name=value`, where the two
    `fields` are the names of the timestamp and of the signature.
    """

    name: str  # as in `webhooks send NAME`

    # The signature, and what is signed. Header names are spelled as the provider does and read in any case.
    signature_header: str
    algorithm: str = (
        "sha256"  # of hashlib; "ed25519"; or "token": the header is the secret, nothing is signed
    )
    encoding: str = "hex"  # of the MAC: "hex" (lower case) or "base64"; "plain" for a token
    prefix: str = ""
    separator: str = ""
    fields: tuple[str, str] | None = None
    timestamp_header: str = ""
    id_header: str = ""
    families: tuple[tuple[str, str, str], ...] = ()  # other (signature, timestamp, id) headers, lower case
    signed: str = "{body}"  # ends in {body}; {id}, {timestamp}, {url} and literal text may stand before it
    contents: Callable[[bytes, str], Iterable[bytes]] | None = None  # or: (body, url) -> what may be signed
    key_encoding: str = (
        "utf-8"  # of a text secret: verbatim, or "base64" after any "whsec_", "whpk_", "whsk_"
    )
    refusal_status: int = 400  # what the sender is answered for a signature that is missing or wrong

    # Freshness: how far a timestamp may be off, both ways, unless the caller says otherwise.
    tolerance_seconds: float = 300
    timestamp_path: str = ""  # into the JSON body, to milliseconds, where no header has a timestamp
    retry_seconds: float = 0  # how long it sends retries that are signed with the time of the first attempt

    # What else a receiver wants to know. Paths lead into the body and count where the header is not there.
    other_id_headers: tuple[str, ...] = ()  # where the id header may be missing; lower case
    id_paths: tuple[str, ...] = ()
    id_in_body: Callable[[Any], str | None] | None = None  # or: makes an id of the `Delivery`
    event_header: str = ""
    event_paths: tuple[str, ...] = ()
    form_field: str = ""  # the field of a form body that holds the JSON
    sends_forms: bool = False  # whether there are forms without it: their fields are the payload
    kept_headers: tuple[str, ...] = ()  # worth keeping, beside those named above; lower case
