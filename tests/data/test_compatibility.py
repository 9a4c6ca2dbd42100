# SPDX-License-Identifier: MIT
"""Which changes of a validator need no look at the documents; the judge is the look itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp.data.compatibility import admits
from minihttp.data.database import Database
from minihttp.data.schema import Schema, Table
from minihttp.data.validators import Validator, v
from minihttp.errors import SchemaError, ValidationError
from minihttp.values import Int64, dumps, loads

NAME = v.string()
PLAIN = [v.string(), v.number(), v.boolean(), v.null(), v.int64(), v.any(), v.literal("a"), v.literal(1)]
PLAIN += [v.literal(True), v.id("users"), v.bytes()]


def validators() -> Any:
    def more(inner: Any) -> Any:
        fields = st.dictionaries(st.sampled_from("abc"), st.one_of(inner, inner.map(v.optional)), max_size=3)
        return st.one_of(
            inner.map(v.array),
            fields.map(v.object),
            st.lists(inner, max_size=3).map(lambda members: v.union(*members)),
            inner.map(lambda values: v.record(v.string(), values)),
        )

    return st.recursive(st.sampled_from(PLAIN), more, max_leaves=5)


VALUES = st.recursive(
    st.sampled_from([None, True, 1, 1.0, 2.5, "a", "b", Int64(1), b"x", "0" * 32]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(old=validators(), new=validators(), value=VALUES)
def test_what_is_admitted_is_stored_the_same(old: Validator, new: Validator, value: Any) -> None:
    _judge(old, new, value)
    widened = v.union(*(old.members if hasattr(old, "members") else [old]), new)
    _judge(old, widened, value)
    _judge(v.object({"a": old}), v.object({"a": v.optional(old), "b": v.optional(new)}), {"a": value})
    _judge(v.array(old), v.array(new), [value])


def _judge(old: Validator, new: Validator, value: Any) -> None:
    if not admits(new, str(old)):
        return
    try:
        stored = dumps(old.check(value))
    except ValidationError:
        return
    assert dumps(new.check(loads(stored))) == stored


ITEM = {"name": v.string(), "kind": v.union(v.literal("a"), v.literal("b"))}


@pytest.mark.parametrize(
    "new",
    [
        {**ITEM, "more": v.optional(v.array(v.object({"x": v.number()})))},
        {**ITEM, "name": v.optional(v.string())},
        {**ITEM, "kind": v.union(v.literal("c"), v.literal("a"), v.literal("b"))},
        {**ITEM, "kind": v.union(v.literal("a"), v.literal("b"), v.object({"x": v.number()}))},
        {**ITEM, "kind": v.string()},
        {**ITEM, "kind": v.any()},
        {**ITEM, "name": v.nullable(v.string())},
    ],
)
def test_usual_changes_are_seen(new: dict[str, Validator]) -> None:
    assert admits(v.object(new), str(v.object(ITEM)))


@pytest.mark.parametrize(
    "new",
    [
        {**ITEM, "more": v.number()},
        {"name": v.string()},
        {**ITEM, "kind": v.literal("a")},
        {**ITEM, "name": v.number()},
    ],
)
def test_others_are_not(new: dict[str, Validator]) -> None:
    assert not admits(v.object(new), str(v.object(ITEM)))


def test_texts_in_quotes_and_odd_names() -> None:
    odd = v.literal('a", v.any(), "(')
    assert admits(v.union(odd, v.literal("b")), str(odd))
    named = v.object({"a: v.string(), b": v.string()})
    assert not admits(v.object({"a": v.string(), "b": v.string(), "c": v.optional(NAME)}), f"{named} ")


def test_a_compatible_change_looks_at_no_document(tmp_path: Path, open_database: Any) -> None:
    """A document that does not match, put there behind the database's back, is not found."""
    location = str(tmp_path / "app.db")
    first: Database = open_database(Schema(items=Table(ITEM)), location)
    first.write(lambda t: t.db.insert("items", {"name": "pen", "kind": "a"}))
    first.write(lambda t: t.engine.put(f"{t.db.query('items').first()['_id'][:-1]}0", "items", "{}", (), ()))
    first.close()
    wider = open_database(Schema(items=Table({**ITEM, "more": v.optional(v.number())})), location)
    wider.close()
    with pytest.raises(SchemaError, match="does not match"):
        open_database(Schema(items=Table({**ITEM, "more": v.number()})), location)
