"""Which columns of an answer can be its score, and between which numbers: what its schema says."""

from __future__ import annotations

from cpr_nb.model.schemas.dialect import follow
from cpr_nb.model.scores import score_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_TYPES = ("boolean", "integer", "number")


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
