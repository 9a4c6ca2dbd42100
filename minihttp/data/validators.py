# SPDX-License-Identifier: MIT
"""`v`: what a value must look like, and the sentence when it does not.

`validator.check(value)` returns the value in its stored form: an int for `v.int64()` is an Int64, absent
fields are gone. The first lines of the messages are Convex's (`crates/common/src/schemas/validator.rs`). A
`str(validator)` is its text in those messages, and its identity. Knows documents only as values; nothing of
databases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Refusal, SchemaError, ValidationError, did_you_mean
from ..shown import name_shown
from ..values import MAX_EXACT_INT, UNSET, Int64, copy, show
from . import ids

PUBLIC_SYSTEM_TABLES = ("_storage", "_scheduled_functions")  # what `ctx.db.system` shows


class Mismatch(ValidationError):
    """A value that does not match; containers add their part of the path while it passes."""

    def __init__(self, first_line: str, value: Any, field: str | None = None, **details: object) -> None:
        """
        Args:
            value: what is refused; the object where a field of it is too many or missing, named by `field`.
            details: further lines of the message.
        """
        super().__init__(first_line)
        self.path: list[str] = []
        self.value = value
        self.field = field
        self.details = details

    def as_error(self, path: str) -> ValidationError:
        """The error for whoever asked for the check."""
        error = ValidationError(self._sentence(path, self.details))
        brief = {name: text for name, text in self.details.items() if name != "Object"}
        error.refusal = Refusal(self.value, self.field, self._sentence(path, brief))
        return error

    def _sentence(self, path: str, details: Mapping[str, object]) -> str:
        path += "".join(reversed(self.path))
        lines = [f"{name}: {text}" for name, text in details.items()]
        return "\n".join([str(self.args[0]), *([f"Path: {path}"] if path else []), *lines])


class Validator:
    """One rule for one value. Made by `v`; compared and shown by its text."""

    text = "v.any()"
    accepts_null = False
    is_optional = False
    parts: tuple[Validator, ...] = ()  # the validators inside this one

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Validator) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def check(self, value: Any, path: str = "") -> Any:
        """The value in its stored form.

        Args:
            value: any object.
            path: where the value stands, for the message.

        Raises:
            ValidationError: naming the rule, the path, the value and the validator.
        """
        try:
            return self.match(value)
        except Mismatch as mismatch:
            raise mismatch.as_error(path) from None

    def problems(self, value: Any) -> list[str]:
        """Every reason why a value does not match, at most 20, each with the field's path."""
        from .problems import problems

        return problems(self, value)

    def match(self, value: Any) -> Any:
        """As `check`, raising Mismatch: what containers call."""
        raise NotImplementedError

    def take(self, value: Any) -> Any:
        """As `match`, but UNSET for what does not match: what unions call."""
        try:
            return self.match(value)
        except ValidationError:
            return UNSET

    def match_all(self, values: Collection[Any]) -> list[Any] | None:
        """`match` of each of many values, without a loop of ours; None where each is to be looked at."""
        return None

    def mismatch(self, value: Any) -> Mismatch:
        return Mismatch("Value does not match validator.", value, Value=_Shown(value), Validator=self)

    def as_optional(self) -> Validator:
        """`v.optional(self)`."""
        return Optional(self)


class _Shown:
    """A value in a message that may never be read: unions pass over most of theirs."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return show(self._value)


class Scalar(Validator):
    """A value of one type.

    Args:
        exact: the Python type that is stored as it is.
        accept: for any other type: the stored form, or UNSET.
        accept_all: for many values: as `match_all`.
    """

    def __init__(
        self,
        text: str,
        exact: type | None,
        accept: Callable[[Any], Any],
        accept_all: Callable[[Collection[Any]], list[Any] | None] = lambda values: None,
        *,
        accepts_null: bool = False,
    ) -> None:
        self.text = text
        self.exact = exact
        self._accept = accept
        self._accept_all = accept_all
        self.accepts_null = accepts_null

    def match_all(self, values: Collection[Any]) -> list[Any] | None:
        return list(values) if set(map(type, values)) == {self.exact} else self._accept_all(values)

    def take(self, value: Any) -> Any:
        if type(value) is self.exact:
            return value
        try:
            return self._accept(value)
        except ValidationError:
            return UNSET

    def match(self, value: Any) -> Any:
        if type(value) is self.exact:
            return value
        accepted = self._accept(value)
        if accepted is UNSET:
            raise self.mismatch(value)
        return accepted


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return value
    if not isinstance(value, int) or isinstance(value, (bool, Int64)):
        return UNSET
    if not -MAX_EXACT_INT <= value <= MAX_EXACT_INT:
        raise Mismatch(
            f"Integer {show(value)} is beyond ±2^53, where a number is not exact; use v.int64() for it.",
            value,
            Validator="v.number()",
        )
    return value


def _numbers(values: Collection[Any]) -> list[Any] | None:
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    ints = [value for value in values if type(value) is int]
    is_exact = not ints or (min(ints) >= -MAX_EXACT_INT and max(ints) <= MAX_EXACT_INT)
    return list(values) if is_exact else None


_NUMBERS = frozenset([int, float])


def _int64(value: Any) -> Any:
    return Int64(value) if isinstance(value, int) and not isinstance(value, bool) else UNSET


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else UNSET


def _any(value: Any) -> Any:
    try:
        return copy(value)
    except ValidationError as error:
        refused = error.refusal.value if error.refusal else value
        raise Mismatch(str(error), refused, Validator="v.any()") from None


def _any_all(values: Collection[Any]) -> list[Any] | None:
    try:
        copied: list[Any] = copy([*values])
    except ValidationError:
        return None
    return copied


_BYTES = bytes  # inside `v` that name is a validator


class Id(Validator):
    def __init__(self, table: str) -> None:
        if not isinstance(table, str):
            raise SchemaError(f"v.id(tableName) requires a string, not {show(table)}")
        self.table = table
        self.text = f'v.id("{table}")'
        self._tag = ids.declare(table)

    def match(self, value: Any) -> Any:
        if not ids.is_id(value):
            raise self.mismatch(value)
        if not value.startswith(self._tag):
            other = ids.table_of(value)
            source = f"table `{other}`" if other else "another table"
            raise Mismatch(
                f'Found ID "{value}" from {source}, '
                f"which does not match the table name in validator `{self}`.",
                value,
            )
        return value


class Literal(Validator):
    def __init__(self, value: str | int | float | bool) -> None:
        if not isinstance(value, (str, int, float)):
            raise SchemaError(f"v.literal(value) must be a string, number, or boolean, not {show(value)}")
        self.value = value
        self._kind = _literal_kind(value)
        self.text = f"v.literal({show(value)})"

    def take(self, value: Any) -> Any:
        is_same = value == self.value and _literal_kind(value) is self._kind
        return self.value if is_same else UNSET

    def match(self, value: Any) -> Any:
        if (taken := self.take(value)) is UNSET:
            raise Mismatch(f"`{show(value)}` does not match literal validator `{self}`.", value)
        return taken


def _literal_kind(value: Any) -> Any:
    """The Convex type of a literal: 1 and 1.0 are one number, True is none, Int64(1) is another."""
    return next((kind for kind in _LITERAL_KINDS if isinstance(value, kind)), None)


_LITERAL_KINDS = (bool, Int64, (int, float), str)


class Array(Validator):
    def __init__(self, element: Validator) -> None:
        self.element = _required(element, "v.array()")
        self.parts = (element,)
        self.text = f"v.array({element})"

    def match(self, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise self.mismatch(value)
        if (whole := self.element.match_all(value)) is not None:
            return whole
        match, out = self.element.match, []
        try:
            for item in value:
                out.append(match(item))
        except Mismatch as mismatch:
            mismatch.path.append(f"[{len(out)}]")
            raise
        return out


class Object(Validator):
    """An object with exactly these fields."""

    def __init__(self, fields: Mapping[str, Validator]) -> None:
        for name, field in fields.items():
            _validator(field, "v.object()", f" (field {show(name)})")
            if not (isinstance(name, str) and name.isascii() and name.isprintable()) or name[:1] in ("", "$"):
                raise SchemaError(
                    f"v.object() field name {show(name)} must be printable ASCII and not begin with $"
                )
        self.fields = dict(fields)
        self.parts = tuple(fields.values())
        self.text = "v.object({" + ", ".join(f"{name}: {fields[name]}" for name in sorted(fields)) + "})"

    def match(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise self.mismatch(value)
        out = {}
        for name, field in self.fields.items():
            item = value.get(name, UNSET)
            if item is UNSET or (item is None and field.is_optional and not field.accepts_null):
                if not field.is_optional:
                    raise self._missing(name, value)
                continue
            try:
                out[name] = field.match(item)
            except Mismatch as mismatch:
                mismatch.path.append(f".{name}")
                raise
        if len(out) < len(value):
            self._refuse_extra(value)
        return out

    def _refuse_extra(self, value: dict[str, Any]) -> None:
        for name in value:
            if name not in self.fields and value[name] is not UNSET:
                raise Mismatch(
                    f"Object contains extra field `{name_shown(name)}` that is not in the validator.",
                    value,
                    name,
                    Object=_Shown(value),
                    Validator=self,
                )

    def _missing(self, name: str, value: Any) -> Mismatch:
        return Mismatch(
            f"Object is missing the required field `{name}`. Consider wrapping the field validator in "
            "`v.optional(...)` if this is expected.",
            value,
            name,
            Object=_Shown(value),
            Validator=self,
        )

    def omit(self, *names: str) -> Object:
        """The same object without some fields."""
        self._known(names)
        return Object({name: field for name, field in self.fields.items() if name not in names})

    def pick(self, *names: str) -> Object:
        """The same object with only some fields."""
        self._known(names)
        return Object({name: self.fields[name] for name in names})

    def partial(self) -> Object:
        """The same object, every field optional."""
        return Object({name: field.as_optional() for name, field in self.fields.items()})

    def extend(self, fields: Mapping[str, Validator]) -> Object:
        """The same object with more fields; one of the same name is replaced."""
        return Object({**self.fields, **fields})

    def _known(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self.fields:
                raise SchemaError(f"{self} has no field {show(name)}")


_RESERVED = frozenset("$_")


class Record(Validator):
    def __init__(self, keys: Validator, values: Validator) -> None:
        self.keys = _validator(keys, "v.record()")
        self.values = _validator(values, "v.record()")
        if keys.is_optional or values.is_optional:
            raise SchemaError("Record validator cannot have optional values")
        self.parts = (keys, values)
        self.text = f"v.record({keys}, {values})"

    def match(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise self.mismatch(value)
        if (items := self.values.match_all(value.values())) is not None:
            names = self.keys.match_all(value)
            odd = value if names is None else [name for name in names if name[:1] in _RESERVED]
            checked = [self._key(name) for name in odd]
            return dict(zip(names or checked, items, strict=True))
        out = {}
        for name, item in value.items():
            if item is not UNSET:
                out[self._key(name)] = self._item(name, item)
        return out

    def _key(self, name: Any) -> Any:
        try:
            if not isinstance(name, str) or name[:1] in _RESERVED:
                raise Mismatch(
                    f"Record key {show(name)} must be a string that does not begin with $ or _.", name
                )
            return self.keys.match(name)
        except Mismatch as mismatch:
            mismatch.path.append(".keys()")
            raise

    def _item(self, name: Any, item: Any) -> Any:
        try:
            return self.values.match(item)
        except Mismatch as mismatch:
            mismatch.path.append(".values()")
            raise


_UNCHANGED = frozenset([type(None), bool, str, _BYTES])  # whichever member takes one, it stays as it is


class Union(Validator):
    """The first member that matches; with no member nothing does."""

    def __init__(self, *members: Validator) -> None:
        self.members = tuple(_required(member, "v.union()") for member in members)
        self.parts = self.members
        self.accepts_null = any(member.accepts_null for member in members)
        self.text = f"v.union({', '.join(map(str, members))})"
        exact = [member.exact for member in members if isinstance(member, Scalar)]
        self._exact = frozenset(exact) & _UNCHANGED

    def match_all(self, values: Collection[Any]) -> list[Any] | None:
        return list(values) if self._exact.issuperset(map(type, values)) else None

    def match(self, value: Any) -> Any:
        if type(value) in self._exact:
            return value
        for member in self.members:
            if (taken := member.take(value)) is not UNSET:
                return taken
        raise self.mismatch(value)


class Optional(Validator):
    """A field that may be absent."""

    is_optional = True

    def __init__(self, inner: Validator) -> None:
        self.inner: Validator = _validator(inner, "v.optional()")
        if isinstance(inner, Optional):
            self.inner = inner.inner
        # With `v.any()` a None is what Python says where TypeScript says undefined: the field is absent.
        self.accepts_null = inner.accepts_null and self.inner.text != "v.any()"
        self.parts = (self.inner,)
        self.text = f"v.optional({self.inner})"

    def match(self, value: Any) -> Any:
        return self.inner.match(value)

    def as_optional(self) -> Validator:
        return self


def owned(validator: Validator) -> Validator:
    """The same rule for values that were decoded for it alone: what `v.any()` takes need not be copied."""
    if "v.any()" not in validator.text:
        return validator
    if isinstance(validator, Object):
        return Object({name: owned(field) for name, field in validator.fields.items()})
    make = _OF_PARTS.get(type(validator))
    if make is not None:
        return make(*map(owned, validator.parts))
    return Scalar("v.any()", None, _own_any, _own_all, accepts_null=True)


_OF_PARTS: dict[type, Callable[..., Validator]] = {kind: kind for kind in (Array, Record, Union, Optional)}
_DECODED = frozenset([type(None), bool, float, Int64, str, _BYTES, list, dict])


def _own_any(value: Any) -> Any:
    return value if type(value) in _DECODED else _any(value)


def _own_all(values: Collection[Any]) -> list[Any] | None:
    return list(values) if _DECODED.issuperset(map(type, values)) else None


def check_tables(validator: Validator, tables: Collection[str], where: str) -> None:
    """Refuse the id of a table that there is not.

    Args:
        tables: those of the schema.
        where: what the validator is of, for the message.

    Raises:
        SchemaError: naming the place and the table.
    """
    if isinstance(validator, Id) and validator.table not in (*tables, *PUBLIC_SYSTEM_TABLES):
        near = did_you_mean(validator.table, tables, show)
        raise SchemaError(f"{where}: {validator} names a table that is not in the schema{near}")
    for part in validator.parts:
        check_tables(part, tables, where)


_OF_PYTHON = {  # a type of Python, or the name of one -> its validator
    "str": "v.string()",
    "int": "v.number()",
    "float": "v.number()",
    "bool": "v.boolean()",
    "list": "v.array(…)",
    "dict": "v.object({…}) or v.record(…)",
    "tuple": "v.array(…)",
    "datetime": "v.number(), Unix milliseconds",
    "date": "v.string()",
    "none": "v.null()",
    "NoneType": "v.null()",
    "enum": "v.union(v.literal(…), …)",
}


def instead_of(value: Any) -> str:
    """What to write in the place of what is no validator, such as `str`; "" where that is not known."""
    name = getattr(value, "__name__", "")
    if isinstance(value, type):
        return _OF_PYTHON.get(name, f"v.{name}()" if hasattr(v, name) else "")
    return f"v.{name}()" if name and getattr(v, name, None) is value else ""


def _validator(value: Any, where: str, detail: str = "") -> Validator:
    if not isinstance(value, Validator):
        hint = instead_of(value)
        hint = f"; write {hint}" if hint else ""
        raise SchemaError(f"{where} entries must be validators{detail}, not {show(value)}{hint}")
    return value


def _required(value: Any, where: str) -> Validator:
    if _validator(value, where).is_optional:
        raise SchemaError(f"{where} entries cannot be optional: {value}")
    return value  # type: ignore[no-any-return]


class _Names(type):
    """So that asking `v` for what is not there says what is."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            near = _OF_PYTHON.get(name)
            said = f"; write {near}" if near else did_you_mean(name, (n for n in vars(cls) if n[0] != "_"))
            raise AttributeError(f"v has no validator {name!r}{said}", name=name, obj=None)


class v(metaclass=_Names):
    """The validators: `v.string()`, `v.object({"name": v.string()})`, `v.id("users")` …"""

    @staticmethod
    def null() -> Validator:
        return Scalar("v.null()", type(None), lambda value: UNSET, accepts_null=True)

    @staticmethod
    def number() -> Validator:
        """A float64: an int or a float, never a bool; an int beyond ±2^53 is refused."""
        return Scalar("v.number()", float, _number, _numbers)

    float64 = number

    @staticmethod
    def int64() -> Validator:
        """A 64-bit integer, stored as Int64; a plain int is taken too."""
        return Scalar("v.int64()", Int64, _int64)

    bigint = int64

    @staticmethod
    def boolean() -> Validator:
        return Scalar("v.boolean()", bool, lambda value: UNSET)

    @staticmethod
    def string() -> Validator:
        return Scalar("v.string()", str, lambda value: value if isinstance(value, str) else UNSET)

    @staticmethod
    def bytes() -> Validator:
        return Scalar("v.bytes()", _BYTES, _bytes)

    @staticmethod
    def any() -> Validator:
        """Any Convex value."""
        return Scalar("v.any()", None, _any, _any_all, accepts_null=True)

    id = Id
    literal = Literal
    array = Array
    object = Object
    record = Record
    union = Union
    optional = Optional

    @staticmethod
    def nullable(inner: Validator) -> Validator:
        """`v.union(inner, v.null())`."""
        return Union(inner, v.null())

    @staticmethod
    def pagination_opts() -> Validator:
        """What clients send for `.paginate(options)`: Convex's `paginationOptsValidator`."""
        cursor, number = v.nullable(v.string()), v.optional(v.number())
        fields = {"numItems": v.number(), "cursor": cursor, "endCursor": v.optional(cursor), "id": number}
        return Object({**fields, "maximumRowsRead": number, "maximumBytesRead": number})

    @staticmethod
    def pagination_result(item: Validator) -> Validator:
        """What `.paginate(…)` returns, with such items in its page."""
        statuses = ("SplitRecommended", "SplitRequired")
        return Object(
            {
                "page": Array(item),
                "isDone": v.boolean(),
                "continueCursor": v.string(),
                "splitCursor": v.optional(v.nullable(v.string())),
                "pageStatus": v.optional(Union(*map(Literal, statuses), v.null())),
            }
        )
