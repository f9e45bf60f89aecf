"""Strategies: JSON that looks like a schema, and types with values."""

from __future__ import annotations

import dataclasses
import enum
from datetime import UTC, date, datetime
from typing import Any, Literal

from hypothesis import strategies as st

NAMES = st.sampled_from(["n", "m", "place", "a.b", "größe", "$ref", "x-y", ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(NAMES, part, max_size=3)
)
_WORDS = st.sampled_from(
    ["array", "boolean", "integer", "null", "number", "object", "string", "int", "any"]
)
_REFS = st.sampled_from(
    ["#", "#/$defs/n", "#/$defs/m", "#/definitions/place", "#/properties/n", "#/x", "https://x"]
)
_PATTERNS = st.sampled_from(["^a", r"\d", "(", r"\-", r"\p{L}", "[a", "a++"]) | st.text(max_size=4)


def _keywords(part: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects whose keywords mostly have values of the right shape."""
    named = st.dictionaries(NAMES, part, max_size=3)
    several = st.lists(part, min_size=0, max_size=3)
    whole = st.integers(-1, 3)
    right = {
        "type": _WORDS | st.lists(_WORDS, max_size=2),
        "properties": named,
        "$defs": named,
        "definitions": named,
        "patternProperties": st.dictionaries(_PATTERNS, part, max_size=2),
        "dependencies": st.dictionaries(NAMES, part | st.lists(NAMES, max_size=2), max_size=2),
        "required": st.lists(NAMES, max_size=2),
        "items": part | several,
        "additionalProperties": part,
        "anyOf": several,
        "allOf": several,
        "if": part,
        "then": part,
        "enum": st.lists(JSON, max_size=3),
        "const": JSON,
        "$ref": _REFS,
        "format": st.sampled_from(["date", "date-time", "uuid"]),
        "pattern": _PATTERNS,
        "minLength": whole,
        "maxItems": whole,
        "multipleOf": st.floats(-1, 2),
        "nullable": st.booleans(),
        "description": st.text(max_size=5),
        "examples": st.lists(JSON, max_size=2),
    }
    strange = st.dictionaries(st.sampled_from([*right, "$id", "x-a", "typo"]), JSON, max_size=1)
    chosen = st.lists(st.sampled_from(list(right)), max_size=4, unique=True)
    usual = chosen.flatmap(lambda keys: st.fixed_dictionaries({key: right[key] for key in keys}))
    return st.builds(lambda a, b: {**a, **b}, usual, st.just({}) | st.just({}) | strange)


def schemas() -> st.SearchStrategy[Any]:
    """What may stand below a property, mostly right."""
    return st.recursive(st.booleans() | _keywords(st.booleans()), _keywords, max_leaves=6)


def like_schemas() -> st.SearchStrategy[dict[str, Any]]:
    """What may stand at the top."""
    named = st.dictionaries(NAMES, schemas(), max_size=4)
    top = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": named},
        optional={"$defs": named, "definitions": named, "required": st.lists(NAMES, max_size=2)},
    )
    return top | top | _keywords(schemas())


#: Values that choices and answers share, so that they meet.
COMMON = st.sampled_from(["low", "high", "", "2026-05-01", 1, 1.0, 0, 2.5, True, False, None, [1]])
_KNOWN = ("array", "boolean", "integer", "null", "number", "object", "string")
_LEAVES = st.one_of(
    st.sampled_from(_KNOWN).map(lambda word: {"type": word}),
    st.lists(st.sampled_from(_KNOWN), min_size=1, max_size=3, unique=True).map(
        lambda words: {"type": words}
    ),
    st.lists(
        COMMON, min_size=1, max_size=4, unique_by=lambda v: (isinstance(v, bool), str(v), v != v)
    ).map(lambda values: {"enum": [v for n, v in enumerate(values) if not _among(v, values[:n])]}),
    COMMON.map(lambda value: {"const": value}),
    st.just({}) | st.just(True),
    st.sampled_from(["A", "B"]).map(lambda name: {"$ref": f"#/$defs/{name}"}),
)


def _among(value: Any, others: list[Any]) -> bool:
    return any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in others)


def _holding(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.lists(part, min_size=1, max_size=3)
    return st.one_of(
        st.builds(
            lambda key, several: {key: several}, st.sampled_from(["anyOf", "oneOf", "allOf"]), parts
        ),
        part.map(lambda items: {"type": "array", "items": items}),
        st.dictionaries(st.sampled_from(["x", "y", "x.y"]), part, min_size=1, max_size=3).map(
            lambda named: {"type": "object", "properties": named}
        ),
    )


def tidy_schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Whole schemas that are taken."""
    part = st.recursive(_LEAVES, _holding, max_leaves=4)
    plain = _LEAVES.filter(lambda leaf: "$ref" not in str(leaf))
    return st.builds(
        lambda named, a, b: {"type": "object", "properties": named, "$defs": {"A": a, "B": b}},
        st.dictionaries(st.sampled_from(["n", "m", "place", "a.b", "place.x"]), part, max_size=4),
        plain,
        st.just({"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}) | plain,
    )


# -- types with values ------------------------------------------------------------------------


class Color(enum.Enum):
    """Choices out of the order of their letters."""

    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Thing:
    """Some fields."""

    n: int
    color: Color | None = None


_MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
_SAFE = st.integers(-(2**63), 2**63 - 1)  # beyond it, msgspec does not read a whole number
#: A type, its value as JSON, its value.
_PLAIN = st.one_of(
    st.tuples(st.just(str), st.text()).map(lambda t: (*t, t[1])),
    st.tuples(st.just(int), _SAFE).map(lambda t: (*t, t[1])),
    st.tuples(st.just(bool), st.booleans()).map(lambda t: (*t, t[1])),
    st.tuples(st.just(float), st.floats(allow_nan=False, allow_infinity=False)).map(
        lambda t: (*t, t[1])
    ),
    st.sampled_from(list(Color)).map(lambda color: (Color, color.value, color)),
    st.sampled_from(["z", "a"]).map(lambda word: (Literal["z", "a"], word, word)),
    st.dates().map(lambda day: (date, day.isoformat(), day)),
    _MOMENTS.map(lambda moment: (datetime, moment.isoformat(), moment)),
    _SAFE.map(lambda n: (Thing, {"n": n, "color": "red"}, Thing(n, Color.RED))),
)


def _more(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda t: (list[t[0]], [t[1]], [t[2]])),  # type: ignore[name-defined]
        inner.map(lambda t: (dict[str, t[0]], {"k": t[1]}, {"k": t[2]})),  # type: ignore[name-defined]
        inner.map(lambda t: (t[0] | None, t[1], t[2])),
        inner.map(lambda t: (t[0] | None, None, None)),
        st.tuples(inner, inner).map(
            lambda two: (
                tuple[two[0][0], two[1][0]],  # type: ignore[name-defined]
                [two[0][1], two[1][1]],
                (two[0][2], two[1][2]),
            )
        ),
    )


def typed_values() -> st.SearchStrategy[tuple[Any, Any, Any]]:
    """A type, a value of it as JSON, and the value."""
    return st.recursive(_PLAIN, _more, max_leaves=4)
