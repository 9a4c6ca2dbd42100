# SPDX-License-Identifier: MIT
"""Every reason why a value does not match a validator, for whoever sent it: one sentence for each field."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..shown import name_shown
from ..values import UNSET, show
from .validators import Array, Mismatch, Object, Optional, Validator

_MAX_PROBLEMS = 20


def problems(validator: Validator, value: Any) -> list[str]:
    """At most 20 sentences such as "`age` must be v.number(), not 'x'"; none where the value matches."""
    return list(islice(_problems(validator, value, ""), _MAX_PROBLEMS))


def _problems(validator: Validator, value: Any, path: str) -> Iterator[str]:
    if isinstance(validator, Optional):
        yield from _problems(validator.inner, value, path)
    elif isinstance(validator, Object) and isinstance(value, dict):
        yield from _in_object(validator, value, path)
    elif isinstance(validator, Array) and isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _problems(validator.element, item, f"{path}[{number}]")
    else:
        try:
            validator.match(value)
        except Mismatch as mismatch:
            where = f"`{path}`" if path else "it"
            rule = str(mismatch.args[0]) if "Value" not in mismatch.details else f"must be {validator}"
            yield f"{where} {rule}, not {show(value)}" if rule.startswith("must") else f"{where}: {rule}"


def _in_object(validator: Object, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, field in validator.fields.items():
        item = value.get(name, UNSET)
        inner = f"{path}.{name}" if path else name
        if item is UNSET and not field.is_optional:
            yield f"`{inner}` is missing"
        elif item is not UNSET and not (item is None and field.is_optional and not field.accepts_null):
            yield from _problems(field, item, inner)
    for name in value:
        if name not in validator.fields:
            shown = name_shown(str(name))
            yield f"`{f'{path}.{shown}' if path else shown}` is not one of its fields"
