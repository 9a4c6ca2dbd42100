# SPDX-License-Identifier: MIT
"""Says why a delivery was refused, by trying what usually goes wrong until the signature matches.

The usual causes, by how often people report them: the body was parsed and written again, the secret has white
space or another prefix, it is another endpoint's secret, a clock is off. Pure: bytes, headers and secrets in,
sentences out; it never shows a secret or an expected signature.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping

from ..errors import ConfigurationError, WebhookError
from .delivery import Headers
from .verifier import Verifier

_MEANINGS = {
    "missing_header": "a header is not there that the provider always sends: another sender, or a proxy",
    "malformed_header": "a header has a form that the provider never sends, or occurs twice",
    "invalid_timestamp": "the timestamp is not a time in whole Unix seconds",
    "no_signature": "the header holds no signature of a version that is known here",
    "mismatch": "no configured secret gives this signature over this body",
    "too_old": "the signature is right, but old: a replay, or a clock that is ahead here",
    "too_new": "the signature is right, but of the future: a clock that is behind here",
}
_NO_BODY = "its body was not kept, so no cause can be tried: http.webhook(…, keep_refused_bodies=True)"
_NO_CAUSE = (
    "none of the usual causes explains it: most likely the secret is of another endpoint or account, or "
    "somebody changed the body"
)
_STYLES = {
    "compactly": {"separators": (",", ":")},
    "compactly, and non-ASCII characters kept": {"separators": (",", ":"), "ensure_ascii": False},
    "with spaces": {},
    "with spaces, and non-ASCII characters kept": {"ensure_ascii": False},
    "indented by two": {"indent": 2},
    "indented by two, and non-ASCII characters kept": {"indent": 2, "ensure_ascii": False},
}


def explain(
    error: WebhookError,
    verifier: Verifier,
    body: bytes | None,
    headers: Headers,
    secrets: Mapping[str, str],
    *,
    others: Mapping[str, str] | None = None,
    url: str = "",
) -> list[str]:
    """Why a delivery was refused: the reason, then what would have made it match, if anything would.

    Args:
        error: with what it was refused.
        body: the raw body; None where it was not kept, then nothing can be tried.
        secrets: name -> secret, of the endpoint, as they are now.
        others: name -> secret, of everything else that is configured.
        url: that the provider was given, where it signs it.
    """
    meaning = f"{error.reason}: {_MEANINGS[error.reason]}"
    if error.reason != "mismatch":
        return [meaning, str(error)]
    if body is None:
        return [meaning, _NO_BODY]

    def matches(secret: str | bytes, text: bytes) -> bool:
        try:
            verifier.verify(text, headers, [secret], tolerance_seconds=None, url=url)
        except (WebhookError, ConfigurationError):
            return False
        return True

    keys = [
        (f"with the secret {name}{how}", key)
        for name, secret in secrets.items()
        for how, key in _keys(secret)
    ]
    keys += [(f"with {name}, which another endpoint uses", secret) for name, secret in (others or {}).items()]
    bodies = [("", body), *_bodies(body)]
    attempts: list[tuple[str, str | bytes, bytes]]
    attempts = [(f"with {name} as it is set now", secret, body) for name, secret in secrets.items()]
    attempts += [(f"{key}{how}", secret, text) for key, secret in keys for how, text in bodies]
    causes = (f"it would match {how}" for how, secret, text in attempts if matches(secret, text))
    return [meaning, next(causes, _NO_CAUSE)]


def _keys(secret: str) -> Iterator[tuple[str, str | bytes]]:
    """The secret as it is, and as it may have been meant."""
    yield "", secret
    bare = secret.strip().strip("'\"")
    if bare.startswith("whsec_"):
        yield " without its prefix 'whsec_'", bare.removeprefix("whsec_")
        yield " taken as text instead of base64", bare.encode()
        yield " taken as text without its prefix", bare.removeprefix("whsec_").encode()
    else:
        yield " with the prefix 'whsec_'", f"whsec_{bare}"
        yield " taken as text instead of base64", bare.encode()
    yield " with a newline at its end, which the sender has", f"{bare}\n".encode()
    try:
        yield " decoded from base64", b64decode(bare.removeprefix("whsec_"), validate=True)
    except ValueError:
        return


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What the sender may have signed instead of the body that arrived."""
    if body.rstrip(b"\r\n") != body:
        yield ", if the body had no newline at its end: something added one", body.rstrip(b"\r\n")
    yield ", if the body ended in a newline: something removed it", body + b"\n"
    if b"\r\n" in body:
        yield ", if its lines ended in LF: something changed them to CR LF", body.replace(b"\r\n", b"\n")
    elif b"\n" in body:
        yield ", if its lines ended in CR LF: something changed them to LF", body.replace(b"\n", b"\r\n")
    if body.startswith(b"\xef\xbb\xbf"):
        yield ", if the body had no byte order mark: something added one", body[3:]
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for name, style in _STYLES.items():
        text = json.dumps(value, **style)  # type: ignore[arg-type]
        again = text.encode("utf-8", "surrogatepass")
        if again != body:
            yield f", if the body were written {name}: something parsed the JSON and wrote it again", again
