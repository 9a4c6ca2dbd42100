# SPDX-License-Identifier: MIT
"""Errors as Convex's function API and its file storage answer them: `{"code", "message"}`."""

from __future__ import annotations

from ..errors import DocumentError, HTTPError, MinihttpError, StorageUnavailableError, short
from .error_response import NOSNIFF, RETRY, log_fault
from .request import Request
from .response import Response

CODED = (HTTPError, DocumentError, StorageUnavailableError)


def coded_response(error: MinihttpError, request: Request) -> Response:
    """`{"code", "message"}`: how Convex's function API and file storage answer errors of the transport.

    Args:
        error: one of `CODED`.
    """
    headers = [NOSNIFF, *getattr(error, "headers", ())]
    message = str(error)
    if isinstance(error, StorageUnavailableError):
        log_fault(error, request.id)
        message = error.told
        headers.append(RETRY)
    return Response.json({"code": error.code, "message": short(message)}, error.status, headers)
