# SPDX-License-Identifier: MIT
"""RFC 8032 §7.1, and the edge cases on which Ed25519 libraries disagree: here, all are refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minihttp.webhooks import curve25519, ed25519
from minihttp.webhooks.curve25519 import public_key, sign

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
RFC_8032 = {  # §7.1: name -> (private key, public key, message, signature)
    "test 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    "test 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "test 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    "test sha(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
}
SEED = bytes.fromhex(RFC_8032["test 1"][0])
MESSAGE = b"message"
SIGNATURE = sign(SEED, MESSAGE)
R, S = SIGNATURE[:32], int.from_bytes(SIGNATURE[32:], "little")


def number(value: int) -> bytes:
    return value.to_bytes(32, "little")


SMALL_ORDER = {  # every encoding of the eight points: canonical, with a sign that x = 0 has not, and y + P
    "order 1": number(1),
    "order 1, negative zero": number(1 | 1 << 255),
    "order 1, y + P": number(1 + P),
    "order 1, y + P, negative zero": number(1 + P | 1 << 255),
    "order 2": number(P - 1),
    "order 2, negative zero": number(P - 1 | 1 << 255),
    "order 4": number(0),
    "order 4, other sign": number(1 << 255),
    "order 4, y + P": number(P),
    "order 4, y + P, other sign": number(P | 1 << 255),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "order 8, other sign": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    "order 8, other y": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "order 8, both": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
}


@pytest.fixture(params=[ed25519, curve25519], ids=["cryptography", "fallback"])
def ed(request: pytest.FixtureRequest) -> Any:
    if request.param is ed25519 and not ed25519.IS_NATIVE:
        pytest.skip("the package cryptography is not installed")
    return request.param


@pytest.mark.parametrize("vector", RFC_8032.values(), ids=RFC_8032)
def test_the_vectors_of_the_rfc(ed: Any, vector: tuple[str, str, str, str]) -> None:
    seed, public, message, signature = map(bytes.fromhex, vector)
    assert ed.public_key(seed) == public
    assert ed.sign(seed, message) == signature
    assert ed.PublicKey(public).verify(message, signature)
    assert not ed.PublicKey(public).verify(message + b"\0", signature)


@pytest.mark.parametrize("s", [S + L, S + 2 * L, L, L - S, S ^ 1, S | 1 << 255, 0, 2**256 - 1])
def test_s_has_one_spelling(ed: Any, s: int) -> None:
    """S + L gives the same point: without the bound, whoever holds a signature could write a second one."""
    assert not ed.PublicKey(public_key(SEED)).verify(MESSAGE, R + number(s))


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:63], SIGNATURE + b"\0", SIGNATURE * 2, R])
def test_a_signature_has_64_bytes(ed: Any, signature: bytes) -> None:
    assert not ed.PublicKey(public_key(SEED)).verify(MESSAGE, signature)


@pytest.mark.parametrize("r", [number(2), number(P + 3), b"\xff" * 32, bytes([*R[:31], R[31] ^ 0x80])])
def test_r_that_is_no_point_or_another_spelling_is_refused(ed: Any, r: bytes) -> None:
    assert not ed.PublicKey(public_key(SEED)).verify(MESSAGE, r + number(S))


@pytest.mark.parametrize("encoded", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_a_point_of_small_order_is_no_key_and_no_r(ed: Any, encoded: bytes) -> None:
    """Under such a key anybody can sign: S·B = R + k·A holds for one message in eight, or for all."""
    with pytest.raises(ValueError):
        ed.PublicKey(encoded)
    digest = hashlib.sha512(encoded + public_key(SEED) + MESSAGE).digest()
    k = int.from_bytes(digest, "little") % L
    a = int.from_bytes(hashlib.sha512(SEED).digest()[:32], "little") & (2**254 - 8) | 2**254
    # Right, were R the neutral point
    assert not ed.PublicKey(public_key(SEED)).verify(MESSAGE, encoded + number(k * a % L))


@pytest.mark.parametrize("encoded", [number(2), number(P + 3), b"\xff" * 32, b"", number(3)[:31], bytes(33)])
def test_a_key_that_is_no_point_in_its_one_encoding_is_refused(ed: Any, encoded: bytes) -> None:
    with pytest.raises(ValueError):
        ed.PublicKey(encoded)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), bit=st.integers(0, 511))
def test_what_is_signed_verifies_and_no_bit_of_it_may_change(
    ed: Any, seed: bytes, message: bytes, bit: int
) -> None:
    key, signature = ed.PublicKey(ed.public_key(seed)), ed.sign(seed, message)
    assert key.verify(message, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not key.verify(message, bytes(changed))
