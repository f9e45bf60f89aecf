"""JSON schemas that are taken, and such that are refused, by whom, and with which words."""

from __future__ import annotations

from typing import Any, NamedTuple

import jsonschema

N: dict[str, Any] = {"type": "integer"}
S: dict[str, Any] = {"type": "string"}


def of(**properties: Any) -> dict[str, Any]:
    """A schema of an object with these properties, all required."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def text(pattern: str) -> dict[str, Any]:
    """A schema of a text with a pattern."""
    return {**S, "pattern": pattern}


#: Schemas of one property, each with a value that obeys it.
TAKEN: dict[str, tuple[Any, Any]] = {
    "string": (S, "a"),
    "null": ({"type": "null"}, None),
    "two types": ({"type": ["integer", "null"]}, None),
    "nullable": ({**N, "nullable": True}, None),
    "anyOf null": ({"anyOf": [N, {"type": "null"}]}, None),
    "oneOf": ({"oneOf": [N, S]}, "a"),
    "allOf": ({"allOf": [{"minimum": 1, **N}]}, 1),
    "not": ({**N, "not": {"const": 3}}, 4),
    "if": ({**N, "if": {"minimum": 1, **N}, "then": {"maximum": 9, **N}}, 4),
    "enum": ({"enum": ["b", 1, None]}, 1),
    "const": ({"const": "a"}, "a"),
    "true": (True, 1),
    "anything": ({}, [1]),
    "formats": ({**S, "format": "date-time"}, "2026-01-01T00:00:00Z"),
    "unknown format": ({**S, "format": "decimal"}, "1.5"),
    "numbers": ({"type": "number", "exclusiveMinimum": 0, "maximum": 9, "multipleOf": 0.5}, 1.5),
    "lengths": ({**S, "minLength": 1, "maxLength": 3.0}, "ab"),
    "items": ({"type": "array", "items": N, "minItems": 1, "uniqueItems": True}, [1, 2]),
    "contains": ({"type": "array", "contains": N}, [1]),
    "a pair": (
        {"type": "array", "items": {"anyOf": [N, S]}, "minItems": 2, "maxItems": 2},
        [1, "a"],
    ),
    "object": ({**of(x=N), "additionalProperties": False, "minProperties": 1}, {"x": 1}),
    "map": ({"type": "object", "additionalProperties": N, "propertyNames": text("^k")}, {"k": 1}),
    "pattern of names": ({"type": "object", "patternProperties": {"^k": N}}, {"k": 1}),
    "dependencies": ({"type": "object", "dependencies": {"a": ["b"], "c": {}}}, {"a": 1, "b": 1}),
    "about it": ({**N, "title": "T", "description": "d", "$comment": "c", "default": 3}, 1),
    "more about it": ({**N, "examples": [1], "deprecated": True, "readOnly": True}, 1),
    "contents": ({**S, "contentEncoding": "base64", "contentMediaType": "a/b"}, "YQ=="),
    "a reference": ({"$ref": "#/$defs/A%20b~1c"}, 1),
    "the old name": ({"$ref": "#/definitions/D", "description": "d"}, "d"),
    "a property": ({"$ref": "#/properties/string"}, "s"),
    "recursion": ({"$ref": "#/$defs/Node"}, {"kids": [{"kids": []}]}),
    "class": (text(r"^[\w.\-]+@[\w.]+$"), "a-b@c"),
    "letters": (text(r"^\p{Lu}\u{308}?$"), "Ä"),
    "a named group": (text(r"(?<y>\d)\k<y>"), "11"),
    "look around": (text(r"(?<!a)b(?=c)(?:d|c{1,2})+?"), "bc"),
    "empty classes": (text(r"x|a[]"), "x"),
    "of Decimals": (text(r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"), "1.5"),
}
DEFINITIONS = {
    "$defs": {"A b/c": N, "Node": of(kids={"type": "array", "items": {"$ref": "#/$defs/Node"}})},
    "definitions": {"D": {"const": "d"}},
}
#: All of them at once, and an answer that obeys it.
WHOLE = {
    **of(**{name.replace(" ", "_"): schema for name, (schema, _) in TAKEN.items()}),
    **DEFINITIONS,
}
WHOLE["properties"]["a_property"] = {"$ref": "#/properties/string"}
ANSWER = {name.replace(" ", "_"): value for name, (_, value) in TAKEN.items()}


class Refused(NamedTuple):
    """A schema that is refused.

    Args:
        schema: The schema.
        words: A part of our message.
        by: Who would refuse it later: the CLI, the API, or nobody (it could never be obeyed).
    """

    schema: Any
    words: str
    by: str = "CLI"


_TYPES = "must be one of array, boolean, integer, null, number, object, string, not "
_NOT_JS = "is not a JavaScript regular expression"
REFUSED: dict[str, Refused] = {
    "unknown type": Refused(of(n={"type": "int"}), f"at properties.n.type: {_TYPES}'int'"),
    "same type twice": Refused(of(n={"type": ["string", "string"]}), f"type: {_TYPES}"),
    "no type": Refused(of(n={"type": []}), f"at properties.n.type: {_TYPES}[]"),
    "required of draft 3": Refused(of(n={**N, "required": True}), "properties.n.required: must be"),
    "required twice": Refused({**of(n=N), "required": ["n", "n"]}, "at required: must be a list"),
    "required is no list": Refused({**of(n=N), "required": "n"}, "at required: must be a list of"),
    "list of properties": Refused({"type": "object", "properties": ["n"]}, "must be an object of"),
    "shorthand": Refused(
        of(n="integer"), "at properties.n: must be a schema (an object), not 'int"
    ),
    "typo": Refused({**of(n=N), "requried": ["n"]}, "'requried'; did you mean required?"),
    "deep typo": Refused(
        of(n={"type": "array", "items": {"tpye": "string"}}), "at properties.n.items: unknown"
    ),
    "id": Refused(of(n={**N, "id": "x"}), "unknown keyword 'id'"),
    "anchor": Refused(of(n={**N, "$anchor": "x"}), "unknown keyword '$anchor'"),
    "2020-12": Refused({**of(n=N), "unevaluatedProperties": False}, "unknown keyword 'unevaluated"),
    "minContains": Refused(of(n={"type": "array", "minContains": 1}), "unknown keyword 'minCont"),
    "dependentRequired": Refused({**of(n=N), "dependentRequired": {}}, "did you mean dependencies"),
    "tuple of 2020-12": Refused(
        of(n={"type": "array", "prefixItems": [N]}), "at properties.n: prefixItems: positions of"
    ),
    "tuple of draft 7": Refused(
        of(n={"type": "array", "items": [N], "minItems": 1, "maxItems": 1}),
        "at properties.n.items: positions of an array can't be described",
        "API",
    ),
    "nullable alone": Refused(of(n={"nullable": True}), "at properties.n: nullable needs a type"),
    "nullable text": Refused(of(n={**N, "nullable": "yes"}), "nullable: must be true or false"),
    "no choice": Refused(of(n={"enum": []}), "at properties.n.enum: must be a list of different"),
    "choice twice": Refused(of(n={"enum": [1, 1.0]}), "at properties.n.enum: must be a list of"),
    "no alternative": Refused(of(n={"anyOf": []}), "at properties.n.anyOf: must be a list of sch"),
    "draft 4": Refused(of(n={**N, "minimum": 1, "exclusiveMinimum": True}), "must be a number"),
    "multiples of 0": Refused(of(n={**N, "multipleOf": 0}), "must be a number above 0, not 0"),
    "negative length": Refused(of(n={**S, "minLength": -1}), "must be a whole number, at least 0"),
    "half a length": Refused(of(n={**S, "maxLength": 1.5}), "must be a whole number, at least 0"),
    "title": Refused(of(n={**N, "title": 3}), "at properties.n.title: must be a text, not 3"),
    "examples": Refused(of(n={**N, "examples": 1}), "at properties.n.examples: must be a list"),
    "if alone": Refused(of(n={**N, "if": True}), "'if' without 'then' and 'else' has no effect"),
    "then alone": Refused(of(n={**N, "then": True}), "'then' or 'else' without 'if'"),
    "dependencies": Refused({**of(n=N), "dependencies": {"n": "m"}}, "at dependencies.n: must be"),
    "both": Refused(
        {**of(n=N), "patternProperties": {"^n": N}}, "'n' is one of the properties and fits '^n'"
    ),
    "dangling": Refused(of(n={"$ref": "#/$defs/No"}), "at properties.n.$ref: '#/$defs/No' points"),
    "remote": Refused(of(n={"$ref": "https://example.com/s"}), "points to nothing in this schema"),
    "no schema": Refused(of(n={"$ref": "#/required/0"}), "points to nothing in this schema"),
    "itself": Refused(
        {**of(n={"$ref": "#/$defs/A"}), "$defs": {"A": {"$ref": "#/$defs/A"}}},
        "at $defs.A: refers to itself without end",
    ),
    "in a circle": Refused(
        {**of(n={"$ref": "#/$defs/A"}), "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, N]}}},
        "at $defs.A: refers to itself without end",
        "",
    ),
    "by what depends": Refused(
        {**of(n=N), "dependencies": {"n": {"$ref": "#"}}}, "refers to itself without end", ""
    ),
    "unused": Refused(
        {**of(n=N), "$defs": {"A": {"type": "x"}}}, "at $defs.A.type: must be", "API"
    ),
    "Python's group": Refused(of(n=text("(?P<a>x)")), f"{_NOT_JS}: '(?P<a>x)' at character 0"),
    "Python's flag": Refused(of(n=text("(?i)x")), f"{_NOT_JS}: '(?i)x' at character 0"),
    "Python's end": Refused(of(n=text(r"x\Z")), rf"{_NOT_JS}: '\\Z' at character 1"),
    "escaped dash": Refused(of(n=text(r"\d\-\d")), rf"{_NOT_JS}: '\\-\\d' at character 2"),
    "escaped in a class": Refused(of(n=text(r"[\_]")), rf"{_NOT_JS}: '\\_]' at character 1"),
    "escaped space": Refused(of(n=text(r"a\ b")), _NOT_JS),
    "no quantifier": Refused(of(n=text("a{,3}")), f"{_NOT_JS}: '{{,3}}' at character 1"),
    "bracket": Refused(of(n=text("a]")), f"{_NOT_JS}: ']' at character 1"),
    "possessive": Refused(of(n=text("a++")), f"{_NOT_JS}: '+' at character 2"),
    "nothing to repeat": Refused(of(n=text("a|*")), f"{_NOT_JS}: '*' at character 2"),
    "range of a class": Refused(of(n=text(r"[\w-z]")), _NOT_JS),
    "range backwards": Refused(of(n=text("[z-a]")), _NOT_JS),
    "open group": Refused(of(n=text("(a")), _NOT_JS),
    "open class": Refused(of(n=text("[a")), _NOT_JS),
    "pattern of names": Refused({"type": "object", "patternProperties": {"(": N}}, _NOT_JS),
    "array": Refused({"type": "array"}, "whose type is 'object', not 'array': make it", "API"),
    "perhaps": Refused({"type": ["object"]}, "must be a JSON schema whose type is 'object'", "API"),
    "alternatives": Refused(
        {"type": "object", "anyOf": [of(n=N)]}, "anyOf is allowed only below", "API"
    ),
    "only alternatives": Refused({"oneOf": [of(n=N)]}, "oneOf is allowed only below", "API"),
    "name": Refused(of(**{"größe": N}), "'größe' can't be the name of a column", "API"),
    "long name": Refused(of(**{"n" * 65: N}), "can't be the name of a column: the API", "API"),
    "no such property": Refused({**of(n=N), "required": ["m"]}, "'m' is not one of the prop", ""),
    "reference nowhere": Refused({"$ref": "#/$defs/A"}, "at $ref: '#/$defs/A' points to nothing"),
    "reference to itself": Refused(
        {"$ref": "#"}, "at $ref: '#' points to nothing in this schema", ""
    ),
    "said twice": Refused(
        {"$ref": "#/$defs/A", "required": [], "$defs": {"A": of(n=N)}},
        "at required: is set here and in #/$defs/A",
        "",
    ),
}


def check_both(schema: Any) -> None:
    """The CLI checks by draft 7, the API by draft 2020-12."""
    for draft in (jsonschema.Draft7Validator, jsonschema.Draft202012Validator):
        # Not the formats: Python would read the patterns in its own way.
        draft.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
