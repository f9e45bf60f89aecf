"""Answers by a schema as typed columns: one a property of the JSON schema, in its order.

What an answer lacks, or what does not fit its column, is missing: nothing is invented, and no
answer is an error here.
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

#: The columns of a table of results that are not of the schema.
RESULT_COLUMNS = ("result", "session_id", "task_id", "ok", "outcome", "cost_usd", "duration_s")
DAY = "datetime64[us]"
#: An object that would make more columns than this, or lies deeper, stays an object.
MAX_COLUMNS = 1000
MAX_DEPTH = 20
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DTYPES = {"string": "string", "integer": "Int64", "number": "Float64", "boolean": "boolean"}
_FORMATS = {"date-time": TIME, "date": DAY}


class AnswerColumn(NamedTuple):
    """A column of answers.

    Args:
        name: Its name: that of the property; of one in a nested object ``place.city``.
        dtype: Its pandas dtype; ``category`` for choices.
        doc: What the schema says of it, its ``description``.
        categories: The choices, in the schema's order.
        path: The keys that lead to its value.
        types: Which types of JSON it may hold; empty for any.
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
    """The columns of answers by a schema.

    string, integer, number and boolean become the nullable dtypes; choices (``enum``,
    ``const``) a category; ``date-time`` a moment in UTC, ``date`` a moment without a zone; all
    else an object. null beside another type is only what is missing.

    Args:
        schema: The JSON schema; None for none.
        flatten: Whether nested objects become columns of their own, ``place.city``.

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
    top = _properties(schema)
    for name, node in top.items():
        whole = [_column((name,), node, schema)[0]]
        room = max(0, MAX_COLUMNS - len(columns))
        found = list(islice(_columns((name,), node, schema), room + 1)) if flatten else whole
        names = {column.name for column in found}
        taken = {column.name for column in columns} | (top.keys() - {name})
        if len(found) > room or len(names) < len(found) or names & taken:
            found = whole
        columns += found
    return tuple(columns)


def answer_table(
    values: Sequence[Any],
    schema: Mapping[str, Any] | None,
    index: pd.Index[Any] | None = None,
    flatten: bool = False,
) -> pd.DataFrame:
    """A table of answers; an empty one has the dtypes of a full one.

    Args:
        values: The answers as the CLI gives them; None where there is none.
        schema: The JSON schema; None for none, and no columns.
        index: The index of the table.
        flatten: As for `answer_columns`.

    Returns:
        The table, a row an answer.

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
    taken: Iterable[Hashable],
    where: str = "schema",
    ours: Iterable[str] = (),
) -> None:
    """Refuses columns of a schema that a table of results has already.

    Args:
        names: The columns of the schema.
        taken: The columns of the user's frame.
        where: What to call the schema in the error.
        ours: Further columns of a table of results, beside `OURS`.

    Raises:
        InputError: Naming the field, and the way out.

    Example:
        >>> check_collisions(["severity"], ["path"])
    """
    frame, own = set(taken), {*RESULT_COLUMNS, *ours}
    for name in names:
        if name in own:
            raise InputError(
                f"the field {name!r} has the name of a column that every table of results has: "
                "give it another name",
                where,
            )
        if name in frame:
            raise InputError(
                f"the frame has a column {name!r} already: give the field another name, or drop "
                "or rename the column",
                where,
            )


# -- what a column is -------------------------------------------------------------------------


class _Alternative(NamedTuple):
    """One of the things that a property may be."""

    types: frozenset[str]  # empty for any
    format: str = ""
    choices: tuple[Any, ...] | None = None
    node: Mapping[str, Any] = {}


def _columns(
    path: tuple[str, ...], node: Any, root: Mapping[str, Any], above: tuple[int, ...] = ()
) -> Iterator[AnswerColumn]:
    """The column of a property, or the columns of the object that it is."""
    column, inner = _column(path, node, root)
    parts = _properties(inner)
    if not parts or id(inner) in above or len(path) == MAX_DEPTH:
        yield column
        return
    for name, part in parts.items():
        yield from _columns((*path, name), part, root, (*above, id(inner)))


def _column(
    path: tuple[str, ...], node: Any, root: Mapping[str, Any]
) -> tuple[AnswerColumn, Mapping[str, Any] | None]:
    """The column of a property as a whole, and its schema if it is an object."""
    try:
        leaves = [leaf for leaf in _alternatives(node, root, set()) if leaf.types != {"null"}]
    except RecursionError:
        leaves = [_Alternative(frozenset())]
    column = AnswerColumn(".".join(path), "object", _doc(node, root), path=path)
    if not leaves:
        return column._replace(types=frozenset(("null",))), None
    if any(not leaf.types for leaf in leaves):
        return column, None
    types = frozenset().union(*(leaf.types for leaf in leaves)) - {"null"}
    column = column._replace(types=types)
    if all(leaf.choices is not None for leaf in leaves):
        choices = _categories([c for leaf in leaves for c in leaf.choices or ()])
        return (column._replace(dtype="category", categories=choices) if choices else column), None
    formats = {leaf.format for leaf in leaves}
    if types == {"string"} and len(formats) == 1:
        dtype = _FORMATS.get(formats.pop(), "string")
    elif types == {"integer", "number"}:
        dtype = "Float64"
    else:
        dtype = _DTYPES.get(next(iter(types)), "object") if len(types) == 1 else "object"
    inner = leaves[0].node if types == {"object"} and len(leaves) == 1 else None
    return column._replace(dtype=dtype), inner


def _alternatives(node: Any, root: Mapping[str, Any], seen: set[str]) -> Iterator[_Alternative]:
    """What a schema allows, without references and alternatives; each reference only once."""
    if not isinstance(node, Mapping):
        yield _Alternative(frozenset())
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
    for part in node["allOf"] if isinstance(node.get("allOf"), list) else ():
        # All of them hold: the first that says what it is will do.
        found = list(_alternatives(part, root, seen))
        if all(leaf.types for leaf in found):
            yield from found
            return
    yield _Alternative(frozenset())


def _alternative(node: Mapping[str, Any]) -> _Alternative:
    if isinstance(node.get("enum"), list) or "const" in node:
        choices = node["enum"] if isinstance(node.get("enum"), list) else [node["const"]]
        types = frozenset(_type_of(choice) for choice in choices)
        return _Alternative(
            types, choices=tuple(choice for choice in choices if choice is not None)
        )
    words = node.get("type", "object" if "properties" in node else "array")
    words = words if isinstance(words, list) else [words]
    types = frozenset(word for word in words if isinstance(word, str))
    shape = node.get("format")
    return _Alternative(types, shape if isinstance(shape, str) else "", node=node)


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
    found = node.get("properties") if node is not None else None
    return dict(found) if isinstance(found, Mapping) else {}


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
    """Choices that pandas can tell apart; empty if it can't."""
    if not all(isinstance(choice, str | int | float) for choice in choices):
        return ()
    if any(isinstance(choice, float) and not np.isfinite(choice) for choice in choices):
        return ()
    different = {_key(choice): choice for choice in reversed(choices)}
    # To pandas, 1 and true are one; and so are two texts of which it can't hold a character.
    if len({_encodable(choice) for choice in choices}) < len(different):
        return ()
    return tuple(reversed(different.values()))


# -- its values -------------------------------------------------------------------------------


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
    kind = _type_of(value)
    whole = isinstance(value, float) and value.is_integer() and "integer" in types
    return not types or kind in types or whole or (kind == "integer" and "number" in types)


def _category(values: list[Any], categories: tuple[Any, ...]) -> pd.Series[Any]:
    codes = {_key(category): code for code, category in enumerate(categories)}
    found = [codes.get(_key(value), -1) for value in values]
    shown = pd.Index(
        [_encodable(category) for category in categories], dtype=_index_dtype(categories)
    )
    return pd.Series(pd.Categorical.from_codes(found, categories=shown))


def _key(value: object) -> tuple[bool, Any]:
    """What makes two values of JSON the same: 1 and 1.0 are, 1 and true are not."""
    return isinstance(value, bool), value if isinstance(value, str | int | float) else None


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _index_dtype(categories: tuple[Any, ...]) -> Any:
    """None lets pandas choose where it chooses well; numbers of two kinds stay as they are."""
    kinds = {type(category) for category in categories}
    fits = all(not isinstance(c, int) or -(1 << 63) <= c < 1 << 63 for c in categories)
    return None if len(kinds) == 1 and fits else "object"


def _is_moment(value: object) -> bool:
    """Whether a text has a day and a time, of years that Python knows in UTC, too."""
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
