"""The short form of a schema on the command line, such as ``bugs: int, level: low|high``."""

from __future__ import annotations

import re

from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
}
_FIELD = re.compile(r"\s*([\w.-]+)\s*:\s*(.*?)\s*", re.ASCII | re.DOTALL)
_LIST = re.compile(r"list\[(.*)\]")


def is_fields(text: str) -> bool:
    """Whether a text has the short form: the name of a file hardly begins so.

    Args:
        text: The text.

    Example:
        >>> is_fields("bugs: int"), is_fields("schemas/bugs.json")
        (True, False)
    """
    return re.match(r"\s*[\w.-]+\s*:", text, re.ASCII) is not None


def schema_of_fields(text: str, where: str) -> dict[str, Any]:
    """Makes the JSON schema of fields.

    Args:
        text: The fields, with commas between them; each has a name and a type.
        where: The name of the option, for errors.

    Raises:
        InputError: If a field has no type that we know.

    Example:
        >>> schema_of_fields("bugs: int, level: low|high", "--schema")["properties"]
        {'bugs': {'type': 'integer'}, 'level': {'type': 'string', 'enum': ['low', 'high']}}
    """
    properties: dict[str, Any] = {}
    for part in text.split(","):
        match = _FIELD.fullmatch(part)
        if match is None or match[1] in properties:
            raise InputError(
                f"{part.strip()!r} is no field with a type: write such as 'bugs: int, "
                "level: low|high', each name once",
                where,
            )
        properties[match[1]] = _type(match[2], match[1], where)
    fields = {"properties": properties, "required": [*properties]}
    return {"type": "object", **fields, "additionalProperties": False}


def _type(text: str, name: str, where: str) -> dict[str, Any]:
    """The schema of one type."""
    if text in _TYPES:
        return dict(_TYPES[text])
    if match := _LIST.fullmatch(text):
        return {"type": "array", "items": _type(match[1].strip(), name, where)}
    choices = [choice.strip() for choice in text.split("|")]
    if len(choices) > 1 and all(choices) and len(set(choices)) == len(choices):
        return {"type": "string", "enum": choices}
    known = ", ".join(_TYPES)
    raise InputError(
        f"{name} has the type {text!r}: there are {known}, list[str] and choices, such as low|high",
        where,
    )
