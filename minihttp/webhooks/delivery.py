# SPDX-License-Identifier: MIT
"""A verified delivery, and the header fields it came with.

What the MAC does not need is worked out when asked for: the body is parsed once, and only if somebody looks
into it. Knows no secrets and no cryptography.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import HTTPError, WebhookError
from ..json_numbers import STRICT

if TYPE_CHECKING:
    from .scheme import Scheme


class _HasItems(Protocol):
    def items(self) -> Iterable[tuple[Any, Any]]: ...


Headers = _HasItems | Iterable[tuple[str | bytes, str | bytes]]
"""`request.headers`, any other mapping with `items()`, or (name, value) pairs; text or bytes, in any case.

A mapping over a WSGI environ that has it as `environ`, as `request.headers` does, is read there.
"""


def read_headers(headers: Headers, once: Iterable[str] = ()) -> dict[str, str]:
    """All header fields as text, by lower-case name.

    Args:
        headers: as they came.
        once: lower-case names that must not occur twice, in whatever case they are spelled.

    Raises:
        WebhookError: `malformed_header`, when one of them does: libraries disagree on which to take.
    """
    pairs: list[Any] = list(headers.items() if hasattr(headers, "items") else headers)
    try:
        fields = {str.lower(name): value + "" for name, value in pairs}  # TypeError for anything but text
    except TypeError:
        pairs = [(_text(name), _text(value)) for name, value in pairs]
        fields = {name.lower(): value for name, value in pairs}
    if len(fields) < len(pairs):
        refuse_repeated([name.lower() for name, _ in pairs], once)
    return fields


def refuse_repeated(names: list[str], once: Iterable[str]) -> None:
    for name in once:
        if names.count(name) > 1:
            raise WebhookError("malformed_header", f"the header {name} occurs more than once")


def _text(value: Any) -> str:
    """Header bytes are latin-1 (PEP 3333); None is an absent field."""
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    return "" if value is None else str(value)


_decode_json = json.JSONDecoder(**STRICT).decode
_UNREAD: Any = object()


class Delivery:
    """One delivery whose signature is right.

    Attributes:
        body: the raw bytes that were signed.
        timestamp: Unix seconds of the attempt where the provider signs a time, else None.
        secret_index: which of the secrets matched, from 0.
    """

    __slots__ = ("_fields", "_headers", "_json", "body", "scheme", "secret_index", "timestamp")

    def __init__(
        self,
        scheme: Scheme,
        body: bytes,
        headers: Headers,
        secret_index: int,
        timestamp: int | None = None,
    ) -> None:
        self.scheme = scheme
        self.body = body
        self.secret_index = secret_index
        self.timestamp = timestamp
        self._headers = headers
        self._fields = self._json = _UNREAD

    @property
    def headers(self) -> dict[str, str]:
        """The header fields by lower-case name; a mapping given to `verify` is read when first asked for."""
        if self._fields is _UNREAD:
            self._fields = read_headers(self._headers)
        fields: dict[str, str] = self._fields
        return fields

    @property
    def id(self) -> str | None:
        """The provider's own delivery id, from its header or the body; None where this delivery has none."""
        scheme, headers = self.scheme, self.headers
        for name in (scheme.id_header.lower(), *scheme.other_id_headers):
            if found := headers.get(name):
                return found
        return self.find(scheme.id_paths) or (scheme.id_in_body(self) if scheme.id_in_body else None)

    @property
    def event_type(self) -> str | None:
        """What happened, in the provider's words: `push`, `checkout.session.completed`, `user.created`."""
        return self.headers.get(self.scheme.event_header.lower()) or self.find(self.scheme.event_paths)

    @property
    def is_form(self) -> bool:
        """Whether the body came as an urlencoded form."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media_type == "application/x-www-form-urlencoded"

    @property
    def payload(self) -> Any:
        """As `json()`, but None where the body is no JSON."""
        try:
            return self.json()
        except HTTPError:
            return None

    def json(self) -> Any:
        """The body as JSON, parsed once. Of a form: its field with the JSON (GitHub's and Slack's `payload`);
        of Slack's and Twilio's other forms the fields by name, a repeated one as a list.

        Raises:
            HTTPError: 400 with line and column, where the body is no JSON.
        """
        if self._json is _UNREAD:
            try:
                self._json = self._read_payload()
            except ValueError as error:
                raise HTTPError(400, f"Invalid JSON in the webhook body: {error}") from None
            except RecursionError:
                raise HTTPError(400, "Invalid JSON in the webhook body: it is nested too deep") from None
        return self._json

    def _read_payload(self) -> Any:
        # A byte order mark is signed, but no part of the text
        text = self.body.decode().removeprefix("\ufeff")
        field, sends_forms = self.scheme.form_field, self.scheme.sends_forms
        if not (field or sends_forms) or not self.is_form:
            return _decode_json(text)
        from urllib.parse import parse_qs

        if text[:9].upper() == "%EF%BB%BF":
            text = text[9:]
        form = parse_qs(text, keep_blank_values=True, max_num_fields=1_000)
        values = form.get(field, [])
        if not values and sends_forms:
            return {name: found[0] if len(found) == 1 else found for name, found in form.items()}
        if len(values) != 1:
            raise ValueError(f"the form has {len(values)} fields {field!r}, not one")
        return _decode_json(values[0].removeprefix("\ufeff"))

    def find(self, paths: Iterable[str]) -> str | None:
        """The first printable, non-empty text at one of the dotted paths of the JSON body, or None."""
        for path in paths:
            value = self.value_at(path)
            if isinstance(value, str) and value and value.isprintable():  # so it holds no unpaired surrogate
                return value
        return None

    def value_at(self, path: str) -> Any:
        """Whatever stands at a dotted path of the JSON body; None where there is no JSON or no such path."""
        value = self.payload
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value
