# SPDX-License-Identifier: MIT
"""Idempotency-Key: a POST that is sent again under its key is answered again, and takes effect once.

The header is that of the IETF draft draft-ietf-httpapi-idempotency-key-header. The key, a hash of the request
and what a mutation returned are written in the mutation's own commit, so a crash leaves both or neither. A
mutation of the function API writes its response there as well. A handler's response is known only when the
handler has ended: it is written then, and a request whose handler was cut off before that runs it again, but
for its mutations, whose results are known.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import hashing
from ..data.schema import Table
from ..data.validators import v
from ..errors import HTTPError
from ..functions.context import transaction_of
from ..http.response import Response

if TYPE_CHECKING:
    from ..data.catalog import Document
    from ..data.database import Database, Transaction
    from ..functions.calls import CallInfo
    from ..functions.registry import Function
    from ..functions.runner import Runner
    from ..limits import Limits
    from .request import AppRequest

KEYS = "_idempotency_keys"
IDEMPOTENCY_TABLES: dict[str, Table] = {
    KEYS: Table(v.any()).index("by_key", ["key"]).index("by_until", ["until"])
}
_MAX_BODY_BYTES = 1024 * 1024  # of a response that is kept
_OF_ONE_RESPONSE = ("content-length", "x-request-id")  # fields that are made anew for each
_match_key = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-~]{1,255})').fullmatch  # an RFC 8941 string, or bare
_is_credential = re.compile(r"authorization|cookie|.*token|.*secret.*|.*api-?key.*|.*password.*").fullmatch


class IdempotencyKeyInUseError(HTTPError):
    """The first request with a key is being answered: 409, and nothing of the second has taken effect."""

    def __init__(self) -> None:
        message = "A request with this Idempotency-Key is being answered"
        super().__init__(409, message, headers=[("Retry-After", "1")], code="IdempotencyKeyInUse")


class IdempotencyKeys:
    """The keys of one app.

    Args:
        limits: `idempotency_key_seconds` is how long a key is known.
        clock: Unix seconds.
    """

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float]) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, request: AppRequest, respond: Callable[[Attempt], Response]) -> Response:
        """The response that was given under the request's key, or the one that `respond` makes.

        Raises:
            HTTPError: 400 for what is no key; 409 while the first request with it is being answered; 422 when
                it was another request: another method, query, body or credential.
        """
        key = hashing.sha256(f"{request.path}\0{_key_of(request)}".encode()).hexdigest()
        attempt = Attempt(self, key, _fingerprint(request))
        with self._alone(key):
            row = self._database.read(lambda transaction: self.find(transaction, key))
            if row is not None:
                if row["request"] != attempt.request_hash:
                    raise HTTPError(
                        422, "This Idempotency-Key was used for another request", code="IdempotencyKeyReused"
                    )
                if "response" in row:
                    return _replayed(row["response"])
                attempt.results = dict(row["results"])
            return respond(attempt)

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        with self._lock:
            if key in self._running:
                raise IdempotencyKeyInUseError
            self._running.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(key)

    # ------------------------------------------------------------ rows

    def find(self, transaction: Transaction, key: str) -> Document | None:
        """The row of a key that is known."""
        row = transaction.rows_where(KEYS, "key", key).order("desc").first()
        return row if row is not None and row["until"] > self._clock() else None

    def write(self, transaction: Transaction, attempt: Attempt, **changes: Any) -> None:
        """Write down what is known of an attempt now."""
        row = self.find(transaction, attempt.key)
        if row is not None:
            if "response" in row or not row["results"].keys() <= attempt.results.keys():
                raise IdempotencyKeyInUseError  # by another process, which came first
            transaction.system.patch(row["_id"], changes)
            return
        new = {"key": attempt.key, "request": attempt.request_hash, "results": {}}
        until = self._clock() + self._limits.idempotency_key_seconds
        transaction.system.insert(KEYS, {**new, "until": until, **changes})

    def keep(self, attempt: Attempt, response: Response) -> None:
        """Write the response of a handler in a transaction of its own."""
        kept = _kept(response)
        self._database.write(lambda transaction: self.write(transaction, attempt, response=kept))

    def expired(self, transaction: Transaction) -> list[Document]:
        """Some of the keys whose time is over."""
        return transaction.expired(KEYS, "by_until", "until")


class Attempt:
    """One request that is being answered under a key.

    Attributes:
        results: what mutations have returned, by the digest of their call.
    """

    __slots__ = ("_calls", "_keys", "key", "request_hash", "results")

    def __init__(self, keys: IdempotencyKeys, key: str, request_hash: str) -> None:
        self._keys = keys
        self.key = key
        self.request_hash = request_hash
        self.results: dict[str, Any] = {}
        self._calls: dict[str, int] = {}

    def run_mutation(
        self, runner: Runner, function: Function | str, args: Mapping[str, Any], call: CallInfo
    ) -> Any:
        """Run a mutation of the handler's, unless the attempt before has: then what it returned."""
        digest = self._digest(function, args)
        if digest in self.results:
            return self.results[digest]

        def then(ctx: Any, value: Any) -> Any:
            self._keys.write(transaction_of(ctx), self, results={**self.results, digest: value})
            return value

        value = runner.run(function, args, call=call, kind="mutation", then=then)
        self.results[digest] = value
        return value

    def _digest(self, function: Function | str, args: Mapping[str, Any]) -> str:
        """What tells a call from the others of the request, and is the same when the request comes again."""
        written = f"{getattr(function, 'name', function)} {sorted(args.items())!r}"
        number = self._calls[written] = self._calls.get(written, 0) + 1
        return hashing.sha256(f"{number} {written}".encode("utf-8", "surrogatepass")).hexdigest()

    def keep(self, response: Response) -> Response:
        """Keep the response of a handler: one that says that it is done, or that something was done."""
        if response.status < 400 or (self.results and response.status < 500):
            self._keys.keep(self, response)
        return response

    def keep_in(self, transaction: Transaction, response: Response) -> None:
        """Keep a response in the transaction of its mutation."""
        self._keys.write(transaction, self, response=_kept(response))


def _key_of(request: AppRequest) -> str:
    match = _match_key(request.headers["Idempotency-Key"].strip(" \t"))
    if match is None:
        raise HTTPError(
            400, "Idempotency-Key must be 1 to 255 printable characters", code="BadIdempotencyKey"
        )
    return match[1] or match[2]


def _fingerprint(request: AppRequest) -> str:
    """What makes it the same request: method, query, body, and who sends it as far as a header says so.

    The credentials are in it so that a key that somebody else learns gives nothing away.
    """
    sent = sorted((name.lower(), value) for name, value in request.headers.items())
    credentials = [pair for pair in sent if _is_credential(pair[0])]
    parts = [request.method, request.environ.get("QUERY_STRING", ""), credentials, request.body_sha256()]
    return hashing.sha256(repr(parts).encode()).hexdigest()


def _kept(response: Response) -> Document:
    headers = [[name, value] for name, value in response.headers.items()]
    kept: Document = {
        "status": response.status,
        "headers": [pair for pair in headers if pair[0].lower() not in _OF_ONE_RESPONSE],
    }
    if isinstance(response.body, bytes) and len(response.body) <= _MAX_BODY_BYTES:
        kept["body"] = response.body
    return kept


def _replayed(kept: Document) -> Response:
    if "body" not in kept:
        raise HTTPError(
            409,
            "This Idempotency-Key was answered already; the response was a stream or too large to be kept",
            code="IdempotencyKeyUsed",
        )
    headers = [(name, value) for name, value in kept["headers"]]
    return Response.prepared(kept["body"], int(kept["status"]), [*headers, ("Idempotency-Replayed", "true")])
