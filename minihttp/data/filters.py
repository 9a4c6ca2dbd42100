# SPDX-License-Identifier: MIT
"""Filter expressions: `lambda q: q.and_(q.eq(q.field("done"), False), q.gt(q.field("n"), 3))`.

An expression is a function of a document, with a text that tells it from others. Comparison is the total
order of all values, so a missing field is below everything (`docs/convex.md` §4). Knows no engine.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import DocumentError, no_attribute
from ..values import UNSET, Int64, compare, copy, dumps, show
from .catalog import Document, field_value

_INT64_MODULUS = 2**64


class Expression:
    """A value worked out for each document; Python's own `and`, `not` and `==` would give something else.

    Attributes:
        text: what tells it from others.
        value: a function of the document.
        reads: whether it looks at a field.
    """

    __slots__ = ("reads", "text", "value")

    def __init__(self, text: str, value: Callable[[Document], Any], reads: bool) -> None:
        self.text = text
        self.value = value
        self.reads = reads

    def _refuse(self, *others: object) -> bool:
        raise _invalid(
            f"{self.text} has no value before there is a document: write q.and_, q.or_, q.not_, q.eq and"
            " q.neq for and, or, not, == and !="
        )

    __bool__ = __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


def expression(operand: Any) -> Expression:
    """An operand as an expression; what is none already is a constant."""
    if isinstance(operand, Expression):
        return operand
    constant = operand if operand is UNSET else copy(operand)
    return Expression("undefined" if constant is UNSET else dumps(constant), lambda document: constant, False)


def _invalid(message: str) -> DocumentError:
    return DocumentError("InvalidFilter", message)


def _comparison(name: str, holds: Callable[[int, int], bool]) -> Callable[[Filter, Any, Any], Expression]:
    def build(self: Filter, left: Any, right: Any) -> Expression:
        a, b = expression(left), expression(right)
        if not (a.reads or b.reads):
            raise _invalid(
                f"{name}({a.text},{b.text}) is the same for every document: write q.field(name) for a field"
            )
        return Expression(
            f"{name}({a.text},{b.text})",
            lambda document: holds(compare(a.value(document), b.value(document)), 0),
            a.reads or b.reads,
        )

    build.__doc__ = f"Whether left {name} right, in the order of all values."
    return build


def _arithmetic(
    name: str, int64: Callable[[int, int], int], float64: Callable[[float, float], float]
) -> Callable[[Filter, Any, Any], Expression]:
    def calculate(x: Any, y: Any) -> Any:
        if isinstance(x, Int64) and isinstance(y, Int64):
            return Int64((int64(x, y) + 2**63) % _INT64_MODULUS - 2**63)  # wraps, as 64-bit integers do
        if _is_float64(x) and _is_float64(y):
            return float64(float(x), float(y))
        raise _invalid(f"{name} needs two int64 or two float64, not {_shown(x)} and {_shown(y)}")

    def build(self: Filter, left: Any, right: Any) -> Expression:
        a, b = expression(left), expression(right)
        return Expression(
            f"{name}({a.text},{b.text})",
            lambda document: calculate(a.value(document), b.value(document)),
            a.reads or b.reads,
        )

    build.__doc__ = f"{name} of two int64 or two float64."
    return build


def _is_float64(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, (bool, Int64))


def _shown(value: Any) -> str:
    return "undefined" if value is UNSET else show(value)


def _truncating_div(x: int, y: int) -> int:
    if y == 0:
        raise _invalid(f"div of {x} by zero")
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _truncating_mod(x: int, y: int) -> int:
    return x - y * _truncating_div(x, y)


def _float_div(x: float, y: float) -> float:
    if y:
        return x / y
    return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1.0, y)


def _float_mod(x: float, y: float) -> float:
    return math.fmod(x, y) if y and math.isfinite(x) else math.nan


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _invalid(f"{name} needs booleans, not {_shown(value)}")
    return value


class Filter:
    """What the function given to `filter` builds with: `q`."""

    if not TYPE_CHECKING:  # so that type checkers find what is not there

        def __getattr__(self, name: str) -> Any:
            hint = "" if name[:1] == "_" else f'write q.eq(q.field("{name}"), value)'
            raise no_attribute(self, name, hint)

        def __getitem__(self, name: Any) -> Any:
            said = f"write q.eq(q.field({show(name)}), value)"
            raise TypeError(f"filter gets no document, but what builds an expression: {said}")

    eq = _comparison("eq", operator.eq)
    neq = _comparison("neq", operator.ne)
    lt = _comparison("lt", operator.lt)
    lte = _comparison("lte", operator.le)
    gt = _comparison("gt", operator.gt)
    gte = _comparison("gte", operator.ge)
    add = _arithmetic("add", operator.add, operator.add)
    sub = _arithmetic("sub", operator.sub, operator.sub)
    mul = _arithmetic("mul", operator.mul, operator.mul)
    div = _arithmetic("div", _truncating_div, _float_div)
    mod = _arithmetic("mod", _truncating_mod, _float_mod)

    def field(self, path: str) -> Expression:
        """The value at a field path such as `"address.city"`; UNSET where there is none."""
        if not isinstance(path, str) or not all(path.split(".")):
            raise _invalid(f"field needs a field path, not {show(path)}")
        parts = tuple(path.split("."))
        return Expression(f"field({path})", lambda document: field_value(document, parts), True)

    def neg(self, operand: Any) -> Expression:
        """Minus an int64 or a float64."""
        a = expression(operand)

        def negate(document: Document) -> Any:
            value = a.value(document)
            if isinstance(value, Int64):
                return Int64((-value + 2**63) % _INT64_MODULUS - 2**63)
            if _is_float64(value):
                return -float(value)
            raise _invalid(f"neg needs an int64 or a float64, not {_shown(value)}")

        return Expression(f"neg({a.text})", negate, a.reads)

    def and_(self, *operands: Any) -> Expression:
        """Whether all are true; stops at the first that is not."""
        return _joined("and", all, operands)

    def or_(self, *operands: Any) -> Expression:
        """Whether one is true; stops at the first that is."""
        return _joined("or", any, operands)

    def not_(self, operand: Any) -> Expression:
        """Whether it is false."""
        a = expression(operand)
        return Expression(f"not({a.text})", lambda document: not _boolean("not", a.value(document)), a.reads)


def _joined(name: str, test: Callable[[Iterable[bool]], bool], operands: tuple[Any, ...]) -> Expression:
    """`and` or `or` of its operands, read only as far as it must."""
    parts = [expression(operand) for operand in operands]
    return Expression(
        f"{name}({','.join(part.text for part in parts)})",
        lambda document: test(_boolean(name, part.value(document)) for part in parts),
        any(part.reads for part in parts),
    )


def build_filter(build: Callable[[Filter], Any]) -> Expression:
    """The expression that a function given to `filter` makes; its value for a document is a boolean.

    Raises:
        DocumentError: for what is no function, and for a comparison without any field.
    """
    if not callable(build):
        raise _invalid(f"filter takes a function such as lambda q: q.eq(q.field(name), 1), not {show(build)}")
    a = expression(build(Filter()))
    return Expression(a.text, lambda document: _boolean("filter", a.value(document)), a.reads)
