"""Python types → JSON schemas, and answers → objects of these types. msgspec does both.

pydantic is never imported: a pydantic model has methods for both.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import (
    Any,
    ClassVar,
    NotRequired,
    Required,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from cpr_nb.model.schemas.declared import Declared, mark_date_times, type_hints
from cpr_nb.model.schemas.dialect import WrongSchema
from cpr_nb.model.schemas.keywords import subschemas

_WAYS = (
    "a JSON schema, a mapping of columns to Python types, a dataclass, a TypedDict, a NamedTuple, "
    "a msgspec.Struct or a pydantic model"
)
_SAME_NAME = "two types are called '{}': give one of them another name"


def read_type(definition: Any) -> tuple[dict[str, Any], str, Callable[[Any], Any]]:
    """Makes the JSON schema of a type.

    Args:
        definition: The type, or a mapping of columns to types.

    Returns:
        The schema, the type's name, and what makes an object of an answer.

    Raises:
        WrongSchema: If it is not a type, or JSON can't represent it.

    Example:
        >>> schema, name, read = read_type({"n": int})
        >>> schema["$ref"], name, read({"n": 3})
        ('#/$defs/Answer', 'Answer', {'n': 3})
    """
    if isinstance(definition, Mapping):
        definition = _typed_dict(definition, "Answer")
    name = getattr(definition, "__name__", None) or repr(definition)
    if not isinstance(definition, type) and get_origin(definition) is None:
        raise WrongSchema(f"must be {_WAYS}, not {definition!r:.80}{_class_hint(definition)}")
    if _is_pydantic(definition):
        return _pydantic_schema(definition), name, _pydantic_reader(definition)
    if _is_named_tuple(definition):
        as_dict = _named_tuple(definition)
        read = _reader(as_dict)
        return _schema(as_dict), name, lambda value: definition(**read(value))
    return _schema(definition), name, _reader(definition)


def _class_hint(definition: Any) -> str:
    """A hint for someone who passed an object instead of its class."""
    if dataclasses.is_dataclass(definition) or hasattr(definition, "__struct_fields__"):
        return f": give the class, {type(definition).__name__}"
    return ""


def _is_named_tuple(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def _typed_dict(columns: Mapping[Any, Any], name: str) -> Any:
    """A TypedDict made from a mapping: its keys need not be Python identifiers."""
    fields = {}
    for column, hint in columns.items():
        if not isinstance(column, str):
            raise WrongSchema(f"the name of a column must be a text, not {column!r}")
        if isinstance(hint, Mapping):
            hint = _typed_dict(hint, f"{name}.{column}")
        elif isinstance(hint, str | int | float | list | tuple):
            way = f": for choices, Literal{list(hint)}" if isinstance(hint, list | tuple) else ""
            raise WrongSchema(f"{column!r} must be a Python type, not {hint!r:.60}{way}")
        fields[column] = hint
    try:
        return TypedDict(name, fields)  # type: ignore[operator]  # made while running
    except TypeError as error:
        raise WrongSchema(f"must be a mapping of columns to Python types: {error}") from None


def _named_tuple(kind: Any) -> Any:
    """A TypedDict made from a NamedTuple, whose own JSON would be an array."""
    hints = get_type_hints(kind, include_extras=True)
    fields = {
        name: NotRequired[hints[name]] if name in kind._field_defaults else hints[name]
        for name in kind._fields
    }
    return TypedDict(kind.__name__, fields)  # type: ignore[operator]


# -- pydantic ---------------------------------------------------------------------------------


def _is_pydantic(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "model_json_schema")


def _pydantic_schema(model: Any, refs: str = "#/$defs/{model}") -> dict[str, Any]:
    try:
        schema: dict[str, Any] = model.model_json_schema(ref_template=refs)
    except Exception as error:  # its errors are its own
        raise WrongSchema(f"{model.__name__} has no JSON schema: {error}") from None
    if len(schema.get("allOf", ())) == 1:  # so pydantic 2.6 refers to a model that holds itself
        schema |= schema.pop("allOf")[0]
    _loosen(schema)
    return schema


def _pydantic_reader(model: Any) -> Callable[[Any], Any]:
    # As JSON: only then a strict model accepts a text as a date.
    return lambda value: model.model_validate_json(json.dumps(value))


# -- msgspec ----------------------------------------------------------------------------------


def _reader(hint: Any) -> Callable[[Any], Any]:
    def custom(kind: Any, value: Any) -> Any:
        if _is_pydantic(kind):
            return _pydantic_reader(kind)(value)
        raise NotImplementedError

    return lambda value: msgspec.convert(value, hint, str_keys=True, dec_hook=custom)


def _schema(hint: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {}

    def custom(kind: Any) -> dict[str, Any]:
        if not _is_pydantic(kind):
            raise NotImplementedError
        # pydantic describes types differently, so they get names of their own.
        schema = _pydantic_schema(kind, f"#/$defs/{kind.__name__}.{{model}}")
        own = schema.pop("$defs", {})
        _add_parts(parts, {f"{kind.__name__}.{name}": part for name, part in own.items()})
        return schema

    declared = Declared()
    declared.read(hint)
    if name := declared.ambiguous_name():
        raise WrongSchema(_SAME_NAME.format(name))
    try:
        schema = msgspec.json.schema(hint, schema_hook=custom)
    except WrongSchema:
        raise
    except KeyError as error:  # generic types of one name, for msgspec 0.22
        raise WrongSchema(_SAME_NAME.format(getattr(error.args[0], "__name__", error))) from None
    except Exception as error:  # a TypeError, or anything that evaluating a name raises
        raise WrongSchema(_why_not(hint, error, custom)) from None
    _add_parts(parts, schema.get("$defs", {}))
    schema.update({"$defs": parts} if parts else {})
    declared.apply(schema)
    mark_date_times(schema, hint)
    _loosen(schema)
    return schema


def _add_parts(parts: dict[str, Any], more: dict[str, Any]) -> None:
    for name, part in more.items():
        if parts.setdefault(name, part) != part:
            raise WrongSchema(_SAME_NAME.format(name))


def _why_not(hint: Any, error: Exception, custom: Callable[[Any], dict[str, Any]]) -> str:
    """What is wrong with a type, and the first field that causes it."""
    reason = str(error).partition(" requires either:")[0].strip()
    reason = " ".join(reason.split()) or type(error).__name__
    for name, part in type_hints(hint).items():
        if get_origin(part) in (ClassVar, NotRequired, Required):
            part = get_args(part)[0]
        try:
            msgspec.json.schema(part, schema_hook=custom)
        except Exception:
            return f"{name!r} has a type that JSON can't hold, {part!r:.60}: {reason}"
    return f"{getattr(hint, '__name__', hint)!r:.60} has no JSON schema: {reason}"


def _loosen(node: Any) -> None:
    """Expresses the positions of a tuple in keywords that the CLI and the API have in common.

    They can't express an order of types; `Answer.convert` checks it. Choices lose duplicates, which
    pydantic writes for aliases of an enum's members.
    """
    if not isinstance(node, dict):
        return
    if "enum" in node:
        node["enum"] = list({(type(choice), choice): choice for choice in node["enum"]}.values())
    if "prefixItems" in node:
        positions = node.pop("prefixItems")
        different = [p for n, p in enumerate(positions) if p not in positions[:n]]
        node["items"] = {"anyOf": different} if len(different) > 1 else different[0]
    for _, part in subschemas(node):
        _loosen(part)
