# SPDX-License-Identifier: MIT
"""`/api/storage/…`: takes uploads, and serves files by UUID or by signed URL (`docs/convex.md` §5).

`POST upload?token=…`, `GET <uuid>`, `GET <id>?token=…`. Errors are Convex's `{"code", "message"}`.
What a response with a file looks like is in `serving.py`; CORS is the app's.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import HTTPError, StorageUnavailableError
from ..http.body import BLOCK_BYTES
from ..http.coded_response import CODED, coded_response
from ..http.deferred import Deferred
from ..http.response import Response
from .access import find_by_id, find_by_key
from .digests import checked_sha512, claimed_digests
from .serving import MAX_AGE_SECONDS, serve
from .signing import UPLOAD, check
from .uploads import upload_rules

if TYPE_CHECKING:
    from ..http.request import Request
    from .backend import Blob
    from .blobs import BlobStore

PREFIX = "/api/storage/"
_is_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_is_id = re.compile(r"[0-9a-v]{32}").fullmatch


def handle(store: BlobStore, request: Request) -> Response | Deferred:
    """Answer a GET, HEAD or POST below `/api/storage/`; an upload, once its document is durable."""
    name = request.path.removeprefix(PREFIX)
    try:
        return _upload(store, request, name) if request.method == "POST" else _download(store, request, name)
    except CODED as error:  # all that is refused here came with the request
        return coded_response(error, request)


def _upload(store: BlobStore, request: Request, name: str) -> Deferred:
    if name != UPLOAD:
        raise HTTPError(
            405, "a file is read by GET", headers=[("Allow", "GET, HEAD")], code="MethodNotAllowed"
        )
    rules = upload_rules(store.database.secret, request.query.items(), store.clock())
    content_type = request.headers.get("Content-Type")
    rules.check_head(content_type, request.body.length_bytes)
    digests = claimed_digests(request.headers)
    sha512 = digests.get("sha-512")
    source: Any = checked_sha512(request.body, sha512) if sha512 else request.body
    if rules.max_bytes is not None and request.body.length_bytes is None:
        source = rules.limited(source if sha512 else iter(lambda: request.body.read(BLOCK_BYTES), b""))
    document = store.put(source, content_type, digests.get("sha-256"))

    def respond(id: Any, error: BaseException | None) -> Response:
        if isinstance(error, CODED):
            return coded_response(error, request)
        if error is not None:
            raise error
        return Response.json({"storageId": id})

    return Deferred(partial(store.submit, document, beside=rules.use), respond)


def _download(store: BlobStore, request: Request, name: str) -> Response:
    document, max_age_seconds = _find(store, request, name)
    if document is None:
        raise HTTPError(404, f"there is no file {name}", code="FileNotFound")

    def open_range(start: int, stop: int) -> Blob:
        try:
            return store.open(document, start, stop)
        except StorageUnavailableError:  # logged there; a stranger is told no more than of a deleted file
            raise HTTPError(404, f"there is no file {name}", code="FileNotFound") from None

    def elsewhere() -> str | None:
        with store.faults("sign a URL of a file"):
            return store.backend.signed_url(document["key"], int(document["size"]))

    return serve(request, document, open_range, elsewhere, max_age_seconds)


def _find(store: BlobStore, request: Request, name: str) -> tuple[dict[str, Any] | None, int]:
    """The document that a URL names, and how long its response may be kept."""
    if _is_uuid(name):
        key = name.replace("-", "")
        return store.database.read(lambda transaction: find_by_key(transaction, key)), MAX_AGE_SECONDS
    if _is_id(name):
        now = store.clock()
        expires_at = check(store.database.secret, name, request.query.get("token"), now)
        document = store.database.read(lambda transaction: find_by_id(transaction, name))
        return document, min(MAX_AGE_SECONDS, int(expires_at - now))
    raise HTTPError(400, f"{name[:100]!a} is not the name of a file", code="InvalidStoragePath")
