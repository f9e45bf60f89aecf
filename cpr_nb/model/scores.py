"""Scores of tasks: a number for each answer, by a column, a check, a grade or a function."""

from __future__ import annotations

from cpr_nb.model import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COLUMN, CHECK, GRADE, FUNCTION = KINDS = ("column", "check", "grade", "function")
#: The fields of a task that has been scored: the number, or why it has none.
SCORE, SCORE_ERROR = "score", "score_error"
#: No score comes near it, and sums stay finite.
_LARGEST = 1e15
_TYPES = ("boolean", "integer", "number")


def score_number(value: object) -> float | None:
    """The value if it can be a score: true is 1, false is 0; None if it is no finite number.

    Example:
        >>> score_number(True), score_number(-2.5), score_number("3"), score_number(float("nan"))
        (1.0, -2.5, None, None)
    """
    if not isinstance(value, bool | int | float):
        return None
    return float(value) if -_LARGEST <= value <= _LARGEST else None


def end_score(
    spec: Mapping[str, Any], outcome: str, reason: str, structure: object
) -> dict[str, Any]:
    """What the end of a task says of its score: its fields, empty if it says nothing.

    A failure has no score. What it counts as is for those to say who compare.

    Args:
        spec: What session.json says of the score.
        outcome: One of `cpr_nb.model.states.OUTCOMES`.
        reason: One of `cpr_nb.model.states.REASONS`.
        structure: The structured answer, if there is one.

    Example:
        >>> end_score({"kind": "check"}, "failed", "check_failed", None)
        {'score': 0.0}
        >>> end_score({"kind": "column", "name": "n"}, "succeeded", "completed", {"n": 3})
        {'score': 3.0}
    """
    succeeded = outcome == states.SUCCEEDED
    if spec.get("kind") == CHECK and (succeeded or reason == "check_failed"):
        return {SCORE: float(succeeded)}
    if spec.get("kind") == COLUMN and succeeded:
        name = str(spec.get("name"))
        value = structure.get(name) if isinstance(structure, dict) else None
        return checked_score(spec, value, f"the answer has no number in {name!r}")
    return {}


def checked_score(spec: Mapping[str, Any], value: object, otherwise: str) -> dict[str, Any]:
    """The fields of a task whose score is this value.

    Args:
        spec: What session.json says of the score.
        value: The value.
        otherwise: Why there is no score if the value is no number.

    Example:
        >>> checked_score({"minimum": 0, "maximum": 1}, 7, "")
        {'score_error': '7 is not from 0 to 1'}
    """
    score = score_number(value)
    if score is None:
        return {SCORE_ERROR: otherwise}
    low, high = spec.get("minimum"), spec.get("maximum")
    if (low is not None and score < low) or (high is not None and score > high):
        low_words = "" if low is None else f" from {low:g}"
        high_words = "" if high is None else f" to {high:g}"
        return {SCORE_ERROR: f"{score:g} is not{low_words}{high_words}"}
    return {SCORE: score}


def score_range(schema: Mapping[str, Any], name: str) -> dict[str, float] | None:
    """The range of a column of numbers, as far as the schema gives one; None if it is no such.

    Args:
        schema: The JSON schema of the answer.
        name: The column: a property of the answer.

    Example:
        >>> schema = {"properties": {"n": {"type": "integer", "minimum": 1, "maximum": 5}}}
        >>> score_range(schema, "n"), score_range(schema, "m")
        ({'minimum': 1.0, 'maximum': 5.0}, None)
    """
    properties = schema.get("properties")
    node = properties.get(name) if isinstance(properties, dict) else None
    return _range(node, schema, 0)


def numeric_columns(schema: Mapping[str, Any] | None) -> list[str]:
    """The columns of an answer that could be its score.

    Example:
        >>> numeric_columns({"properties": {"n": {"type": "integer"}, "why": {"type": "string"}}})
        ['n']
    """
    properties = (schema or {}).get("properties")
    names = properties if isinstance(properties, dict) else ()
    return [name for name in names if score_range(schema or {}, name) is not None]


def _range(node: Any, root: Mapping[str, Any], depth: int) -> dict[str, float] | None:
    if not isinstance(node, dict) or depth > 5:  # a reference may lead to itself
        return None
    if "$ref" in node:
        from cpr_nb.model.schemas.dialect import follow

        try:
            return _range({**follow(node["$ref"], root), **_without(node, "$ref")}, root, depth + 1)
        except (LookupError, TypeError):
            return None
    for key in ("anyOf", "oneOf"):  # as an optional number has it
        if isinstance(node.get(key), list):
            others = [one for one in node[key] if one != {"type": "null"}]
            return _range(others[0], root, depth + 1) if len(others) == 1 else None
    return _choices(node) if "enum" in node else _bounds(node)


def _bounds(node: dict[str, Any]) -> dict[str, float] | None:
    kinds = node.get("type")
    kinds = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if len(kinds) != 1 or kinds[0] not in _TYPES:
        return None
    if kinds[0] == "boolean":
        return {"minimum": 0.0, "maximum": 1.0}
    bounds = {}
    for name in ("minimum", "maximum"):
        exclusive = node.get("exclusive" + name.title())
        bound = score_number(node.get(name, exclusive))
        if bound is not None and not isinstance(node.get(name, exclusive), bool):
            bounds[name] = bound
    return bounds


def _choices(node: dict[str, Any]) -> dict[str, float] | None:
    choices = [choice for choice in node["enum"] if choice is not None]
    numbers = [number for choice in choices if (number := score_number(choice)) is not None]
    if not numbers or len(numbers) < len(choices):
        return None
    return {"minimum": min(numbers), "maximum": max(numbers)}


def _without(node: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != key}
