"""JSON schemas that both the CLI and the API accept, checked before anything is spent.

The CLI checks a schema with Ajv in its strict mode: draft 7, without any other keyword. The API
wants draft 2020-12, the type "object" at the top without a choice there, and plain names of
properties. So a schema must be what both have in common (measured on the CLI 2.1.330, which
reports a usage error). `normal` brings a schema into that form: it leaves out what has no effect
on an answer, and refuses the rest with its place.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from cpr_nb.model.schemas.keywords import KEYWORDS, SEVERAL, Path, subschemas
from cpr_nb.model.schemas.patterns import find_error, matches

# Keywords without effect on an answer, which the CLI's strict mode does not know.
_LEFT_OUT = ("$schema", "$id", "discriminator", "example", "externalDocs", "xml")
# Keywords whose schemas describe the same value as the schema that contains them.
_SAME_VALUE = ("dependencies", "else", "if", "not", "then", *SEVERAL)
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_TUPLE = (
    "positions of an array can't be described: the CLI knows only the form of draft 7, the API "
    "only that of draft 2020-12; use an object, or one schema for all items with minItems and "
    "maxItems"
)


class WrongSchema(Exception):
    """What is wrong with a schema, and where.

    Args:
        message: What is wrong.
        path: The keys that lead there.
    """

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(f"at {'.'.join(path)}: {message}" if path else message)


def normal(schema: dict[str, Any]) -> dict[str, Any]:
    """Brings a schema into the form that the CLI and the API accept.

    Args:
        schema: The schema, plain JSON; it is modified.

    Returns:
        The same schema, with ``"type": "object"`` and without ``$ref`` at the top.

    Raises:
        WrongSchema: If there is no such form.

    Example:
        >>> normal({"$schema": "x", "properties": {"n": {"type": "integer"}}})
        {'type': 'object', 'properties': {'n': {'type': 'integer'}}}
    """
    _leave_out(schema)
    schema = _object(_without_root_ref(schema))
    nodes = {id(node): path for path, node in _checked(schema, ())}
    _RefCheck(schema, nodes).check_all(schema)
    for name in schema.get("properties", ()):
        if not _NAME.fullmatch(name):
            raise WrongSchema(
                f"{name!r} can't be the name of a column: the API takes up to 64 letters (a-z), "
                "digits, '_', '.' and '-'",
                ("properties",),
            )
    for name in schema.get("required", ()) if "properties" in schema else ():
        if name not in schema["properties"]:
            raise WrongSchema(f"{name!r} is not one of the properties", ("required",))
    return schema


def follow(ref: object, root: Any) -> Any:
    """The part of a schema that a reference stands for.

    Args:
        ref: The value of ``$ref``: ``#``, ``#/$defs/Name``.
        root: The whole schema.

    Raises:
        LookupError: If there is no such part.

    Example:
        >>> follow("#/$defs/N", {"$defs": {"N": {"type": "integer"}}})
        {'type': 'integer'}
    """
    if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
        raise LookupError(ref)
    value = root
    for word in unquote(ref).split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            raise LookupError(ref)
    return value


def _leave_out(node: Any) -> None:
    """Removes keywords without effect on an answer."""
    if isinstance(node, dict):
        for key in [key for key in node if key in _LEFT_OUT or key.startswith("x-")]:
            del node[key]
        for _, part in subschemas(node):
            _leave_out(part)


def _without_root_ref(schema: dict[str, Any]) -> dict[str, Any]:
    """Replaces a reference at the top by its target."""
    followed = set()
    while "$ref" in schema:
        ref = schema["$ref"]
        try:
            target = follow(ref, schema)
        except LookupError:
            target = None
        if not isinstance(target, dict) or ref in followed:
            raise WrongSchema(f"{ref!r} points to nothing in this schema", ("$ref",))
        followed.add(ref)
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        for key in rest.keys() & target.keys() - {"title", "description", "$defs", "definitions"}:
            if rest[key] != target[key]:
                raise WrongSchema(f"is set here and in {ref}: set it only once", (key,))
        schema = {**target, **rest}
        _drop_if_unused(ref, schema)
    return schema


def _drop_if_unused(ref: str, schema: dict[str, Any]) -> None:
    """Drops a definition that only the reference at the top used."""
    place, _, name = ref.removeprefix("#/").partition("/")
    named = schema.get(place)
    if place in ("$defs", "definitions") and isinstance(named, dict) and name in named:
        rest = {key: part for key, part in named.items() if key != name}
        without = {key: value for key, value in schema.items() if key != place}
        without.update({place: rest} if rest else {})
        # A reference from anywhere else, also from its own parts, keeps it.
        if ref not in _refs(without):
            schema.clear()
            schema.update(without)


def _refs(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield node.get("$ref")
    for _, part in subschemas(node):
        yield from _refs(part)


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """Makes sure that an answer is an object, as the API requires."""
    for key in SEVERAL:
        if key in schema:
            raise WrongSchema(f"{key} is allowed only below a property, not at the top", (key,))
    if "type" not in schema and "properties" in schema:
        schema = {"type": "object", **schema}
    if schema.get("type") != "object":
        raise WrongSchema(
            f"must be a JSON schema whose type is 'object', not {schema.get('type')!r}: "
            "make it a property of an object"
        )
    return schema


def _checked(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Checks a schema and all schemas in it, and yields them."""
    if not isinstance(node, dict):
        if isinstance(node, bool):
            return
        raise WrongSchema(f"must be a schema (an object), not {node!r}", path)
    yield path, node
    for key, value in node.items():
        check = KEYWORDS.get(key)
        if check is None:
            raise WrongSchema(_unknown(key), path)
        wrong = check(value)
        if wrong:
            raise WrongSchema(f"must be {wrong}, not {value!r:.80}", (*path, key))
        if key == "pattern":
            _check_pattern(value, (*path, key))
        for name in value if key == "patternProperties" else ():
            _check_pattern(name, (*path, key))
    _check_pairs(node, path)
    for keys, part in subschemas(node):
        yield from _checked(part, path + keys)


def _check_pattern(pattern: str, path: Path) -> None:
    wrong = find_error(pattern)
    if wrong:
        raise WrongSchema(f"{pattern!r} is not a JavaScript regular expression: {wrong}", path)


def _unknown(key: str) -> str:
    import difflib

    if key == "prefixItems":
        return f"{key}: {_TUPLE}"
    near = difflib.get_close_matches(key, KEYWORDS, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown keyword {key!r}{hint} (the CLI takes those of JSON schema draft 7)"


def _check_pairs(node: dict[str, Any], path: Path) -> None:
    """Refuses what the strict mode refuses because it would have no effect."""
    if isinstance(node.get("items"), list):
        raise WrongSchema(_TUPLE, (*path, "items"))
    if "nullable" in node and "type" not in node:
        raise WrongSchema("nullable needs a type beside it", path)
    branches = node.keys() & {"then", "else"}
    if "if" in node and not branches:
        raise WrongSchema("'if' without 'then' and 'else' has no effect", path)
    if branches and "if" not in node:
        raise WrongSchema("'then' or 'else' without 'if' has no effect", path)
    for pattern, name in itertools.product(
        node.get("patternProperties", ()), node.get("properties", ())
    ):
        if matches(pattern, name):
            raise WrongSchema(
                f"{name!r} is one of the properties and fits {pattern!r}, too",
                (*path, "patternProperties"),
            )


class _RefCheck:
    """Checks that every reference stands for a schema, and none for itself.

    Args:
        schema: The whole schema.
        nodes: The id of each schema in it → the keys that lead there.
    """

    def __init__(self, schema: dict[str, Any], nodes: Mapping[int, Path]) -> None:
        self._schema, self._nodes = schema, nodes
        self._done: set[int] = set()

    def check_all(self, node: Any) -> None:
        """Checks a schema and all schemas in it."""
        self._check(node, ())
        for _, part in subschemas(node):
            self.check_all(part)

    def _check(self, node: Any, above: tuple[int, ...]) -> None:
        if not isinstance(node, dict) or id(node) in self._done:
            return
        path = self._nodes[id(node)]
        if id(node) in above:
            raise WrongSchema("refers to itself without end", path)
        parts = [part for keys, part in subschemas(node) if keys[0] in _SAME_VALUE]
        if "$ref" in node:
            parts.append(self._target(node["$ref"], path))
        for part in parts:
            self._check(part, (*above, id(node)))
        self._done.add(id(node))

    def _target(self, ref: object, path: Path) -> Any:
        try:
            target = follow(ref, self._schema)
        except LookupError:
            target = None
        if not isinstance(target, bool) and id(target) not in self._nodes:
            raise WrongSchema(
                f"{ref!r} points to nothing in this schema (such as '#/$defs/Name')",
                (*path, "$ref"),
            )
        return target
