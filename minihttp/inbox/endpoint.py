# SPDX-License-Identifier: MIT
"""What a webhook endpoint is told: its provider and secrets, its handler, and what it keeps.

Every mistake in its options shows when the app is opened. Knows no requests and no storage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .. import hashing
from ..data.validators import Object
from ..errors import ConfigurationError, did_you_mean
from ..functions.registry import Function
from ..http.headers import connection_options
from ..http.request import Request
from ..http.response import Response
from ..jobs.retry import RetryPolicy
from ..limits import MIB
from ..webhooks.delivery import Delivery
from .deliveries import FULL_JITTER

_DAY_SECONDS = 86_400.0
_is_storable = re.compile(r"[a-z][a-z0-9-]{0,255}").fullmatch  # as the name of a field of a document
_of_the_way = re.compile(  # fields of the connection and of proxies, and credentials
    r"host|content-length|expect|connection|keep-alive|te|trailer|transfer-encoding|upgrade|via|forwarded|"
    r"proxy-.*|x-forwarded-.*|x-real-ip|.*authorization|.*cookie|.*token|.*secret|.*api-?key|.*password"
).fullmatch


class EndpointOptions:
    """One `http.webhook`: its provider and secrets, its handler, and what it keeps.

    Args:
        path: of the route.
        provider: from `stripe.provider(…)`.
        handler: a mutation or an action, called as `handler(ctx, delivery)`; None only keeps deliveries.
        retry: how a handler that fails is tried again, before its delivery is dead.
        ordered_by: a dotted path into the JSON body, or a function of the `Delivery`: deliveries of one
            endpoint whose keys are equal are handled one after the other, in order of arrival.
        max_body_bytes: a larger body is a 413, before it is verified.
        retention_days: how long finished deliveries are kept, and duplicates recognised.
        refused_kept: how many refused deliveries are kept, at most.
        keep_refused_bodies: whether with their bodies.
        refusal_status: what a signature that is missing or wrong is answered; by default as the provider
            wants it, 400 or, for Shopify, 401.
        acknowledgement: what a stored delivery is answered, instead of what is usual for the provider
            (`{"ok":true}`, nothing for Slack's commands, `<Response/>` for Twilio): a `Response`, text, or
            what becomes JSON; or a function of the `Delivery` that returns one, called before it is stored.
        dedupe: "body" where the provider does not sign the ids of its deliveries: then equal bodies are one
            delivery, whatever id they come under, as the holder of one could send it again under another.
        keep_all_headers: whether every header field is stored that is neither of the connection nor a
            credential; otherwise those that the provider's scheme names.
    """

    retry: RetryPolicy = FULL_JITTER
    ordered_by: str | Callable[[Delivery], str | None] | None = None
    max_body_bytes: int = 1 * MIB
    retention_days: float = 30.0
    refused_kept: int = 100
    keep_refused_bodies: bool = False
    refusal_status: int | None = None
    acknowledgement: Any = None
    keep_all_headers: bool = False
    dedupe: str = "id"

    def __init__(self, path: str, provider: Any, handler: Function | None, **options: Any) -> None:
        for name, value in options.items():
            if name not in EndpointOptions.__annotations__:
                near = did_you_mean(name, EndpointOptions.__annotations__)
                raise ConfigurationError(f"{name!r} is not an option{near}")
            setattr(self, name, value)
        check_takes_delivery(handler)
        for name in ("max_body_bytes", "retention_days", "refused_kept"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ConfigurationError(f"{name} must be a positive number, not {value!r}")
        if not isinstance(self.retry, RetryPolicy):
            raise ConfigurationError(f"retry must be a RetryPolicy, not {self.retry!r}")
        status = self.refusal_status
        if status is not None and (not isinstance(status, int) or not 400 <= status <= 499):
            raise ConfigurationError(f"refusal_status must be from 400 to 499, not {status!r}")
        if self.dedupe not in ("id", "body"):
            raise ConfigurationError(f'dedupe must be "id" or "body", not {self.dedupe!r}')
        if self.acknowledgement is not None and not _is_function(self.acknowledgement):
            _as_acknowledgement(self.acknowledgement)
        self.path = path
        self.provider = provider
        self.handler = handler
        self.retention_seconds = self.retention_days * _DAY_SECONDS
        self.verify_token = ""

    @property
    def pool(self) -> str | None:
        """The pool of the jobs that run the handler: its kind; None without one."""
        return None if self.handler is None else self.handler.kind

    def delivery_id(self, delivery: Delivery) -> str | None:
        """What makes a delivery the same one again; None where nothing does."""
        if self.dedupe == "body":
            return f"body:{hashing.hashlib.sha256(delivery.body).hexdigest()}"
        known: str | None = self.provider.delivery_id(delivery)
        return known

    def acknowledge(self, delivery: Delivery, usual: tuple[bytes, str] | None) -> Response | None:
        """What a delivery is answered once it is stored; None for `{"ok":true}`.

        Args:
            usual: what the provider wants, where it wants something else.
        """
        chosen = self.acknowledgement
        if chosen is not None:
            chosen = chosen(delivery) if _is_function(chosen) else chosen
            if chosen is not None:
                return _as_acknowledgement(chosen)
        if usual is None:
            return None
        body, media_type = usual
        response = Response(body)
        response.headers.delete("Content-Type")
        if media_type:
            response.headers.set("Content-Type", media_type)
        return response

    def select_headers(self, request: Request) -> dict[str, str]:
        """The header fields of a request that are verified with or stored, by lower-case name."""
        headers, names = request.headers, self.provider.wanted_headers
        if self.keep_all_headers:
            names = {*names, *filter(_is_storable, map(str.lower, headers))}
        selected = {}
        for name in names:
            if value := headers.get(name):
                selected[name] = value
        return selected

    def storable_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Of these, the ones that are stored with a delivery."""
        known, kept = self.provider.wanted_headers, self.provider.kept_headers
        connection = headers.get("connection", "")
        for_one_hop = connection_options(connection) if connection else ()
        return {
            name: value
            for name, value in headers.items()
            if (name in kept if name in known else not _of_the_way(name) and name not in for_one_hop)
        }

    def ordering_key(self, delivery: Delivery) -> str | None:
        """The order key of a delivery, made unique among endpoints; None where it has none."""
        by = self.ordered_by
        key = delivery.value_at(by) if isinstance(by, str) else by(delivery) if by else None
        return None if key is None else f"{self.path} {key!a:.256}"


def _is_function(acknowledgement: Any) -> bool:
    return callable(acknowledgement) and not isinstance(acknowledgement, Response)


def _as_acknowledgement(chosen: Any) -> Response:
    """A response of its own for each delivery: what is sent gets more headers."""
    if isinstance(chosen, str):
        return Response(chosen)
    if not isinstance(chosen, Response):
        return Response.json(chosen)
    if not isinstance(chosen.body, bytes) or chosen.status >= 300:
        raise ConfigurationError("acknowledgement must have a body of text or bytes, and a status of 2xx")
    return Response(chosen.body, chosen.status, chosen.headers)


def check_takes_delivery(handler: Function | None) -> None:
    """Refuse a handler that could not be called with every delivery: after the 200 it is too late to.

    Raises:
        ConfigurationError: saying which arguments it must have.
    """
    if handler is None or str(handler.args) == "v.any()":
        return
    if isinstance(handler.args, Object):
        fields = handler.args.fields
        takes = str(fields.get("delivery", "")) in ("v.any()", "v.optional(v.any())")
        others = [name for name, field in fields.items() if name != "delivery" and not field.is_optional]
    else:
        takes, others = handler.has_parameter("delivery"), []
    if not takes or others:
        raise ConfigurationError(
            f'the args of {handler} must be {{"delivery": v.any()}}: a delivery comes as its sender wrote it'
        )
