# SPDX-License-Identifier: MIT
"""Ed25519 (RFC 8032 §5.1) on Python's integers: what `ed25519.py` uses where `cryptography` is not installed.

Strict: one encoding of every number and point, `S` below the group's order, no key and no `R` of small order,
and the equation without the cofactor; so a signature has one spelling, and libraries that differ elsewhere
agree on what is accepted here. A check costs one to two milliseconds.

Nothing here takes constant time. Verifying handles no secret; signing does, so sign only where nobody can
measure it. Knows no webhooks.
"""

from __future__ import annotations

from hashlib import sha512

Point = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z and xy = T/Z (§5.1.4)."""

_P = 2**255 - 19  # the field's prime
_L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
_D = -121665 * pow(121666, -1, _P) % _P  # of the curve -x² + y² = 1 + D·x²y²
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_ZERO: Point = (0, 1, 1, 0)


def _add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] % _P * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(p: Point) -> Point:
    x, y, z, _ = p
    a, b = x * x % _P, y * y % _P
    h, g = a + b, a - b
    e, f = h - (x + y) * (x + y) % _P, g + 2 * z * z % _P
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _negative(p: Point) -> Point:
    return -p[0] % _P, p[1], p[2], -p[3] % _P


def _is_small(p: Point) -> bool:
    """Whether the point's order divides the cofactor 8: its multiples are a handful of points."""
    x, y, z, _ = _double(_double(_double(p)))
    return x == 0 and y == z


def _encode(p: Point) -> bytes:
    """§5.1.2: y, and the lowest bit of x as the highest bit."""
    inverse = pow(p[2], -1, _P)
    x, y = p[0] * inverse % _P, p[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(text: bytes) -> Point:
    """§5.1.3; ValueError for what is no point, or not spelled as `_encode` does.

    The rule on the sign of x = 0 is left out: both points that have it are of small order, so no keys.
    """
    number = int.from_bytes(text, "little")
    y, sign = number % 2**255, number >> 255
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if len(text) != 32 or y >= _P or v * x * x % _P != u:
        raise ValueError("not a point of edwards25519 in its one encoding")
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE = decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))


def _sum(table: tuple[Point, Point, Point, Point], s: int, k: int) -> Point:
    """`s·P + k·Q` for the table (0, P, Q, P + Q), in one pass over the bits of both (Straus)."""
    total = _ZERO
    for bit in range(max(s, k).bit_length() - 1, -1, -1):
        total = _double(total)
        chosen = (s >> bit & 1) + 2 * (k >> bit & 1)
        if chosen:
            total = _add(total, table[chosen])
    return total


def _times_base(s: int) -> bytes:
    return _encode(_sum((_ZERO, _BASE, _ZERO, _BASE), s, 0))


def _challenge(*parts: bytes) -> int:
    return int.from_bytes(sha512(b"".join(parts)).digest(), "little") % _L


class PublicKey:
    """A public key, decoded once.

    Args:
        encoded: its 32 bytes.

    Raises:
        ValueError: they are no point, or one of small order, under which anybody can sign.
    """

    __slots__ = ("_encoded", "_table")

    def __init__(self, encoded: bytes) -> None:
        point = _negative(decode(encoded))
        if _is_small(point):
            raise ValueError("a public key of small order")
        self._encoded = encoded
        self._table = (_ZERO, _BASE, point, _add(_BASE, point))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the 64 bytes are this key's signature of the message (§5.1.7); False for any other bytes.

        `R` is compared as it is spelled, so that its encoding needs no check of its own.
        """
        r, s = signature[:32], int.from_bytes(signature[32:], "little")
        if len(signature) != 64 or s >= _L:
            return False
        point = _sum(self._table, s, _challenge(r, self._encoded, message))
        return _encode(point) == r and not _is_small(point)


def _expand(seed: bytes) -> tuple[int, bytes]:
    """§5.1.5: the secret scalar, clamped, and the prefix of what is hashed to a nonce."""
    digest = sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    return scalar, digest[32:]


def public_key(seed: bytes) -> bytes:
    """The 32 bytes of the public key that belongs to a private key's 32 bytes."""
    return _times_base(_expand(seed)[0])


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of a signature (§5.1.6), not in constant time."""
    scalar, prefix = _expand(seed)
    nonce = _challenge(prefix, message)
    r = _times_base(nonce)
    s = (nonce + _challenge(r, public_key(seed), message) * scalar) % _L
    return r + s.to_bytes(32, "little")
