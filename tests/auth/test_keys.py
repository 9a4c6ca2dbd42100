# SPDX-License-Identifier: MIT
"""Signatures: the examples that RFCs print, and forged PKCS #1 blocks of every kind that Wycheproof lists."""

from __future__ import annotations

from hashlib import sha1, sha256, sha512
from typing import Any

import pytest

from minihttp.auth import crypto
from minihttp.auth.keys import Verify, key, key_set, rsa_key, secret_key
from minihttp.auth.token import decode_base64url
from tests.auth.makers import ONE, SHA256_PREFIX, RSAKey, block

MESSAGE = b"header.payload"
HASH = sha256(MESSAGE).digest()
THREE = RSAKey("three")


def rsa_keys(modulus: int, exponent: int) -> list[Verify]:
    """Both ways to check RS256: Python's own arithmetic, and OpenSSL's where it is there."""
    made = [rsa_key(modulus, exponent)]
    return [*made, crypto.rsa_key(modulus, exponent)] if crypto.is_installed() else made


# RFC 7515 A.1 to A.3 and RFC 8037 A.4
EXAMPLE_CLAIMS = (
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
EXAMPLES: dict[str, tuple[dict[str, str], str, str]] = {
    "RS256": (
        {
            "kty": "RSA",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
            "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX"
            "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5"
            "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            "e": "AQAB",
        },
        f"eyJhbGciOiJSUzI1NiJ9.{EXAMPLE_CLAIMS}",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
        "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
        "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
        "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    "ES256": (
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        f"eyJhbGciOiJFUzI1NiJ9.{EXAMPLE_CLAIMS}",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    "EdDSA": (
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
}


@pytest.mark.parametrize("algorithm", EXAMPLES)
def test_the_examples_of_the_rfcs(algorithm: str) -> None:
    if algorithm != "RS256":
        pytest.importorskip("cryptography")
    jwk, signing_input, signature = EXAMPLES[algorithm]
    verify = key(jwk, algorithm)
    data, signed = signing_input.encode(), decode_base64url(signature)
    assert verify(data, signed)
    for at in range(len(signed) * 8):
        flipped = bytearray(signed)
        flipped[at // 8] ^= 1 << at % 8
        assert not verify(data, bytes(flipped))
    for wrong in (b"", signed[:-1], signed + b"\0", b"\0" + signed, bytes(len(signed)), signed * 2):
        assert not verify(data, wrong)
    assert not verify(data + b"A", signed)


def test_the_example_of_hs256() -> None:
    secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    data = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{EXAMPLE_CLAIMS}".encode()
    signed = decode_base64url("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    verify = secret_key(decode_base64url(secret))
    assert verify(data, signed) and not verify(data, signed[:-1]) and not verify(data, b"")


def tlv(tag: int, value: bytes) -> bytes:
    return bytes([tag, len(value)]) + value


OID = bytes.fromhex("0609608648016503040201")
GOOD = SHA256_PREFIX + HASH
FORGED = {
    "no NULL": tlv(0x30, tlv(0x30, OID) + tlv(4, HASH)),
    "a NULL with a value": tlv(0x30, tlv(0x30, OID + b"\5\1\0") + tlv(4, HASH)),
    "a long length": b"\x30\x81" + GOOD[1:],
    "an indefinite length": b"\x30\x80" + GOOD[2:] + b"\0\0",
    "a length with zeros": b"\x30\x82\0" + GOOD[1:],
    "bytes after the hash": GOOD + b"\0",
    "bytes inside the digest": tlv(0x30, tlv(0x30, OID + b"\5\0") + tlv(4, HASH + b"\0")),
    "a short digest": tlv(0x30, tlv(0x30, OID + b"\5\0") + tlv(4, HASH[:-1])),
    "another hash's name": GOOD.replace(OID, bytes.fromhex("0609608648016503040202")),
    "SHA-1": bytes.fromhex("3021300906052b0e03021a05000414") + sha1(MESSAGE).digest(),
    "SHA-512": bytes.fromhex("3051300d060960864801650304020305000440") + sha512(MESSAGE).digest(),
    "the hash alone": HASH,
    "another tag": b"\x31" + GOOD[1:],
    "a sequence in the sequence": tlv(0x30, GOOD),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_block_with_another_digest_info(name: str) -> None:
    for private in (ONE, THREE):
        for verify in rsa_keys(private.n, private.e):
            assert verify(MESSAGE, private.sign(MESSAGE))
            assert not verify(MESSAGE, private.sign_block(block(private.size, FORGED[name])))


def padded(head: bytes, padding: bytes, tail: bytes = b"") -> bytes:
    return head + padding + b"\0" + GOOD + tail


FULL = 256 - 3 - len(GOOD)
PADDINGS = {
    "block type 0": padded(b"\0\0", b"\0" * FULL),
    "block type 2": padded(b"\0\2", b"\xff" * FULL),
    "a first byte": padded(b"\1\1", b"\xff" * FULL),
    "short padding and a tail": padded(b"\0\1", b"\xff" * 8, bytes(FULL - 8)),
    "no padding and a tail": padded(b"\0\1", b"", b"\xff" * FULL),
    "a byte of padding that is wrong": padded(b"\0\1", b"\xff" * (FULL - 1) + b"\xfe"),
    "no byte of zero": b"\0\1" + b"\xff" * (FULL + 1) + GOOD,
    "a zero within": padded(b"\0\1", b"\xff" * 9 + b"\0" + b"\xff" * (FULL - 10)),
}


@pytest.mark.parametrize("name", PADDINGS)
def test_a_block_with_other_padding(name: str) -> None:
    assert len(PADDINGS[name]) == 256
    for private in (ONE, THREE):
        number = int.from_bytes(PADDINGS[name], "big") % private.n
        signature = private.sign_block(number.to_bytes(256, "big"))
        assert not any(verify(MESSAGE, signature) for verify in rsa_keys(private.n, private.e))


def test_a_forged_cube_root() -> None:
    """Bleichenbacher 2006: with e = 3, a root will do where nobody looks at what follows the hash."""
    target = int.from_bytes(b"\0\1" + b"\xff" * 8 + b"\0" + GOOD + b"\xff" * (FULL - 8), "big")
    low, high = 0, 1 << 1024
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= target else (low, middle - 1)
    forged = low.to_bytes(256, "big")
    assert pow(low, 3).to_bytes(256, "big").startswith(b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_PREFIX)
    assert not any(verify(MESSAGE, forged) for verify in rsa_keys(THREE.n, 3))


@pytest.mark.parametrize("verify", rsa_keys(ONE.n, ONE.e))
def test_a_signature_has_one_spelling(verify: Verify) -> None:
    signature = ONE.sign(MESSAGE)
    for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, signature * 2):
        assert not verify(MESSAGE, wrong)
    number = int.from_bytes(signature, "big")
    assert verify(MESSAGE, signature)
    if number + ONE.n < 1 << 2048:
        assert not verify(MESSAGE, (number + ONE.n).to_bytes(256, "big"))
    assert not verify(MESSAGE, (number + ONE.n).to_bytes(257, "big"))
    assert not verify(MESSAGE, (ONE.n - number).to_bytes(256, "big"))
    for special in (0, 1, 2, ONE.n - 1, ONE.n, ONE.n + 1, (1 << 2048) - 1):
        assert not verify(MESSAGE, special.to_bytes(256, "big"))


WEAK = RSAKey("weak")


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [(WEAK.n, 65_537), (0, 3), (ONE.n, 1), (ONE.n, 65_536), (ONE.n, 0), (ONE.n, 2**64 + 1), (1 << 17_000, 3)],
    ids=["1024 bits", "0", "e = 1", "an even e", "e = 0", "a long e", "17,000 bits"],
)
def test_a_weak_key_is_refused(modulus: int, exponent: int) -> None:
    with pytest.raises(ValueError, match=r"2,048 bits"):
        rsa_key(modulus, exponent)


def test_a_set_of_keys_passes_over_what_cannot_check() -> None:
    jwk = ONE.jwk("good")
    passed_over: list[Any] = [
        {**jwk, "kid": "for encryption", "use": "enc"},
        {**jwk, "kid": "another algorithm", "alg": "RS512"},
        {**jwk, "kid": "HS256", "alg": "HS256"},
        {**jwk, "kid": "signs only", "key_ops": ["sign"]},
        {**jwk, "kid": "odd operations", "key_ops": "verify"},
        {**jwk, "kid": "symmetric", "kty": "oct", "k": "AAAA"},
        {**jwk, "kid": "no modulus", "n": None},
        {**jwk, "kid": "padded", "n": jwk["n"] + "=="},
        {**jwk, "kid": "even", "e": "Ag"},
        {name: value for name, value in jwk.items() if name != "kid"},
        WEAK.jwk("weak"),
        {"kty": "EC", "crv": "P-256", "kid": "curve", "x": "AA", "y": "AA"},
        7,
        None,
    ]
    assert set(key_set({"keys": [*passed_over, jwk]}, "RS256")) == {"good"}


@pytest.mark.parametrize("data", [None, [], {}, {"keys": {}}, {"keys": None}, "keys"])
def test_what_is_no_set_of_keys(data: Any) -> None:
    with pytest.raises(ValueError, match="JWK Set"):
        key_set(data, "RS256")


@pytest.mark.parametrize(
    ("algorithm", "change"),
    [
        ("ES256", {"x": "AAAA"}),
        ("ES256", {"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aA"}),
        ("EdDSA", {"x": "AAAA"}),
    ],
)
def test_a_point_that_is_not_on_the_curve(algorithm: str, change: dict[str, str]) -> None:
    pytest.importorskip("cryptography")
    jwk = {**EXAMPLES[algorithm][0], **change, "kid": "k"}
    assert key_set({"keys": [jwk]}, algorithm) == {}
