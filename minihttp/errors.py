# SPDX-License-Identifier: MIT
"""Every error minihttp raises on purpose, sorted by whose fault it is, each with its HTTP status.

The class says whose fault it is: a stranger's (4xx), the app author's (loud at start-up, 500 at run time) or
the machine's (503, 507). Knows nothing of requests, documents or files: this is the ground floor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from errno import EAGAIN
from typing import Any, TypeVar

MIN_SECRET_BYTES = 16  # of an admin key or a webhook secret: 128 bits (ASVS 11.5.1), if they are random

_MAX_MISSPELT_CHARACTERS = 100  # the search for what was meant costs their square
MAX_MESSAGE_CHARACTERS = 4_000  # of what a stranger or a log is told of an error


class Refusal:
    """The value that an error refuses: whoever sent it may be told why, nobody else (`http/sent.py`).

    Attributes:
        value: what was refused; the object around it where one of its fields is too many or missing.
        field: the name of that field, else None.
        brief: the message without the object, for a caller who sent the field and not the whole object.
    """

    __slots__ = ("brief", "field", "value")

    def __init__(self, value: Any, field: str | None = None, brief: str = "") -> None:
        self.value, self.field, self.brief = value, field, brief


class MinihttpError(Exception):
    """The root of all errors raised on purpose.

    Attributes:
        status: the HTTP status of the response when a handler lets the error out.
        code: a stable word for programs, in Convex's spelling where Convex has one.
        public: whether the message may be shown to a stranger, whoever is at fault.
        refusal: the one value that the error is about, where there is one: whoever sent it may see why.
    """

    status = 500
    code = "InternalServerError"
    public = False
    refusal: Refusal | None = None

    def refusing(self: E, value: Any) -> E:
        """This error, told that `value` is what it refuses."""
        self.refusal = Refusal(value)
        return self


E = TypeVar("E", bound=MinihttpError)

# ---------------------------------------------------------------- a stranger's fault


class HTTPError(MinihttpError):
    """A response by exception: `raise HTTPError(404, "no such item")` answers `{"error": "no such item"}`.

    Args:
        status: an HTTP status from 400 to 599.
        message: one sentence that names the value and the rule; it is sent to the client.
        headers: further header fields of the response, as (name, value) pairs.
        code: a stable word for programs.
    """

    public = True

    def __init__(
        self, status: int, message: str, *, headers: Iterable[tuple[str, str]] = (), code: str | None = None
    ) -> None:
        if not isinstance(status, int):
            raise TypeError(
                f'write HTTPError(404, "no such item"): the status comes first, not {status!r:.60}'
            )
        if not 400 <= status <= 599:
            raise ValueError(f"HTTPError status {status!r} is outside the range 400-599")
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)
        self.code = code or ("BadRequest" if status < 500 else "InternalServerError")


class RateLimitedError(HTTPError):
    """More was asked than a rate limit allows: 429 with Retry-After (RFC 6585 §4)."""

    def __init__(self, key: str, retry_after: float) -> None:
        seconds = max(1, int(-(-retry_after // 1)))  # rounded up; `math` takes 0.2 ms to load
        headers = [("Retry-After", str(seconds))]
        message = f"Too many requests; try again in {seconds} s"
        super().__init__(429, message, headers=headers, code="RateLimited")
        self.key = key
        self.retry_after = retry_after


class AuthError(HTTPError):
    """The request does not say who calls, or not so that it can be believed: 401 (RFC 6750 §3).

    Args:
        code: Convex's word: `InvalidAuthHeader` for a token that is not valid, `NoAuthProvider` for one of an
            issuer that the app does not know, `Unauthenticated` where a token is needed and there is none.
        message: one sentence that says why; it is sent to the client, and holds no secret.
    """

    def __init__(self, code: str, message: str) -> None:
        challenge = "Bearer"
        if code != "Unauthenticated":  # RFC 6750 §3.1: without a token, no more than the scheme
            shown = "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in message)
            challenge += f' error="invalid_token", error_description="{shown[:300]}"'
        super().__init__(401, message, headers=[("WWW-Authenticate", challenge)], code=code)


class MissingFieldError(HTTPError, KeyError):
    """A request lacks a field that the handler asked for (400); also a KeyError, so `except KeyError` works.

    Args:
        field: its name.
        what: what kind of field it is: "field" of a JSON object, "query parameter", "form field", "header".
    """

    def __init__(self, field: object, what: str = "field") -> None:
        super().__init__(400, f"Missing required {what}: {field}")

    __str__ = Exception.__str__  # KeyError's own would show repr(message)


class WebhookError(MinihttpError):
    """A webhook delivery that is not to be trusted; its `status` is what the provider wants to be answered.

    Args:
        reason: one of the codes of `REASONS`; for logs and the inbox, never for the sender.
        message: one sentence for the log; it never holds a secret or an expected signature.
    """

    status = 400
    code = "WebhookError"
    REASONS = (
        "missing_header",
        "malformed_header",
        "invalid_timestamp",
        "no_signature",
        "mismatch",
        "too_old",
        "too_new",
    )

    def __init__(self, reason: str, message: str = "") -> None:
        self.args = (message or reason,)  # which takes half the time of a call
        self.reason = reason


class ValidationError(MinihttpError):
    """A value that does not match its validator: 400 for whoever sent it, otherwise the app's fault."""

    status = 400
    code = "ValidationError"


class ArgumentValidationError(ValidationError):
    """The arguments of a function call do not match its `args`."""

    code = "ArgumentValidationError"

    @classmethod
    def of(cls, error: ValidationError) -> ArgumentValidationError:
        """What is wrong with an argument, as a mistake in the call."""
        found = cls(f"{cls.code}: {error}")
        refusal = error.refusal
        if refusal is not None:
            brief = refusal.brief and f"{cls.code}: {refusal.brief}"
            found.refusal = Refusal(refusal.value, refusal.field, brief)
        return found


class FunctionNotFoundError(MinihttpError):
    """No function of that name, or not one that this caller may see.

    Args:
        message: one sentence that names it.
        path: the name itself.
        hint: makes what follows the message, when somebody reads it: to look for a similar name takes long,
            and strangers ask for what there is not.
    """

    status = 404
    code = "FunctionNotFound"

    def __init__(self, message: str, path: object = None, hint: Callable[[], str] = str) -> None:
        super().__init__(message)
        self.path = path
        self._hint = hint

    def __str__(self) -> str:
        return f"{super().__str__()}{self._hint()}"


class DocumentError(MinihttpError):
    """A document operation that cannot be done: an id of no document or of another table, a bad index range.

    Args:
        code: Convex's word for it, such as `InvalidTable`, `InvalidIndexRange`, `InvalidCursor`.
        message: one sentence that names the value and the rule.
    """

    status = 400

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ScheduleError(ValidationError):
    """A time at which no function can be scheduled."""

    code = "InvalidScheduledFunctionDelay"


class LimitError(MinihttpError):
    """A call went over one of the limits of `limits.py`; nothing of it was written.

    Args:
        code: the limit's word, such as `TooManyDocumentsRead`.
        message: one sentence with the number and the limit.
    """

    status = 400

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DeadlineError(MinihttpError):
    """A function ran longer than its time limit; it was interrupted and undone."""

    status = 408
    code = "FunctionTimedOut"
    public = True


# ---------------------------------------------------------------- the app's own error, on purpose


class ApplicationError(MinihttpError):
    """An error that the app raises for its caller: `data` reaches the client, even in production (Convex's
    ConvexError).

    Args:
        data: any Convex value, for example `{"code": "SOLD_OUT", "item": item_id}`.
    """

    code = "ApplicationError"

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data = data


class SnapshotError(MinihttpError):
    """A snapshot or a backup that cannot be read, does not fit, or is not what its manifest says."""

    status = 400
    code = "BadSnapshot"
    public = True


# ---------------------------------------------------------------- the app author's fault


class ConfigurationError(MinihttpError):
    """A mistake in the app or its settings, found at start-up."""

    code = "ConfigurationError"


def short(message: str, most: int = MAX_MESSAGE_CHARACTERS) -> str:
    """A message, cut where it is longer than anybody reads."""
    return message if len(message) <= most else f"{message[:most]}… ({len(message)} characters)"


def did_you_mean(
    word: str, known: Iterable[str], show: Callable[[str], str] = repr, *, least: float = 0.6
) -> str:
    """`; did you mean …?`, for the end of a message, where one of the known words is near; else nothing.

    Args:
        least: how near, from 0 to 1, where 1 is the same word.
    """
    if len(word) > _MAX_MISSPELT_CHARACTERS:
        return ""
    from difflib import get_close_matches  # rare, and 1.4 ms to import

    near = get_close_matches(word, known, n=1, cutoff=least)
    return f"; did you mean {show(near[0])}?" if near else ""


def no_attribute(thing: object, name: str, hint: str = "") -> AttributeError:
    """What asking for an attribute that is not there raises, with the one that may have been meant.

    Args:
        name: as it was asked for, perhaps in JavaScript's spelling, such as `withIndex`.
        hint: what to write instead, where that is known.
    """
    snake_case = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    known = [word for word in dir(type(thing)) if not word.startswith("_")]
    said = f": {hint}" if hint else did_you_mean(snake_case, known) if name[:1] != "_" else ""
    return AttributeError(f"{type(thing).__name__!r} object has no attribute {name!r}{said}")


def check_variable_name(name: object, where: str) -> str:
    """The name, if an environment variable can be called that and it does not look like a secret itself.

    Raises:
        ConfigurationError: otherwise; the message never holds what was given.
    """
    is_name = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    if not is_name or _looks_secret(str(name)):
        kind = (
            "what looks like the secret itself"
            if isinstance(name, str) and name
            else f"a {type(name).__name__}"
        )
        raise ConfigurationError(
            f"{where} takes the name of an environment variable, such as STRIPE_WEBHOOK_SECRET, not {kind}"
        )
    return str(name)


def _looks_secret(text: str) -> bool:
    """Whether it begins as secrets do, or has a long word of letters and digits mixed."""
    long_words = re.findall(r"[A-Za-z0-9]{16,}", text)
    mixed = any(not word.isalpha() and not word.isdigit() for word in long_words)
    return mixed or text.startswith(("whsec_", "whsk_", "whpk_", "sk_", "rk_", "ghp_", "shpss_", "pdl_"))


class RouteError(ConfigurationError):
    """A route that cannot be registered."""


class SchemaError(ConfigurationError):
    """A validator, table or index that cannot be declared, or stored documents that do not match a new
    schema.
    """


class FunctionError(ConfigurationError):
    """A function that cannot be registered."""


class CronError(ConfigurationError):
    """A cron job that cannot be registered."""


class CallError(MinihttpError):
    """A call that this kind of function may not make, or made too deep (`docs/convex.md` §3)."""

    code = "InvalidCall"


class ReturnsValidationError(MinihttpError):
    """What a function returned does not match its `returns`: the author's fault, 500 for the caller."""

    code = "ReturnsValidationError"


# ---------------------------------------------------------------- the machine's fault


class StorageUnavailableError(MinihttpError):
    """The database or the file store cannot answer now (locked, I/O error, corrupt); try again later.

    Attributes:
        told: what a stranger is told; the message is for the log.
    """

    status = 503
    told = "Storage is not available now"
    code = "StorageUnavailable"


class NotReadyError(StorageUnavailableError):
    """What a changed schema asks for is still under way (503): the same call will do, later."""

    code = "NotReady"
    told = "A change of the schema is being taken in; try again later"


class IndexNotReadyError(NotReadyError):
    """A query on an index into which not all documents have been put yet (503)."""

    code = "IndexNotReady"


class TableNotReadyError(NotReadyError):
    """A table whose documents have not all been compared with its new validator yet (503)."""

    code = "TableNotReady"


class StorageFullError(StorageUnavailableError):
    """No space is left for the write; reads go on (507 Insufficient Storage, RFC 4918 §11.5)."""

    status = 507
    code = "StorageFull"
    told = "No space left to store this"


class DataDirectoryError(ConfigurationError):
    """The data directory cannot be used: locked by another process, not writable, corrupt, of a newer
    version.
    """

    @property
    def is_locked(self) -> bool:
        """Whether another process has it open."""
        return getattr(self.__cause__, "errno", None) == EAGAIN
