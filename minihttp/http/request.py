# SPDX-License-Identifier: MIT
"""One request, read from its WSGI environ as far as a handler asks, and no further.

Making a `Request` stores five references; query, headers, body and the rest are worked out when they are
first used. All that a stranger can get wrong is an `HTTPError`. Knows routes only as what says where its
prefix and parameters are.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from ..errors import HTTPError, ValidationError, no_attribute
from ..limits import DEFAULT_LIMITS, Limits
from .body import SMALL_BODY_BYTES, Body, open_body, too_large
from .charsets import codec_of
from .fields import PathParams, QueryParams, parse_form, parse_query
from .headers import RequestHeaders, parse_media_type
from .strict_json import JSONObject, expect_type, parse_json
from .target import check_host, percent_decode, percent_encode, sent_target

if TYPE_CHECKING:
    from .multipart import FormData
    from .route import Route

    class Checks(Protocol):
        """What `Request.json` asks of a validator."""

        def check(self, value: Any) -> Any: ...
        def problems(self, value: Any) -> list[str]: ...


T = TypeVar("T")


@cache
def _random_bits() -> Callable[[int], int]:
    """A generator with a random seed; made when first asked for, so that forked processes have their own."""
    from _random import Random  # without what `random` imports

    return Random(int.from_bytes(os.urandom(32), "big")).getrandbits


def request_id(environ: dict[str, Any]) -> str:
    """The id of a request in responses and logs: the server's, or 16 hex digits made now and kept.

    They tell nobody how many requests there are. To ask the system for randomness each time would give the
    interpreter lock away.
    """
    found: str | None = environ.get("minihttp.request_id")
    if found is None:
        found = environ["minihttp.request_id"] = f"{_random_bits()(64):016x}"
    return found


class lazy(Generic[T]):
    """A property worked out when it is first read, and then a plain attribute."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make = make
        self.name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        if instance is None:
            return self  # type: ignore[return-value]
        value = instance.__dict__[self.name] = self.make(instance)
        return value


_WORDS_OF_OTHERS = {  # of frameworks that people know
    "args": 'request.query.get("name") is a query parameter',
    "params": "request.query has the query parameters, request.path_params the segments of the path",
    "query_params": "it is request.query",
    "GET": "it is request.query",
    "POST": "it is request.form()",
    "data": "request.bytes() is the body, request.json() and request.form() read it",
    "get_json": "it is request.json()",
    "formData": "it is request.form()",
    "files": 'request.form().get("name") is a file, too',
    "user": "ctx.auth.get_user_identity() is who calls",
}


def parameters_of(path: str, route: Route | None) -> PathParams:
    """The `{name}` segments of a path, percent-decoded."""
    found, segments = PathParams(), path.split("/")
    for name, number in () if route is None else route.parameters:
        segment = segments[number]
        found[name] = percent_decode(segment) if "%" in segment else segment
    return found


_EMPTY: dict[str, Callable[[], Any]] = {"path_params": PathParams, "tail": str}


class Request:
    """What a handler gets.

    Args:
        environ: the WSGI environ (PEP 3333).
        path: the raw path, as `raw_path(environ)` gives it.
        route: the route that matched, or None.
        limits: the app's limits.

    Attributes:
        method: as sent, `"HEAD"` too where the GET handler answers it.
        path: percent-encoded, as it was sent.
        path_params: the `{name}` segments of the route's pattern, percent-decoded: a dict, with
            `get(…, type=int)`.
        tail: what follows the prefix of the route, percent-decoded; `""` where the route has none.
        closable: whether `close()` has anything to do.
        client_left: whether the client has left while the response was streamed: the handler's code runs on,
            and what it still yields goes nowhere.
    """

    __slots__ = (
        "__dict__",
        "closable",
        "environ",
        "limits",
        "method",
        "path",
        "path_params",
        "route",
        "tail",
    )
    client_left = takes_text_as_json = False
    path_params: PathParams
    tail: str

    def __init__(
        self, environ: dict[str, Any], path: str, route: Route | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path = path
        self.route = route
        self.limits = limits
        self.closable = False
        if route is not None:
            if route.head_chars:
                self.path_params = found = PathParams()
                last = path[route.head_chars :]
                found[route.parameters[0][0]] = percent_decode(last) if "%" in last else last
            elif route.prefix_chars:
                tail = path[route.prefix_chars :]
                self.tail = percent_decode(tail) if "%" in tail else tail
            elif route.parameters:
                self.path_params = parameters_of(path, route)

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            if name in _EMPTY:  # a slot that this route has not filled
                setattr(self, name, _EMPTY[name]())
                return getattr(self, name)
            raise no_attribute(self, name, _WORDS_OF_OTHERS.get(name, ""))

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # no header and no query: they hold secrets

    # ------------------------------------------------------------ the target

    @lazy
    def query(self) -> QueryParams:
        """The query's fields; HTTPError 400 for too many, or one that is not percent-encoded UTF-8."""
        text = self.environ.get("QUERY_STRING", "")
        return QueryParams(parse_query(text, self.limits.max_query_fields))

    @lazy
    def url(self) -> str:
        """The whole URL: the scheme, the checked Host header, and path and query as they were sent.

        The scheme is the server's: forwarded headers count only where the server was told to trust a proxy.
        Where the server does not tell the target as it was sent (see `raw_path`), the query is encoded again.
        """
        target = sent_target(self.environ)
        if target is not None:
            return f"{self.environ['wsgi.url_scheme']}://{check_host(self.environ)}{target}"
        url = f"{self.origin}{self.path}"
        query = self.environ.get("QUERY_STRING")
        if query:
            url += "?" + "?".join(percent_encode(part, "latin-1") for part in query.split("?"))
        return url

    @lazy
    def origin(self) -> str:
        """What comes before the path in URLs of this app: scheme, authority, and where it is mounted."""
        environ = self.environ
        base = percent_encode(environ.get("SCRIPT_NAME", ""), "latin-1", encode_percent=True)
        return f"{environ['wsgi.url_scheme']}://{check_host(environ)}{base}"

    @lazy
    def state(self) -> dict[str, Any]:
        """What hooks hand on to the handler; empty at first."""
        return {}

    # ------------------------------------------------------------ the head

    @lazy
    def headers(self) -> RequestHeaders:
        """The header fields: a Mapping without case."""
        return RequestHeaders(self.environ)

    @lazy
    def media_type(self) -> str:
        """The media type of Content-Type in lower case, without parameters; `""` if not one valid type."""
        return self._content_type[0]

    @lazy
    def charset(self) -> str | None:
        """The charset parameter of Content-Type in lower case, or None."""
        charset = self._content_type[1].get("charset")
        return charset and charset.lower()

    @lazy
    def _content_type(self) -> tuple[str, dict[str, str]]:
        return parse_media_type(self.environ.get("CONTENT_TYPE", ""))

    @lazy
    def id(self) -> str:
        """The request's id in responses and logs: the server's, or 16 random hex digits."""
        return request_id(self.environ)

    @lazy
    def remote_addr(self) -> str:
        """The peer's address; a proxy's, unless the server was told to trust it."""
        return self.environ.get("REMOTE_ADDR", "")  # type: ignore[no-any-return]

    # ------------------------------------------------------------ the body

    @lazy
    def body(self) -> Body:
        """The body as a stream, to be read once; its limit is the route's `max_body` or the app's."""
        return open_body(self.environ, _most_bytes(self.route, self.limits.max_body_bytes))

    def bytes(self) -> bytes:
        """The whole body; may be called again, and before or after `text()` and `json()`.

        Raises:
            HTTPError: 400, 413 or 415, see `Body`; of an app 503 while others have `max_buffered_bytes` in
                memory.
            RuntimeError: when the body was read as a stream before.
        """
        return self._bytes_within(None, "")

    def text(self) -> str:
        """The body as text in its declared charset, UTF-8 by default; without its byte order mark, as `fetch`
        has it.

        Raises:
            HTTPError: 400 for bytes that are not in that charset, 415 for a charset that is not supported.
        """
        name = self.charset or "utf-8"
        codec = codec_of(name)
        try:
            return self.bytes().decode(codec).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise HTTPError(400, f"The request body is not {name}: see byte {error.start}") from None

    @overload
    def json(self, expect: type[dict[Any, Any]], *, force: bool = ...) -> dict[str, Any]: ...
    @overload
    def json(self, expect: type[list[Any]], *, force: bool = ...) -> list[Any]: ...
    @overload
    def json(self, expect: type[T], *, force: bool = ...) -> T: ...
    @overload
    def json(self, expect: Checks | None = None, *, force: bool = ...) -> Any: ...
    def json(self, expect: type | Checks | None = None, *, force: bool = False) -> Any:
        """The body's JSON value; its objects answer a missing `body["field"]`, at any depth, with a 400.

        Args:
            expect: dict, list, str, int, float or bool: what the top level must be. Or a validator such as
                `v.object({"name": v.string()})`: then the value is returned in its stored form, and the 400
                names every field that does not match. A route with a `body` has it checked already.
            force: read the body whatever its media type is: Amazon SNS sends JSON as `text/plain`, browsers
                send reports as `application/csp-report`. A page of any site may send such a request with the
                user's cookies and without a preflight, so it is not for routes that trust cookies.

        Raises:
            HTTPError: 415 unless the media type is `application/json` or ends in `+json` (with
                `App(strict_media_type=False)` it may also be absent, or `text/plain`); 413 for more bytes
                than the route's `max_body` or, without one, `max_json_bytes`, and for more elements than
                `max_json_elements`, or as many more as the route takes more bytes: a fifth of them and one
                for each 4 bytes, of arrays and objects a twentieth and one for each 8, of objects a twentieth
                and one for each 16; 400 for invalid JSON (with line and column), non-finite numbers or ones
                of more than 1,000 digits, unpaired surrogates, too deep nesting, or another type than
                expected.
        """
        known = self.__dict__
        if "_declared" in known and (expect is None or isinstance(expect, type)):
            return expect_type(known["_declared"], expect)
        if not force and self.environ.get("CONTENT_TYPE") != "application/json":  # the common case, unparsed
            self._require_json()
        limits, elements = self.limits, self.limits.max_json_elements
        most = _most_bytes(self.route, limits.max_json_bytes)
        if most > limits.max_json_bytes:
            elements = int(elements * most / limits.max_json_bytes)
        data = self._bytes_within(most, "JSON body")
        if len(data) > SMALL_BODY_BYTES:
            self._hold("JSON bodies", len(data), limits.max_decoded_json_bytes)
        type_ = expect if expect is None or isinstance(expect, type) else None
        is_checked = type_ is not expect
        value = parse_json(data, limits.max_json_depth, type_, most=elements, is_plain=is_checked)
        if is_checked:
            value = _checked(value, expect)  # type: ignore[arg-type]
        known["_parsed"] = value  # for `sent.py`: what the handler looked up in it
        return value

    def keep_json(self, value: Any) -> None:
        """Let `json()` return what the `body` of the route made of the body."""
        self.__dict__["_declared"] = value

    def _hold(self, what: str, size: int, limit_bytes: int) -> None:
        """A large body of this size is about to be in memory, as one of those that have so much room
        together: an app counts them (`app/request.py`).
        """

    def _bytes_within(self, limit_bytes: int | None, what: str) -> builtins.bytes:
        """The whole body; HTTPError 413 for one over a limit of its own."""
        known = self.__dict__
        data: bytes | None = known.get("_bytes")
        if data is None:
            body = self.body
            length = body.length_bytes
            if length and limit_bytes and length > limit_bytes:
                raise too_large(limit_bytes, what)
            if body.count:
                raise RuntimeError("the request body has been read already, as a stream or a form")
            if length is not None and length > SMALL_BODY_BYTES:
                self._hold("bodies", length, self.limits.max_buffered_bytes)
            data = known["_bytes"] = body.read()
            if length is None and len(data) > SMALL_BODY_BYTES:
                self._hold("bodies", len(data), self.limits.max_buffered_bytes)
        if limit_bytes and len(data) > limit_bytes:
            raise too_large(limit_bytes, what)
        return data

    def _require_json(self) -> None:
        media_type = self.media_type
        if media_type == "application/json" or media_type.endswith("+json"):
            return
        sent = self.environ.get("CONTENT_TYPE", "")
        if self.takes_text_as_json and (not sent or media_type == "text/plain"):
            return
        raise HTTPError(
            415, f"Content-Type must be application/json, not {sent[:100]!a}", code="UnsupportedMediaType"
        )

    def form(self, *, encoding: str = "utf-8") -> FormData:
        """The fields of an urlencoded or multipart form; may be called again.

        The form is read as browsers read one: what is not in its encoding becomes U+FFFD.

        Args:
            encoding: of names and values, for senders that do not use UTF-8 (PayPal's IPN is windows-1252);
                a label of the WHATWG Encoding Standard.

        Raises:
            HTTPError: 415 for another media type or an encoding that is not supported, 400 for a broken or
                truncated form, 413 past one of the limits: `max_form_bytes`, or the route's `max_body`, is
                for all that is no file.
        """
        codec = codec_of(encoding)
        found: tuple[str, FormData] | None = self.__dict__.get("_form")
        if found is None or found[0] != codec:
            found = self.__dict__["_form"] = codec, self._read_form(codec)
        return found[1]

    def close(self) -> None:
        """Free the temporary file of an uploaded form."""
        found: tuple[str, FormData] | None = self.__dict__.get("_form")
        if found is not None:
            found[1].close()

    def _read_form(self, codec: str) -> FormData:
        from .multipart import FormData, parse_multipart

        media_type, parameters = self._content_type
        limits, most = self.limits, _most_bytes(self.route, self.limits.max_form_bytes)
        if media_type == "application/x-www-form-urlencoded":
            body = self._bytes_within(most, "form")
            return FormData(parse_form(body, limits.max_form_parts, limits.max_form_field_bytes, codec))
        if media_type != "multipart/form-data":
            raise _no_form(self.environ.get("CONTENT_TYPE", ""))
        data: bytes | None = self.__dict__.get("_bytes")
        if data is None and self.body.count:
            raise RuntimeError("the request body has been read already, as a stream")
        form = parse_multipart(
            self.body if data is None else io.BytesIO(data),
            parameters.get("boundary", ""),
            limits,
            codec,
            max_fields_bytes=most,
        )
        self.closable = form.closable
        return form


def _checked(value: Any, checks: Checks) -> Any:
    """The value of a body as a validator stores it; HTTPError 400 with every reason why it does not match."""
    try:
        value = checks.check(value)
    except ValidationError:
        said = f"The body does not match: {'; '.join(checks.problems(value))}"
        raise HTTPError(400, said, code="ValidationError") from None
    return JSONObject(value) if isinstance(value, dict) else value


def _most_bytes(route: Route | None, limit_bytes: int) -> int:
    """The most that is read: what the route asks for, or a limit."""
    return (route and route.max_body_bytes) or limit_bytes


def _no_form(content_type: str) -> HTTPError:
    """Why a Content-Type is none of a form: another type, or a boundary that cannot be read."""
    shown = ascii(content_type[:100])
    if content_type.partition(";")[0].strip().lower() == "multipart/form-data":
        return HTTPError(
            400, f"The multipart boundary cannot be read in Content-Type {shown}; it may have to be quoted"
        )
    return HTTPError(
        415, f"Content-Type must be multipart/form-data or application/x-www-form-urlencoded, not {shown}"
    )
