# SPDX-License-Identifier: MIT
"""The request of an app: as that of the router, and the large bodies of all handlers are counted together.

For the router alone a body is bounded by its own limit only.
"""

from __future__ import annotations

import io
from threading import RLock

from ..errors import HTTPError
from ..http.body import BLOCK_BYTES
from ..http.request import Request


class HeldBodies:
    """The large bodies of a process that handlers have in memory, for as long as their requests last. For any
    thread.

    Args:
        what: they are, for the message of a refusal.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.bytes = 0
        self._lock = RLock()  # taken again by a hold that is freed while the garbage is collected

    def hold(self, size: int, limit_bytes: int) -> Hold:
        """Room for a body, until the hold is freed; one that is alone may be larger than the limit.

        Raises:
            HTTPError: 503 with Retry-After, where others have taken the room.
        """
        with self._lock:
            if self.bytes and self.bytes + size > limit_bytes:
                message = f"Too many large {self._what} are being handled; try again"
                raise HTTPError(503, message, headers=[("Retry-After", "1")], code="ServiceUnavailable")
            return Hold(self, size)

    def add(self, size: int) -> None:
        with self._lock:
            self.bytes += size


class Hold:
    """The room that one body takes, until nobody has this."""

    __slots__ = ("_bodies", "_size")

    def __init__(self, bodies: HeldBodies, size: int) -> None:
        self._bodies, self._size = bodies, size
        bodies.add(size)

    def __del__(self) -> None:
        self._bodies.add(-self._size)


whole_bodies = HeldBodies("bodies")
held_bodies = HeldBodies("JSON bodies")  # decoded: each takes ten times its size
_BY_NAME = {"bodies": whole_bodies, "JSON bodies": held_bodies}


class AppRequest(Request):
    """What a handler of an app gets: see `Request`."""

    __slots__ = ()

    def body_sha256(self) -> str:
        """The SHA-256 of the body in hex; the body stays to be read.

        Raises:
            HTTPError: 400, 413 or 415, see `Body`.
        """
        from .. import hashing  # few requests ask for it

        data: bytes | None = self.__dict__.get("_bytes")
        if data is not None:
            return hashing.hashlib.sha256(data).hexdigest()
        digest, body, stream = hashing.hashlib.sha256(), self.body, self.environ["wsgi.input"]
        # Mostly: servers keep bodies in memory or in a file
        if hasattr(stream, "seek") and hasattr(stream, "tell"):
            start = stream.tell()
            for block in iter(lambda: body.read(BLOCK_BYTES), b""):
                digest.update(block)
            stream.seek(start)
        else:
            data = body.read()
            digest.update(data)
            self.environ |= {"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))}
        del self.__dict__["body"]
        return digest.hexdigest()

    def close(self) -> None:
        """Free the temporary file of an uploaded form, and the room that a large body takes."""
        self.__dict__.pop("_held", {}).clear()  # a traceback may have it
        super().close()

    def _hold(self, what: str, size: int, limit_bytes: int) -> None:
        """Counts a large body among others, until this is closed; 503 past the limit."""
        held = self.__dict__.setdefault("_held", {})
        if what not in held:
            held[what] = _BY_NAME[what].hold(size, limit_bytes)
            self.closable = True


class LenientRequest(AppRequest):
    """That of an app without `strict_media_type`."""

    __slots__ = ()
    takes_text_as_json = True


LenientRequest.__name__ = AppRequest.__name__ = Request.__name__  # in messages, the name that users import
