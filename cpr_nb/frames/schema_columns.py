"""Structured answers as typed columns: one per property of the JSON schema, in its order.

A value that an answer lacks, or that does not fit its column, is missing. Nothing is invented, and
no answer raises an error.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.frames.columns import TIME, series
from cpr_nb.model.errors import InputError
from cpr_nb.model.schemas.dialect import follow

#: The columns of a table of results that do not come from the schema.
RESULT_COLUMNS = ("result", "ok", "outcome", "cost_usd", "duration_s", "session_id", "task_id")
DAY = "datetime64[us]"
#: An object with more columns than this, or nested deeper, stays an object.
MAX_COLUMNS = 1000
MAX_DEPTH = 20
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DTYPES = {"string": "string", "integer": "Int64", "number": "Float64", "boolean": "boolean"}
_FORMATS = {"date-time": TIME, "date": DAY}


class AnswerColumn(NamedTuple):
    """A column of structured answers.

    Args:
        name: Its name: the property's; ``place.city`` for one in a nested object.
        dtype: Its pandas dtype; ``category`` for choices.
        doc: The schema's ``description`` of it.
        categories: The choices, in the order of the schema.
        path: The keys that lead to its value.
        types: The types of JSON that it may hold; empty for any.
    """

    name: str
    dtype: str
    doc: str = ""
    categories: tuple[Any, ...] = ()
    path: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()


def answer_columns(
    schema: Mapping[str, Any] | None, flatten: bool = False
) -> tuple[AnswerColumn, ...]:
    """The columns of answers that have a schema.

    string, integer, number and boolean become nullable dtypes; choices (``enum``, ``const``) a
    category; ``date-time`` a time in UTC; ``date`` a time without a zone; everything else an
    object. null beside another type only means that a value may be missing.

    Args:
        schema: The JSON schema; None for none.
        flatten: Whether nested objects become columns, such as ``place.city``.

    Returns:
        The columns, in the schema's order.

    Example:
        >>> schema = {"properties": {"level": {"enum": ["low", "high"]}, "n": {"type": "integer"}}}
        >>> [(column.name, column.dtype) for column in answer_columns(schema)]
        [('level', 'category'), ('n', 'Int64')]
    """
    if not isinstance(schema, Mapping):
        return ()
    columns: list[AnswerColumn] = []
    properties = _properties(schema)
    for name, node in properties.items():
        existing = {column.name for column in columns} | (properties.keys() - {name})
        n_free = max(0, MAX_COLUMNS - len(columns))
        flat = list(islice(_columns((name,), node, schema), n_free + 1)) if flatten else []
        names = {column.name for column in flat}
        is_usable = 0 < len(flat) <= n_free and len(names) == len(flat) and not names & existing
        columns += flat if is_usable else [_column((name,), node, schema)[0]]
    return tuple(columns)


def answer_table(
    values: Sequence[Any],
    schema: Mapping[str, Any] | None,
    index: pd.Index[Any] | None = None,
    flatten: bool = False,
) -> pd.DataFrame:
    """Makes a table of structured answers; an empty one has the same dtypes.

    Args:
        values: The answers as the CLI gives them; None for a missing one.
        schema: The JSON schema; None for no columns.
        index: The index of the table.
        flatten: As for `answer_columns`.

    Returns:
        The table, one row per answer.

    Example:
        >>> schema = {"properties": {"n": {"type": "integer"}}}
        >>> answer_table([{"n": 3.0}, {"n": "many"}, None], schema)["n"].tolist()
        [3, <NA>, <NA>]
    """
    columns = answer_columns(schema, flatten)
    table = pd.DataFrame(
        {
            column.name: _series([_value_at_path(v, column.path) for v in values], column)
            for column in columns
        },
        index=pd.RangeIndex(len(values)),
    )
    if index is not None:
        table.index = index
    return table


def check_collisions(
    names: Iterable[str],
    frame_columns: Iterable[Hashable],
    where: str = "schema",
    further: Iterable[str] = (),
) -> None:
    """Refuses fields with the name of a column that the table of results already has.

    Args:
        names: The columns of the schema.
        frame_columns: The columns of the user's frame.
        where: What to call the schema in the error.
        further: More columns of the table of results, beside `RESULT_COLUMNS`.

    Raises:
        InputError: Naming the field, and the way out.

    Example:
        >>> check_collisions(["severity"], ["path"])
    """
    frame, results = set(frame_columns), {*RESULT_COLUMNS, *further}
    for name in names:
        if name in results:
            raise InputError(
                f"the field {name!r} has the name of a column that every table of results has: "
                "choose another name",
                where,
            )
        if name in frame:
            raise InputError(
                f"the frame already has a column {name!r}: give the field another name, or drop "
                "or rename the column",
                where,
            )


# -- from schema to column -------------------------------------------------------------------------


class _Alternative(NamedTuple):
    """One of the forms that a schema allows for a value."""

    types: frozenset[str]  # empty for any
    format: str = ""
    choices: tuple[Any, ...] | None = None
    node: Mapping[str, Any] = {}


_ANY = _Alternative(frozenset())


def _columns(
    path: tuple[str, ...], node: Any, root: Mapping[str, Any], ancestors: tuple[int, ...] = ()
) -> Iterator[AnswerColumn]:
    """The column of a property, or the columns of the object that it is."""
    column, inner = _column(path, node, root)
    properties = _properties(inner)
    if not properties or id(inner) in ancestors or len(path) == MAX_DEPTH:
        yield column
        return
    for name, child in properties.items():
        yield from _columns((*path, name), child, root, (*ancestors, id(inner)))


def _column(
    path: tuple[str, ...], node: Any, root: Mapping[str, Any]
) -> tuple[AnswerColumn, Mapping[str, Any] | None]:
    """The column of a property as a whole, and its schema if it is an object."""
    column = AnswerColumn(".".join(path), "object", _doc(node, root), path=path)
    alternatives = _non_null_alternatives(node, root)
    if not alternatives:
        return column._replace(types=frozenset(("null",))), None
    if any(not alternative.types for alternative in alternatives):
        return column, None
    types = frozenset().union(*(alternative.types for alternative in alternatives)) - {"null"}
    column = column._replace(types=types)
    if all(alternative.choices is not None for alternative in alternatives):
        choices = [choice for each in alternatives for choice in each.choices or ()]
        categories = _categories(choices)
        if categories:
            column = column._replace(dtype="category", categories=categories)
        return column, None
    dtype = _dtype(types, {alternative.format for alternative in alternatives})
    is_one_object = types == {"object"} and len(alternatives) == 1
    return column._replace(dtype=dtype), alternatives[0].node if is_one_object else None


def _dtype(types: frozenset[str], formats: set[str]) -> str:
    """The dtype of values of these types of JSON, and of these formats."""
    if types == {"string"} and len(formats) == 1:
        return _FORMATS.get(next(iter(formats)), "string")
    if types == {"integer", "number"}:
        return "Float64"
    return _DTYPES.get(next(iter(types)), "object") if len(types) == 1 else "object"


def _non_null_alternatives(node: Any, root: Mapping[str, Any]) -> list[_Alternative]:
    try:
        return [each for each in _alternatives(node, root, set()) if each.types != {"null"}]
    except RecursionError:
        return [_ANY]


def _alternatives(node: Any, root: Mapping[str, Any], seen: set[str]) -> Iterator[_Alternative]:
    """What a schema allows, with references and alternatives resolved; each reference once."""
    if not isinstance(node, Mapping):
        yield _ANY
        return
    ref = node.get("$ref")
    if isinstance(ref, str):
        if ref not in seen:
            seen.add(ref)
            yield from _alternatives(_resolve(ref, root), root, seen)
        return
    if any(key in node for key in ("enum", "const", "type", "properties", "items")):
        yield _alternative(node)
        return
    for key in ("anyOf", "oneOf"):
        if isinstance(node.get(key), list):
            for part in node[key]:
                yield from _alternatives(part, root, seen)
            return
    yield from _all_of(node, root, seen)


def _all_of(
    node: Mapping[str, Any], root: Mapping[str, Any], seen: set[str]
) -> Iterator[_Alternative]:
    """The first part of ``allOf`` that restricts the type: all parts hold, so one is enough."""
    for part in node["allOf"] if isinstance(node.get("allOf"), list) else ():
        alternatives = list(_alternatives(part, root, seen))
        if all(alternative.types for alternative in alternatives):
            yield from alternatives
            return
    yield _ANY


def _alternative(node: Mapping[str, Any]) -> _Alternative:
    choices = node.get("enum")
    if not isinstance(choices, list):
        choices = [node["const"]] if "const" in node else None
    if choices is not None:
        types = frozenset(_type_of(choice) for choice in choices)
        return _Alternative(types, choices=tuple(c for c in choices if c is not None))
    names = node.get("type", "object" if "properties" in node else "array")
    names = names if isinstance(names, list) else [names]
    types = frozenset(name for name in names if isinstance(name, str))
    format_ = node.get("format")
    return _Alternative(types, format_ if isinstance(format_, str) else "", node=node)


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")


def _resolve(ref: str, root: Mapping[str, Any]) -> Any:
    try:
        return follow(ref, root)
    except LookupError:
        return None


def _properties(node: Mapping[str, Any] | None) -> dict[str, Any]:
    properties = node.get("properties") if node is not None else None
    return dict(properties) if isinstance(properties, Mapping) else {}


def _doc(node: Any, root: Mapping[str, Any]) -> str:
    """The nearest description."""
    seen = set()
    while isinstance(node, Mapping):
        doc = node.get("description")
        if isinstance(doc, str) and doc:
            return doc
        ref = node.get("$ref")
        if not isinstance(ref, str) or ref in seen:
            break
        seen.add(ref)
        node = _resolve(ref, root)
    return ""


def _categories(choices: list[Any]) -> tuple[Any, ...]:
    """The choices without duplicates; empty if pandas can't tell them apart."""
    if not all(isinstance(choice, str | int | float) for choice in choices):
        return ()
    if any(isinstance(choice, float) and not np.isfinite(choice) for choice in choices):
        return ()
    by_key = {_key(choice): choice for choice in reversed(choices)}
    # For pandas 1 and true are equal, and so are texts that differ only in lone surrogates.
    if len({_encodable(choice) for choice in choices}) < len(by_key):
        return ()
    return tuple(reversed(by_key.values()))


# -- values -------------------------------------------------------------------------------


def _value_at_path(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _series(values: list[Any], column: AnswerColumn) -> pd.Series[Any]:
    if column.dtype == "category":
        return _category(values, column.categories)
    if column.dtype == TIME:
        values = [value if _is_moment(value) else None for value in values]
    elif column.dtype == DAY:
        return pd.Series(np.array([_day(value) for value in values], dtype=DAY))
    elif column.dtype == "object":
        values = [v if _fits(v, column.types) else None for v in values]
    return series(values, column.dtype)


def _fits(value: object, types: frozenset[str]) -> bool:
    if not types or _type_of(value) in types:
        return True
    is_whole = isinstance(value, float) and value.is_integer()
    return (is_whole and "integer" in types) or (_type_of(value) == "integer" and "number" in types)


def _category(values: list[Any], categories: tuple[Any, ...]) -> pd.Series[Any]:
    codes = {_key(category): code for code, category in enumerate(categories)}
    value_codes = [codes.get(_key(value), -1) for value in values]
    index = pd.Index(
        [_encodable(category) for category in categories], dtype=_index_dtype(categories)
    )
    return pd.Series(pd.Categorical.from_codes(value_codes, categories=index))


def _key(value: object) -> tuple[bool, Any]:
    """A key for which 1 and 1.0 are equal, but 1 and true are not."""
    return isinstance(value, bool), value if isinstance(value, str | int | float) else None


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _index_dtype(categories: tuple[Any, ...]) -> Any:
    """None where pandas chooses well; numbers of two types stay as they are."""
    kinds = {type(category) for category in categories}
    fits = all(not isinstance(c, int) or -(1 << 63) <= c < 1 << 63 for c in categories)
    return None if len(kinds) == 1 and fits else "object"


def _is_moment(value: object) -> bool:
    """Whether a text has a date and a time, in years that Python supports in UTC too."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return False
    try:
        moment = datetime.fromisoformat(value)
        moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _day(value: object) -> np.datetime64:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return np.datetime64(date.fromisoformat(value), "us")
        except ValueError:
            pass
    return np.datetime64("NaT", "us")
