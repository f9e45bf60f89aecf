"""Python types as schemas: what each becomes, and answers as values of it."""

from __future__ import annotations

import copy
import enum
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import attrs
import jsonschema
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from testkit.schemas import N, check_both, of
from testkit.schemas_draw import typed_values

from cpr_nb.model.errors import AnswerError, CprError, InputError
from cpr_nb.model.schemas.answer import Answer, read_schema


class Level(enum.Enum):
    MIDDLE = "middle"
    HIGH = "high"
    ALSO_HIGH = "high"


class Number(enum.IntEnum):
    TWO = 2
    ONE = 1


# -- types ------------------------------------------------------------------------------------


class Inner(NamedTuple):
    left: int
    right: str = "r"


Seconds = NewType("Seconds", float)
Birthday = NewType("Birthday", datetime)
MOMENT = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, N),
        (float, {"type": "number"}),
        (Seconds, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Any, {}),
        (int | None, {"anyOf": [N, {"type": "null"}]}),
        (Optional[int], {"anyOf": [N, {"type": "null"}]}),  # noqa: UP045 - people write it
        (Literal["z", "a", 3, None], {"enum": ["z", "a", 3, None]}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (list, {"type": "array"}),
        (set[int], {"type": "array", "items": N, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": N}),
        (
            tuple[int, str, int],
            {"type": "array", "items": {"anyOf": [N, {"type": "string"}]}, "minItems": 3,
             "maxItems": 3},
        ),
        (tuple[int, int], {"type": "array", "items": N, "minItems": 2, "maxItems": 2}),
        (tuple[()], {"type": "array", "minItems": 0, "maxItems": 0}),
        (dict[str, int], {"type": "object", "additionalProperties": N}),
        (datetime, {"type": "string", "format": "date-time"}),
        (
            datetime | None,
            {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        ),
        (
            list[datetime] | str,
            {"anyOf": [{"type": "array", "items": MOMENT}, {"type": "string"}]},
        ),
        (
            dict[str, tuple[str, Annotated[datetime, "words"]]] | None,
            {
                "anyOf": [
                    {"type": "object", "additionalProperties": {
                        "type": "array", "minItems": 2, "maxItems": 2,
                        "items": {"anyOf": [{"type": "string"}, MOMENT]},
                    }},
                    {"type": "null"},
                ]
            },
        ),
        (tuple[Birthday, ...], {"type": "array", "items": MOMENT}),
        (Annotated[datetime, msgspec.Meta(tz=True)], MOMENT),
        (date, {"type": "string", "format": "date"}),
        (time, {"type": "string"}),
        (timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Decimal, {"type": "string", "format": "decimal"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (Annotated[int, "words"], N),
        (
            Annotated[int, msgspec.Meta(ge=0, description="how many")],
            {"description": "how many", **N, "minimum": 0},
        ),
        (
            Annotated[str, msgspec.Meta(extra_json_schema={"x-note": 1, "title": "T"})],
            {"title": "T", "type": "string"},
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_type_becomes_its_json_schema(hint: Any, schema: Any) -> None:
    found = read_schema({"n": hint})
    assert found == {"title": "Answer", **of(n=schema)}
    assert found.is_typed and found.type_name == "Answer"
    check_both(found)


class Declared(TypedDict):
    z: int
    y: NotRequired[Level]
    a: Literal["q", "b"]


@dataclass
class Review:
    """What was found."""

    z: Level
    b: list[Declared]
    a: datetime | None = None
    c: Number = Number.ONE
    d: list[int] = field(default_factory=list)


class Struct(msgspec.Struct, rename={"seen": "seenAt"}):
    seen: datetime
    kids: list[Struct] = []


@attrs.define
class Attrs:
    n: int
    s: str = "s"


Kind = TypeVar("Kind")


@dataclass
class Box(Generic[Kind]):
    item: Kind
    at: datetime | None = None


def test_a_generic_class_may_be_filled() -> None:
    found = read_schema(Box[Level])
    assert found["properties"]["item"] == {"$ref": "#/$defs/Level"}
    assert found["properties"]["at"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert found.convert({"item": "high"}) == Box(Level.HIGH)


def test_fields_and_choices_keep_their_order() -> None:
    found = read_schema(Review)
    assert list(found["properties"]) == ["z", "b", "a", "c", "d"]
    assert (found["required"], found["description"]) == (["z", "b"], "What was found.")
    parts = found["$defs"]
    assert parts.keys() == {"Level", "Declared", "Number"}
    assert parts["Level"]["enum"] == ["middle", "high"] and parts["Number"]["enum"] == [2, 1]
    assert list(parts["Declared"]["properties"]) == ["z", "y", "a"]
    assert parts["Declared"]["required"] == ["z", "a"]
    assert parts["Declared"]["properties"]["a"]["enum"] == ["q", "b"]
    assert found["properties"]["a"]["anyOf"][0] == {"type": "string", "format": "date-time"}


def test_a_mapping_may_be_nested_and_have_names_that_no_class_has() -> None:
    found = read_schema({"a.b": {"class": {"z": int, "y": str | None}}, "x-y": list[Level]})
    assert list(found["properties"]) == found["required"] == ["a.b", "x-y"]
    inner = found["$defs"]["Answer.a.b.class"]
    assert list(inner["properties"]) == inner["required"] == ["z", "y"]
    answer = {"a.b": {"class": {"z": 1, "y": None}}, "x-y": ["high"]}
    assert found.convert(answer) == {**answer, "x-y": [Level.HIGH]}


def test_a_class_may_stand_for_a_whole_answer() -> None:
    assert read_schema(dict[str, int]) == {"type": "object", "additionalProperties": N}
    assert read_schema(Attrs)["required"] == ["n"]
    struct = read_schema(Struct)
    assert struct["properties"]["seenAt"] == {"type": "string", "format": "date-time"}
    assert struct["$defs"].keys() == {"Struct"}  # it holds itself
    assert read_schema(Inner)["required"] == ["left"]
    assert read_schema(Declared)["required"] == ["z", "a"]


class Model(pydantic.BaseModel):
    """A model."""

    model_config = {"strict": True}

    when: date = pydantic.Field(alias="at", description="the day")
    level: Level = Level.HIGH
    pair: tuple[int, str] = (1, "a")
    kind: Literal["only"] = "only"
    kids: list[Model] = []


def test_a_model_of_pydantic_brings_its_own_schema() -> None:
    found = read_schema(Model)
    assert (found["required"], found["description"]) == (["at"], "A model.")
    assert found["properties"]["at"]["description"] == "the day"
    pair = found["properties"]["pair"]
    assert (pair["items"], pair["minItems"]) == ({"anyOf": [N, {"type": "string"}]}, 2)
    assert found.convert({"at": "2026-05-01", "kids": [{"at": "2026-05-02"}]}) == Model(
        at=date(2026, 5, 1), kids=[Model(at=date(2026, 5, 2))]
    )
    with pytest.raises(AnswerError, match=r"task 1: the answer does not fit Model: .*at `at`; "):
        found.convert({"at": "soon"}, "task 1")
    within = read_schema({"models": dict[str, Model], "level": Level})
    assert within["$defs"].keys() == {"Model.Model", "Model.Level", "Level"}
    assert within.convert({"models": {"m": {"at": "2026-05-01"}}, "level": "high"}) == {
        "models": {"m": Model(at=date(2026, 5, 1))},
        "level": Level.HIGH,
    }


def test_two_types_of_one_name_are_refused() -> None:
    """As after a cell of a notebook has run twice."""
    again: Any = enum.Enum("Level", {"A": "a"})
    with pytest.raises(InputError, match="two types are called 'Level': give one of them another"):
        read_schema({"x": Level, "y": again})
    elsewhere = enum.Enum("Level", {"A": "a"}, module="elsewhere")
    found = read_schema({"x": Level, "y": elsewhere})
    assert [part["enum"] for part in found["$defs"].values()] == [["middle", "high"], ["a"]]
    models = [pydantic.create_model("M", level=(kind, ...)) for kind in (Level, again)]
    found = read_schema({"x": models[1], "y": Level})
    assert found["$defs"]["M.Level"] != found["$defs"]["Level"]
    with pytest.raises(InputError, match=r"two types are called 'M\.Level'"):
        read_schema(dict(zip("xy", models, strict=True)))


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"n": complex}, "'n' has a type that JSON can't hold, <class 'complex'>"),
        ({"a": int, "n": list[object]}, r"'n' has a type that JSON can't hold, list\[object\]"),
        ({"a": NotRequired[int], "n": set[complex]}, r"'n' has a type that JSON can't hold, set\["),
        ({"a": int, "n": int, 3: str}, "the name of a column must be a text, not 3"),
        ({"a": int, "n": "str"}, "'n' must be a Python type, not 'str'"),
        ({"a": int, "n": ["low", "high"]}, r"for choices, Literal\['low', 'high'\]"),
        ({"a": int, "n": {"m": 3}}, "'m' must be a Python type, not 3"),
        ({"ä": int}, "'ä' can't be the name of a column"),
        ({"n": "str"}, "or a mapping of columns to Python types: 'n' is 'str'"),
        ({"n": None}, "or a mapping of columns to Python types: 'n' is None"),
        ({}, "must be a JSON schema whose type is 'object'"),
        (int, "type is 'object', not 'integer': make it a property of an object"),
        (list[Review], "type is 'object', not 'array'"),
        (Review | None, "anyOf is allowed only below a property"),
        (Review(Level.HIGH, []), "must be a JSON schema, a mapping .*give the class, Review"),
        (Struct(datetime(2026, 5, 1, tzinfo=UTC)), "give the class, Struct"),
        ("schema.json", "must be a JSON schema, a mapping of .*, not 'schema.json'"),
        (Any, "must be a JSON schema"),
        (None, "must be a JSON schema"),
        (enum.Enum("Mixed", {"A": 1, "B": "b"}), "'Mixed' has no JSON schema: Enums must"),
        (Level, "type is 'object', not None"),
        ({"n": NotRequired, "m": int}, "of columns to Python types: .*NotRequired is not valid"),
    ],
    ids=ascii,
)
def test_what_is_no_type_of_an_answer_is_refused(given_: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^x.schema: .*{words}"):
        read_schema(given_, "x.schema")


def test_a_name_that_means_nothing_is_refused() -> None:
    @dataclass
    class Bad:
        ok: int
        n: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InputError, match="'Bad' has no JSON schema: name 'Nowhere'"):
        read_schema(Bad)


# -- answers ----------------------------------------------------------------------------------


def test_an_answer_that_does_not_fit_names_the_field() -> None:
    schema = read_schema(Review)
    good = {"z": "high", "b": [], "a": "2026-05-01T10:00:00+02:00", "extra": 1}
    moment = datetime.fromisoformat("2026-05-01T10:00:00+02:00")
    assert schema.convert(good) == Review(Level.HIGH, [], moment)
    with pytest.raises(AnswerError) as caught:
        schema.convert({**good, "b": [{"z": 1.5, "a": "q"}]}, "task 2 (docs)")
    assert str(caught.value) == (
        "task 2 (docs): the answer does not fit Review: Expected `int`, got `float` - at "
        "`$.b[0].z`; `structured` is the answer as it is"
    )
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, CprError)
    assert isinstance(caught.value.__cause__, msgspec.ValidationError)
    for value in (None, [], "x", {}):
        with pytest.raises(AnswerError):
            schema.convert(value)


def test_an_error_of_the_users_own_class_is_reported_as_such() -> None:
    @dataclass
    class Odd:
        n: int

        def __post_init__(self) -> None:
            raise KeyError("of mine")

    with pytest.raises(AnswerError, match="does not fit Odd: 'of mine'; ") as caught:
        read_schema(Odd).convert({"n": 1})
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_schema_that_was_read_is_taken_again() -> None:
    schema = read_schema(Review)
    assert read_schema(schema) is schema
    assert read_schema(json.loads(json.dumps(schema))) == schema


@settings(max_examples=200)
@given(typed_values())
def test_what_a_type_holds_comes_back_as_it_was(drawn: tuple[Any, Any, Any]) -> None:
    hint, as_json, value = drawn
    schema = read_schema({"n": hint})
    check_both(schema)
    jsonschema.Draft7Validator(schema).validate({"n": as_json})
    found = schema.convert({"n": as_json})["n"]
    assert found == value and type(found) is type(value)


def test_an_answer_is_a_plain_mapping_to_everybody_else() -> None:
    schema = read_schema({"n": int})
    assert isinstance(schema, Mapping) and isinstance(copy.deepcopy(schema), Answer)
    assert json.loads(json.dumps(schema)) == schema
