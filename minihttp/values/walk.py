# SPDX-License-Identifier: MIT
"""The one walk over a value that serves every format: it knows arrays, objects, names, paths and bounds.

Messages are Convex's (`values/value.ts`). Knows no format: what becomes of a leaf is in the format's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ..errors import ValidationError
from ..shown import safe
from .plain import UNSET, Int64, Unset, show

MAX_FIELD_NAME_LENGTH: Final = 1_024
_FEW: Final = 8  # of more, it is looked whether they are all alike
_EXACT: Final[dict[type, Callable[[Any], Any]]] = {
    Int64: Int64,
    int: int,
    float: float,
    str: str.__str__,
    bytes: bytes,
}


class Problem(ValidationError):
    """What is wrong with which value, and the path to it, collected from the inside out."""

    def __init__(self, message: str, value: Any) -> None:
        super().__init__(message)
        self.path: list[str] = []
        self.value = value


class WireBounds:
    """The bounds of values that are not documents: only the depth, so that a circle or a JSON bomb ends."""

    max_document_depth = 64
    max_document_fields: int = 2**63
    max_array_length: int = 2**63


class Format:
    """One way to write or read values.

    Args:
        leaves: for each type of a leaf, what it becomes.
        tags: for the name of a single-field object such as `{"$bytes": …}`, how to read it as a leaf.
        runs: for each type of which many leaves can be read at once, how; None for those that cannot.
    """

    __slots__ = ("leaves", "runs", "tags")

    def __init__(
        self,
        leaves: Mapping[type, Callable[[Any], Any]],
        tags: Mapping[str, Callable[[Any], Any]] | None = None,
        *,
        runs: Mapping[type, Callable[[list[Any]], list[Any] | None]],
    ) -> None:
        self.leaves = leaves
        self.tags = tags
        self.runs = runs


def _walk(value: Any, form: Format, bounds: Any, depth: int = 1) -> Any:
    kind = type(value)
    if kind is not list and kind is not dict:
        leaf = form.leaves.get(kind)
        if leaf is not None:
            return leaf(value)
    elif depth <= bounds.max_document_depth:
        if not value:
            return kind()
        walk = _walk_object if kind is dict else _walk_array
        return walk(value, form, bounds, depth)
    if isinstance(value, (dict, list, tuple)):
        if depth > bounds.max_document_depth:
            raise Problem(f"Value is nested too deeply (maximum nesting {bounds.max_document_depth})", value)
        if isinstance(value, dict):
            return _walk_object(value, form, bounds, depth)
        return _walk_array(value, form, bounds, depth)
    for base, exact in _EXACT.items():  # an IntEnum, a str subclass, a float of some library
        if isinstance(value, base):
            return form.leaves[base](exact(value))
    raise Problem(f"{type(value).__name__} {show(repr(value))} is not a supported Convex type.", value)


def _walk_object(value: dict[Any, Any], form: Format, bounds: Any, depth: int) -> Any:
    count = len(value)
    if count == 1 and form.tags is not None:
        (tag,) = value
        if tag in form.tags:
            return form.tags[tag](value[tag])
    if count > bounds.max_document_fields:
        _check_field_count(value, bounds)
    has_good_names = _known_names.issuperset(value) or _has_plain_names(value)
    names = sorted(value) if has_good_names else _in_order(value)
    if count > _FEW and has_good_names:
        items = _run([value[name] for name in names], form)
        if items is not None:
            return dict(zip(names, items, strict=True))
    leaves, out = form.leaves, {}
    name: Any = ""
    try:
        for name in names:
            item = value[name]
            if item is not UNSET:
                if not has_good_names:
                    _check_field_name(name)
                leaf = leaves.get(type(item))
                out[name] = leaf(item) if leaf is not None else _walk(item, form, bounds, depth + 1)
    except Problem as problem:
        problem.path.append(f".{_shown(name)}")
        raise
    return out


def _check_field_count(value: dict[Any, Any], bounds: Any) -> None:
    count = len(value)
    if Unset in set(map(type, value.values())):
        count -= list(map(type, value.values())).count(Unset)
    if count > bounds.max_document_fields:
        raise Problem(
            f"Object has too many fields ({count} > maximum number {bounds.max_document_fields})", value
        )


def _has_plain_names(value: dict[Any, Any]) -> bool:
    """Whether all names of an object are seen to be good without a loop of ours; others may be."""
    if set(map(type, value)) != {str}:
        return not value
    text = "".join(value)
    if not (text.isascii() and text.isprintable()) or "$" in text:
        return False
    if len(text) > MAX_FIELD_NAME_LENGTH:
        return max(map(len, value)) <= MAX_FIELD_NAME_LENGTH
    if len(_known_names) < _MAX_KNOWN_NAMES:
        _known_names.update(value)
    return True


def _run(items: list[Any] | tuple[Any, ...], form: Format) -> list[Any] | None:
    """Many leaves of one type, read without a loop of ours; None for others."""
    kinds = set(map(type, items))
    run = form.runs.get(kinds.pop()) if len(kinds) == 1 else None
    return None if run is None else run(items)  # type: ignore[arg-type]


def _in_order(value: dict[Any, Any]) -> Iterable[Any]:
    try:
        return sorted(value)
    except TypeError:
        return value  # with a name that is not text: it is refused in its turn


def _walk_array(value: list[Any] | tuple[Any, ...], form: Format, bounds: Any, depth: int) -> list[Any]:
    if len(value) > bounds.max_array_length:
        raise Problem(
            f"Array length is too long ({len(value)} > maximum length {bounds.max_array_length})", value
        )
    if len(value) > _FEW and (whole := _run(value, form)) is not None:
        return whole
    leaves = form.leaves
    out: list[Any] = []
    try:
        for item in value:
            leaf = leaves.get(type(item))
            out.append(leaf(item) if leaf is not None else _walk(item, form, bounds, depth + 1))
    except Problem as problem:
        problem.path.append(f"[{len(out)}]")
        raise
    return out


def _shown(name: object) -> str:
    """A field name as Convex shows it: in full, unless it is far longer than any may be."""
    name = str(name)
    return safe(name) if len(name) <= 2 * MAX_FIELD_NAME_LENGTH else f"{safe(name[:MAX_FIELD_NAME_LENGTH])}…"


_known_names: set[str] = set()  # names that were found good: an app has few, and they come again and again
_MAX_KNOWN_NAMES: Final = 1_024


def _check_field_name(name: Any) -> None:
    if not isinstance(name, str):
        raise Problem(f"Field name {show(name)} is not a string", name)
    if name[:1] == "$":
        raise Problem(f"Field name {_shown(name)} starts with a '$', which is reserved.", name)
    if len(name) > MAX_FIELD_NAME_LENGTH:
        said = f"Field name {_shown(name)} exceeds maximum field name length {MAX_FIELD_NAME_LENGTH}."
        raise Problem(said, name)
    for character in () if name.isascii() and name.isprintable() else name:
        if not " " <= character <= "~":
            raise Problem(
                f"Field name {_shown(name)} has invalid character '{safe(character)}': "
                "Field names can only contain non-control ASCII characters",
                name,
            )


def convert(value: Any, form: Format, bounds: Any = WireBounds) -> Any:
    """A value in another form.

    Args:
        bounds: holds `max_document_depth`, `max_document_fields` and `max_array_length` (a `Limits` does).

    Raises:
        ValidationError: for what is not a Convex value or over a bound, naming it and its path.
    """
    try:
        return _walk(value, form, bounds)
    except Problem as problem:
        path = "".join(reversed(problem.path))
        text = f"{problem} (present at path {path})" if path else str(problem)
        message = text.encode("utf-8", "backslashreplace").decode()
        raise ValidationError(message).refusing(problem.value) from None
