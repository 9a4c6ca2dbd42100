# SPDX-License-Identifier: MIT
"""The documents of a schema as Python source: a `TypedDict` for each table, for type checkers and editors.

The file that is written imports nothing of this package but `Int64`, and nothing at all at run time beyond
`typing`.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any

from .schema import Schema
from .validators import Array, Id, Literal, Object, Optional, Record, Union, Validator

_HEAD = '''"""The documents of the schema; written by `python -m minihttp types`, not by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

if TYPE_CHECKING:
    from minihttp import Int64
    from typing_extensions import NotRequired

__all__ = [{names}]
'''
_SCALARS = {
    "v.null()": "None",
    "v.number()": "float",
    "v.int64()": "Int64",
    "v.boolean()": "bool",
    "v.string()": "str",
    "v.bytes()": "bytes",
}
_SYSTEM_FIELDS = {"_id": "str", "_creationTime": "float"}


def typed_dicts(schema: Schema) -> str:
    """The source of a module with `UsersDoc` for the table `users`, and so on."""
    writer = _Writer()
    names = []
    for table_name, table in sorted(schema.tables.items()):
        name = f"{_camel(table_name)}Doc"
        names.append(name)
        writer.document(name, table.validator)
    head = _HEAD.replace("{names}", ", ".join(f'"{name}"' for name in names))
    return "\n\n".join([head, *writer.classes]).rstrip("\n") + "\n"


class _Writer:
    """Collects the classes, each behind those that it names."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self._makers: dict[Any, Callable[[str, Any], str]] = {
            Array: lambda name, it: f"list[{self.type_of(f'{name}Item', it.element)}]",
            Id: lambda name, it: "str",
            Literal: lambda name, it: (
                f"Literal[{it.value!r}]" if not isinstance(it.value, float) else "float"
            ),
            Object: lambda name, it: self.typed_dict(name, it.fields, {}),
            Optional: lambda name, it: self.type_of(name, it.inner),
            Record: lambda name, it: f"dict[str, {self.type_of(f'{name}Value', it.values)}]",
            Union: self._union,
        }

    def document(self, name: str, validator: Validator | None) -> None:
        """The class of a table's documents, or its name for a union of classes."""
        if isinstance(validator, Object):
            self.typed_dict(name, validator.fields, _SYSTEM_FIELDS)
        elif isinstance(validator, Union):
            members = [
                self.typed_dict(f"{name}{number}", member.fields, _SYSTEM_FIELDS)
                for number, member in enumerate(validator.members, 1)
                if isinstance(member, Object)
            ]
            self.classes.append(f"{name} = Union[{', '.join(members)}]\n")
        else:
            self.classes.append(f"{name} = dict[str, Any]\n")

    def type_of(self, name: str, validator: Validator) -> str:
        """The type of a field; `name` is what a class for it would be called."""
        make = self._makers.get(type(validator))
        return make(name, validator) if make else _SCALARS.get(str(validator), "Any")

    def typed_dict(self, name: str, fields: Mapping[str, Validator], more: Mapping[str, str]) -> str:
        types = dict(more)
        for field_name, field in fields.items():
            inner = self.type_of(f"{name}{_camel(field_name)}", field)
            types[field_name] = f"NotRequired[{inner}]" if field.is_optional else inner
        if all(field_name.isidentifier() and not keyword.iskeyword(field_name) for field_name in types):
            lines = [f"    {field_name}: {text}" for field_name, text in types.items()] or ["    pass"]
            self.classes.append("\n".join([f"class {name}(TypedDict):", *lines, ""]))
        else:
            lines = [f"        {field_name!r}: {text!r}," for field_name, text in types.items()]
            self.classes.append(
                "\n".join([f"{name} = TypedDict(", f'    "{name}",', "    {", *lines, "    },", ")", ""])
            )
        return name

    def _union(self, name: str, union: Any) -> str:
        if not union.members:
            return "Any"
        types = [self.type_of(f"{name}{number}", member) for number, member in enumerate(union.members, 1)]
        return f"Union[{', '.join(dict.fromkeys(types))}]" if len(set(types)) > 1 else types[0]


def _camel(name: str) -> str:
    parts = "".join(c if c.isalnum() else "_" for c in name).split("_")
    return "".join(part[:1].upper() + part[1:] for part in parts)
