"""What may be given as a schema, what becomes of it, and what is refused with which words."""

from __future__ import annotations

import copy
import json
import warnings
from types import MappingProxyType
from typing import (
    Any,
    Literal,
)

import pytest
from hypothesis import example, given, settings
from testkit.schemas import ANSWER, REFUSED, WHOLE, N, check_both, of, text
from testkit.schemas_draw import like_schemas, tidy_schemas

from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import MAX_SCHEMA_BYTES, check_options
from cpr_nb.model.schemas.answer import read_schema

# -- JSON schemas -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_wrong_schema_is_refused_with_its_place(case: Any) -> None:
    with pytest.raises(InputError) as caught:
        read_schema(copy.deepcopy(case.schema), "prompts[2].schema")
    assert caught.value.where == "prompts[2].schema"
    assert str(caught.value).startswith("prompts[2].schema: ")
    assert case.words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_good_schema_stays_as_it_is() -> None:
    before = copy.deepcopy(WHOLE)
    found = read_schema(WHOLE)
    assert found == before == WHOLE and list(found["properties"]) == list(WHOLE["properties"])
    assert not found.is_typed and found.convert(ANSWER) is ANSWER
    found["properties"]["string"]["type"] = "x"
    assert before == WHOLE


def test_both_drafts_allow_what_is_taken() -> None:
    check_both(read_schema(WHOLE))


@pytest.mark.parametrize(
    ("schema", "becomes"),
    [
        ({"properties": {"n": N}}, {"type": "object", "properties": {"n": N}}),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", **of(n=N)}, of(n=N)),
        ({"$id": "urn:x", **of(n={"$id": "y", **N, "x-unit": "s", "example": 1})}, of(n=N)),
        (of(n={"oneOf": [N], "discriminator": {"propertyName": "t"}}), of(n={"oneOf": [N]})),
        ({"$ref": "#/$defs/A", "$defs": {"A": of(n=N)}}, of(n=N)),
        (
            {"$ref": "#/$defs/A", "title": "T", "$defs": {"A": {"$ref": "#/definitions/B"}},
             "definitions": {"B": of(n=N), "C": N}},
            {**of(n=N), "title": "T", "definitions": {"C": N}},
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": of(n={"$ref": "#/$defs/A"})}},
            {**of(n={"$ref": "#/$defs/A"}), "$defs": {"A": of(n={"$ref": "#/$defs/A"})}},
        ),
        (of(**{"x-n": N}), of(**{"x-n": N})),
        (of(n={"const": {"x-a": 1}, "example": 1}), of(n={"const": {"x-a": 1}})),
        (MappingProxyType(of(n=N)), of(n=N)),
    ],
)  # fmt: skip
def test_what_says_nothing_of_an_answer_is_left_out(schema: Any, becomes: Any) -> None:
    found = read_schema(schema)
    assert found == becomes
    assert read_schema(dict(found)) == found


def test_a_schema_is_weighed_as_it_is_stored() -> None:
    room = MAX_SCHEMA_BYTES - len(json.dumps({"type": "object", "properties": {}, "title": ""}))
    check_options({"schema": {"properties": {}, "title": "x" * room, "$id": "left out"}})
    with pytest.raises(InputError, match="is larger than 100000 bytes"):
        check_options({"schema": {"properties": {}, "title": "x" * (room + 1)}})
    with pytest.raises(InputError, match="is larger than 100000 bytes"):
        check_options({"schema": {f"c{n:04}": Literal["x" * 100] for n in range(1000)}})


@pytest.mark.parametrize("deep", [200, 2_000, 200_000])
def test_a_schema_without_end_is_refused(deep: int) -> None:
    schema: dict[str, Any] = dict(N)
    for _ in range(deep):
        schema = {"not": schema}
    for given_ in (of(n=schema), schema):
        try:
            read_schema(given_)
        except InputError:
            assert deep > 100 or given_ is schema
        else:
            assert deep == 200


def test_no_warning_of_python_reaches_the_user() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_schema({**of(n=text("[[a]|[a&&b]")), "patternProperties": {"[[x]": N}})


# -- anything ---------------------------------------------------------------------------------


@settings(max_examples=300)
@given(like_schemas() | tidy_schemas())
@example({"$ref": "#/x", "x": []})
@example({"type": "object", "properties": {"n": {"$ref": "#/properties"}}})
@example({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})
def test_any_json_is_refused_or_becomes_a_schema_of_both_drafts(schema: Any) -> None:
    before = copy.deepcopy(schema)
    try:
        found = read_schema(schema)
    except InputError:
        return
    finally:
        assert schema == before
    check_both(found)
    assert found["type"] == "object" and "$ref" not in found
    assert read_schema(dict(found)) == found
