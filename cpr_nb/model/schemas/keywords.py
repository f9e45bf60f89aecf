"""The keywords of JSON schemas that the CLI knows, and what their values must be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
# The keywords that hold schemas: one, a list of them, an object of them.
ONE = ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
SEVERAL = ("allOf", "anyOf", "oneOf")
BY_NAME = ("$defs", "definitions", "dependencies", "patternProperties", "properties")


def subschemas(node: Any) -> Iterator[tuple[Path, Any]]:
    """The schemas directly inside a schema, each with the keys that lead to it.

    Example:
        >>> list(subschemas({"properties": {"n": {}}, "enum": [{}]}))
        [(('properties', 'n'), {})]
    """
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ONE:
            yield (key,), value
        else:
            yield from (((key, name), part) for name, part in _named_parts(key, value))


def _named_parts(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The schemas in a list of them, or in an object of them."""
    if key in SEVERAL and isinstance(value, list):
        yield from ((str(number), part) for number, part in enumerate(value))
    elif key in BY_NAME and isinstance(value, dict):
        is_mixed = key == "dependencies"  # some are lists of names
        yield from (
            (name, part)
            for name, part in value.items()
            if not (is_mixed and isinstance(part, list))
        )


# -- one check per keyword: what its value must be, or empty if it is ------------------------------


def _is_text(value: Any) -> str:
    return "" if isinstance(value, str) else "a text"


def _is_flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _is_number(value: Any) -> str:
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"


def _is_above_0(value: Any) -> str:
    return "" if not _is_number(value) and value > 0 else "a number above 0"


def _is_count(value: Any) -> str:
    is_valid = not _is_number(value) and value >= 0 and value == int(value)
    return "" if is_valid else "a whole number, at least 0"


def _is_type(value: Any) -> str:
    words = value if isinstance(value, list) else [value]
    is_valid = words and all(isinstance(word, str) and word in TYPES for word in words)
    return "" if is_valid and len(set(words)) == len(words) else f"one of {', '.join(TYPES)}"


def _are_names(value: Any) -> str:
    is_valid = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return "" if is_valid and len(set(value)) == len(value) else "a list of different texts"


def _are_choices(value: Any) -> str:
    wrong = "a list of different values, at least one"
    if not isinstance(value, list) or not value:
        return wrong
    # 1 and 1.0 are one value in JSON, 1 and true are not.
    keys = [json.dumps(_whole(choice), sort_keys=True) for choice in value]
    return "" if len(set(keys)) == len(keys) else wrong


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_list(value: Any) -> str:
    return "" if isinstance(value, list) else "a list"


def _are_schemas(value: Any) -> str:
    return "" if isinstance(value, list) and value else "a list of schemas, at least one"


def _are_named(value: Any) -> str:
    return "" if isinstance(value, dict) else "an object of schemas"


def _are_dependencies(value: Any) -> str:
    if not isinstance(value, dict):
        return _are_named(value)
    return next((_are_names(v) for v in value.values() if isinstance(v, list)), "")


def _is_anything(value: Any) -> str:
    return ""


#: Keyword → what its value must be, in words; empty if it is.
KEYWORDS: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(("$comment", "$ref", "contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("description", "format", "pattern", "title"), _is_text),
    **dict.fromkeys(("deprecated", "nullable", "readOnly", "uniqueItems", "writeOnly"), _is_flag),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), _is_number),
    **dict.fromkeys(("maxItems", "maxLength", "maxProperties"), _is_count),
    **dict.fromkeys(("minItems", "minLength", "minProperties"), _is_count),
    "multipleOf": _is_above_0,
    "type": _is_type,
    "required": _are_names,
    "enum": _are_choices,
    "examples": _is_list,
    **dict.fromkeys(("const", "default"), _is_anything),
    **dict.fromkeys(ONE, _is_anything),  # checked as the schemas that they are
    **dict.fromkeys(SEVERAL, _are_schemas),
    **dict.fromkeys(BY_NAME, _are_named),
    "dependencies": _are_dependencies,
}
