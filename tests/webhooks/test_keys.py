# SPDX-License-Identifier: MIT
"""Secrets as keys: as providers show them, as people paste them, and what is refused without being shown."""

from __future__ import annotations

import base64
import hmac

import pytest

from minihttp.errors import ConfigurationError
from minihttp.webhooks.keys import prepare
from minihttp.webhooks.scheme import Scheme

HEX = Scheme(name="hex", signature_header="X-Signature")
BASE64 = HEX._replace(name="base64", encoding="base64", key_encoding="base64", prefix="v1,")
TOKEN = HEX._replace(name="token", algorithm="token", encoding="plain")
KEY = bytes(range(24))
TEXT = base64.b64encode(KEY).decode()


@pytest.mark.parametrize("length", [1, 64, 65, 300])  # a key longer than a block is hashed (RFC 2104 §2)
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_mac_is_that_of_the_standard_library(algorithm: str, length: int) -> None:
    [key] = prepare(b"k" * length, HEX._replace(algorithm=algorithm))
    wanted = hmac.new(b"k" * length, b"before.body", algorithm).hexdigest().encode()
    assert key.sign(b"before.", b"body") == wanted
    assert key.accepts(b"before.", b"body", [b"other", wanted])
    assert not key.accepts(b"before.", b"body", [wanted.upper(), wanted + b" ", b""])


@pytest.mark.parametrize(
    "secret",
    [
        f"whsec_{TEXT}",
        TEXT,
        TEXT.rstrip("="),
        f"v1,whsec_{TEXT}",
        f" 'whsec_{TEXT}'\n",
        f"\u201c{TEXT}\u201d",
        KEY,
    ],
    ids=repr,
)
def test_one_key_however_it_is_shown(secret: str | bytes) -> None:
    [key], [known] = prepare(secret, BASE64), prepare(KEY, BASE64)
    assert key.sign(b"", b"x") == known.sign(b"", b"x")


def test_a_token_is_its_own_signature() -> None:
    [key] = prepare("token", TOKEN)
    assert key.sign(b"1.", b"a") == key.sign(b"", b"b") == b"token"


@pytest.mark.parametrize(
    ("secret", "scheme", "message"),
    [
        ((), HEX, "no webhook secret is given"),
        ("", HEX, "empty or blank"),
        (b" \n", HEX, "empty or blank"),
        (5, HEX, "must be text or bytes, not int"),
        ("first\nsecond", HEX, "two secrets are a list of two"),
        ("'topmost", HEX, "a quote that is not closed"),
        ("\ud800topmost", HEX, "UTF-8 cannot encode"),
        ("whpk_topmost", BASE64, "an Ed25519 key, not an HMAC secret"),
        ("acme_topmost", BASE64, "'acme_': a prefix that is not known here"),
        ("whsec_topmost!", BASE64, "is not base64 after its prefix"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_shown(secret: object, scheme: Scheme, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        prepare(secret, scheme)  # type: ignore[arg-type]
    assert "topmost" not in str(caught.value) and "first" not in str(caught.value)
