# SPDX-License-Identifier: MIT
"""Whether every document that one validator has stored is one of another, as it stands.

Then nobody has to look at them. The first is known by its text, which is what a database keeps. A table gets
an optional field, a union gets a member, a required field becomes optional: that is seen here. What is not
seen is not wrong, it only has to be looked at document by document.
"""

from __future__ import annotations

import re

from .validators import Array, Id, Literal, Object, Optional, Record, Union, Validator

_is_field = re.compile(r"([A-Za-z_][A-Za-z0-9_]*): (v\..*)", re.ASCII | re.DOTALL).fullmatch
_is_call = re.compile(r"v\.([a-z0-9]+)\((.*)\)", re.ASCII | re.DOTALL).fullmatch
_OPEN, _CLOSE = "([{", ")]}"
# Where these are made optional, no null is there that would be dropped.
_NEVER_NULL = {"string", "number", "boolean", "int64", "bytes", "id", "literal", "array", "object", "record"}


def admits(new: Validator, old: str) -> bool:
    """Whether `new` takes all that the validator with the text `old` has stored, and stores it the same."""
    if old == new.text or new.text == "v.any()":
        return True
    kind, parts = _read(old)
    if isinstance(new, Union):
        return _admits_members(new, parts if kind == "union" else [old])
    if kind == "union":
        return all(admits(new, part) for part in parts)
    if isinstance(new, Object):
        return kind == "object" and _admits_fields(new, parts)
    if isinstance(new, Array):
        return kind == "array" and len(parts) == 1 and admits(new.element, parts[0])
    if isinstance(new, Record):
        return (
            kind == "record"
            and len(parts) == 2
            and admits(new.keys, parts[0])
            and admits(new.values, parts[1])
        )
    is_text = kind == "id" or (kind == "literal" and old[len("v.literal(") :][:1] == '"')
    return new.text == "v.string()" and is_text


def _admits_members(new: Union, old: list[str]) -> bool:
    """A value is stored as the first member that matches says: so the old members come first, or all members
    are such that they change nothing."""
    if len(old) <= len(new.members) and all(map(admits, new.members, old)):
        return True
    if not all(map(_changes_nothing, new.members)):
        return False
    return all(any(admits(member, text) for member in new.members) for text in old)


def _changes_nothing(member: Validator) -> bool:
    if isinstance(member, Literal):
        return isinstance(member.value, (str, bool))
    return isinstance(member, Id) or member.text in ("v.string()", "v.boolean()", "v.null()", "v.number()")


def _admits_fields(new: Object, parts: list[str]) -> bool:
    if len(parts) != 1 or parts[0][:1] + parts[0][-1:] != "{}":
        return False
    found = [_is_field(part) for part in _split(parts[0][1:-1])]
    old = {match[1]: match[2] for match in found if match}
    if len(old) < len(found) or not old.keys() <= new.fields.keys():
        return False
    return all(
        _admits_field(field, old[name]) if name in old else field.is_optional
        for name, field in new.fields.items()
    )


def _admits_field(new: Validator, old: str) -> bool:
    if old == new.text:
        return True
    kind, parts = _read(old)
    was_optional = kind == "optional"
    inner = parts[0] if was_optional and len(parts) == 1 else old
    if not isinstance(new, Optional):
        return not was_optional and admits(new, old)
    return admits(new.inner, inner) and (new.accepts_null or not _may_be_null(inner))


def _may_be_null(text: str) -> bool:
    kind, parts = _read(text)
    return any(map(_may_be_null, parts)) if kind == "union" else kind not in _NEVER_NULL


def _read(text: str) -> tuple[str, list[str]]:
    """The name and the parts of a call such as `v.array(v.string())`; "" for what cannot be read."""
    match = _is_call(text)
    return (match[1], _split(match[2])) if match else ("", [])


def _split(text: str) -> list[str]:
    """The parts of a list with commas; brackets and texts in quotes are kept whole."""
    parts, depth, start, n = [], 0, 0, 0
    while n < len(text):
        letter = text[n]
        if letter == '"':
            n += 1
            while n < len(text) and text[n] != '"':
                n += 2 if text[n] == "\\" else 1
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE:
            depth -= 1
        elif letter == "," and not depth:
            parts.append(text[start:n])
            start = n + 2
        n += 1
    return [*parts, text[start:]] if text else []
