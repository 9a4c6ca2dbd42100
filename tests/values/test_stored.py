# SPDX-License-Identifier: MIT
"""A document that is not decoded yet behaves in every respect like the dict that it stands for."""

from __future__ import annotations

import copy
import json
import pickle
from collections import ChainMap, OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import Response
from minihttp.errors import StorageUnavailableError, ValidationError
from minihttp.json_numbers import compact
from minihttp.values import (
    UNSET,
    Int64,
    StoredDocument,
    dumps,
    dumps_changed,
    encode_clean,
    encode_wire,
    loads,
    size_bytes,
    stored_text,
)
from minihttp.values.stored import Document

ID, MICROSECONDS = "0123456789abcdefghijklmnopqrstuv", 1_700_000_000_123_456
SYSTEM = {"_id": ID, "_creationTime": MICROSECONDS / 1000}

names = st.text(st.characters(min_codepoint=97, max_codepoint=102), min_size=1, max_size=2)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["1.0,", "[1,", '":5}', "{$bytes", "1e5", "\\", '"'])
)
tagged = st.builds(Int64, st.integers(-(2**63), 2**63 - 1)) | st.binary(max_size=4) | st.just(float("inf"))


def fields(leaves: Any) -> Any:
    values = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    )
    return st.dictionaries(names, values, max_size=4)


def stored(fields: dict[str, Any], microseconds: int = MICROSECONDS) -> StoredDocument:
    return StoredDocument(ID, microseconds, dumps(fields))


def taking_keywords(**fields: Any) -> dict[str, Any]:
    return fields


OPERATIONS: list[Callable[[dict[str, Any], dict[str, Any]], Any]] = [
    lambda d, other: d["_id"],
    lambda d, other: d["_creationTime"],
    lambda d, other: d["a"],
    lambda d, other: d.get("a"),
    lambda d, other: d.get("zz", 7),
    lambda d, other: "a" in d,
    lambda d, other: len(d),
    lambda d, other: sorted(d),
    lambda d, other: list(d.items()),
    lambda d, other: list(d.values()),
    lambda d, other: d.keys() & {"a", "_id"},
    lambda d, other: dict(d),
    lambda d, other: {**d},
    lambda d, other: taking_keywords(**d),
    lambda d, other: [d == other, other == d, d != other, other != d],
    lambda d, other: d | other,
    lambda d, other: other | d,
    lambda d, other: d.update(a=1),
    lambda d, other: d.update(other),
    lambda d, other: d.__setitem__("a", [1]),
    lambda d, other: d.__delitem__("a"),
    lambda d, other: d.pop("a", None),
    lambda d, other: d.pop("a"),
    lambda d, other: d.popitem(),
    lambda d, other: d.setdefault("a", 3),
    lambda d, other: d.clear(),
    lambda d, other: d.copy(),
    lambda d, other: copy.copy(d),
    lambda d, other: copy.deepcopy(d),
    lambda d, other: pickle.loads(pickle.dumps(d)),
    lambda d, other: json.dumps(d),
    lambda d, other: json.dumps([d], indent=1),
    lambda d, other: repr(d),
    lambda d, other: list(reversed(d)),
    lambda d, other: bool(d),
    lambda d, other: OrderedDict(d),
    lambda d, other: ChainMap(d).get("a"),
    lambda d, other: "{_id}".format_map(d),
    lambda d, other: [other.update(d), other],
]


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except KeyError as error:
        return repr(error)


@given(fields(leaves), fields(leaves), st.lists(st.sampled_from(OPERATIONS), max_size=4), st.booleans())
def test_every_operation_of_a_dict(
    first: dict[str, Any], second: dict[str, Any], operations: list[Any], other_is_stored: bool
) -> None:
    plain = {**SYSTEM, **loads(dumps(first))}
    other_plain = {**SYSTEM, **loads(dumps(second))}
    document: Any = stored(first)
    other: Any = stored(second) if other_is_stored else dict(other_plain)
    for operation in operations:
        expected = outcome(lambda operation=operation: operation(plain, other_plain))
        assert outcome(lambda operation=operation: operation(document, other)) == expected
    assert document == plain
    assert isinstance(document, dict)


def test_copies_and_pickles_are_plain_dicts() -> None:
    for make in (copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d)), dict, lambda d: d.copy()):
        for document in (stored({"a": 1}), _touched({"a": 1})):
            assert type(make(document)) is dict
            assert make(document) == {**SYSTEM, "a": 1}


def _touched(fields: dict[str, Any]) -> Any:
    document = stored(fields)
    assert document.get("a") == fields.get("a")
    assert type(document) is Document
    return document


def test_its_id_does_not_decode_it() -> None:
    document = StoredDocument(ID, MICROSECONDS, "not JSON")
    assert document["_id"] == ID


def test_its_truth_does_not_decode_it() -> None:
    document = StoredDocument(ID, MICROSECONDS, "not JSON")
    assert document and (document or {}) is document
    decoded = StoredDocument(ID, MICROSECONDS, "{}")
    decoded.clear()
    assert not decoded


def test_a_damaged_text_names_the_document() -> None:
    document = StoredDocument(ID, MICROSECONDS, '{"a":')
    for _ in range(2):
        with pytest.raises(StorageUnavailableError, match=f"document {ID} is damaged"):
            document.get("a")


@given(fields(leaves | tagged), st.sampled_from([MICROSECONDS, 1_700_000_000_000_000, 1_700_000_000_123_000]))
def test_its_texts_are_those_of_the_decoded_document(found: dict[str, Any], microseconds: int) -> None:
    as_json, as_wire = stored(found, microseconds).json_text(), stored(found, microseconds).wire_text()
    decoded = dict(stored(found, microseconds))
    if as_json is not None:
        assert as_json == Response.json(decoded).body.decode()
    if as_wire is not None:
        wire = json.loads(as_wire)
        assert wire == encode_wire(decoded) == encode_clean(decoded)
        assert not any(type(value) is int for value in _leaves_of(wire))


_TIMES = st.integers(0, 2**51) | st.sampled_from([0, 7, 999, 1_000, 1_230, MICROSECONDS, MICROSECONDS + 10])


@given(st.lists(st.tuples(fields(leaves), _TIMES), min_size=1))
def test_the_texts_of_many_are_those_of_each(found: list[tuple[dict[str, Any], int]]) -> None:
    documents = [stored(row, microseconds) for row, microseconds in found]
    texts = StoredDocument.json_texts(documents)
    assert texts in (None, [document.json_text() for document in documents])
    texts = StoredDocument.wire_texts(documents)
    assert texts in (None, [document.wire_text() for document in documents])


NUMBERS = {"a": 59, "b": 59.0, "c": -7, "d": 0, "e": 2.5, "f": {"g": 123.0, "h": 9_007_199_254_740_991}}
LIKE_NUMBERS = {"a": ":1.0,", "b": 'b":1.0,"c":2', "c": '\\":3,', "d": ["x:4}", "e", "é:5.0}"], "e-": 6.0}


@pytest.mark.parametrize("found", [NUMBERS, LIKE_NUMBERS, {"a": 1, "t": ":2,"}, {"a": 1.0, "t": ":2.0,"}])
def test_numbers_of_fields_are_rewritten_and_texts_like_them_stay(found: dict[str, Any]) -> None:
    document = stored(found)
    assert document.json_text() in (None, Response.json(dict(stored(found))).body.decode())
    wire = document.wire_text()
    if wire is not None:
        assert _spelled(wire) == _spelled(compact(encode_wire(dict(stored(found)))))


def _spelled(text: str) -> Any:
    """JSON whose numbers are as they were spelled."""
    return json.loads(text, parse_int=lambda digits: (digits,), parse_float=lambda digits: (digits,))


def test_usual_documents_are_not_decoded() -> None:
    assert stored(NUMBERS).json_text() is not None
    many = [stored({"name": "x", "price": 5, "tax": 1.5}), stored({"name": "y", "price": 5.0})]
    assert StoredDocument.json_texts(many) is not None and StoredDocument.wire_texts(many) is not None


def _leaves_of(value: Any) -> list[Any]:
    if isinstance(value, (dict, list)):
        items = value.values() if isinstance(value, dict) else value
        return [leaf for item in items for leaf in _leaves_of(item)]
    return [value]


@given(st.lists(fields(leaves), max_size=3), fields(leaves))
def test_response_json_of_documents_anywhere(rows: list[dict[str, Any]], one: dict[str, Any]) -> None:
    plain = [dict(stored(row)) for row in rows]

    def places(documents: list[Any], document: Any) -> list[Any]:
        return [
            document,
            documents,
            {"page": documents, "is_done": True, "one": document},
            {"deep": {"er": [document, {"x": documents}]}},
            [{"a": document}, *documents],
            (document, 1),
        ]

    for given_one, expected in zip(
        places([stored(row) for row in rows], stored(one)), places(plain, dict(stored(one))), strict=True
    ):
        assert json.loads(Response.json(given_one).body) == json.loads(Response.json(expected).body)


def test_its_size_is_about_that_of_its_text() -> None:
    document = stored({"text": "x" * 10_000})
    assert 10_000 < size_bytes([document]) < 10_200
    assert 10_000 < size_bytes([_touched({"a": "x" * 10_000})]) < 10_200


@given(fields(leaves | tagged), fields(leaves | tagged), st.sets(names))
def test_a_text_with_changes_is_that_of_the_changed_document(
    row: dict[str, Any], changes: dict[str, Any], removed: set[str]
) -> None:
    changes |= dict.fromkeys(removed, UNSET)
    assert dumps_changed(dumps(row), changes) == dumps(row | changes)


def test_the_text_outlives_what_becomes_of_the_values() -> None:
    document = stored({"a": [1]})
    text = stored_text(document)
    document["a"].append(object())
    document["b"] = 2
    assert stored_text(document) == text == '{"a":[1]}'
    assert stored_text(dict(document)) is None
    with pytest.raises(ValidationError, match=r"path \.b\[0\]"):
        dumps_changed(text, {"b": [object()]})
