"""Python types → JSON schemas, and answers → objects of these types. msgspec does both.

pydantic is never imported: a model of pydantic's brings its own methods.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NotRequired,
    Required,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec

from cpr_nb.model.schemas.dialect import WrongSchema
from cpr_nb.model.schemas.keywords import subschemas

_WAYS = (
    "a JSON schema, a mapping of columns to Python types, a dataclass, a TypedDict, a NamedTuple, "
    "a msgspec.Struct or a pydantic model"
)
_SAME_NAME = "two types are called '{}': give one of them another name"


def read_type(given: Any) -> tuple[dict[str, Any], str, Callable[[Any], Any]]:
    """Makes the JSON schema of a type.

    Args:
        given: The type, or a mapping of columns to types.

    Returns:
        The schema, the type's name, and what makes an object of an answer.

    Raises:
        WrongSchema: If it is no type, or JSON can't hold it.

    Example:
        >>> schema, name, read = read_type({"n": int})
        >>> schema["$ref"], name, read({"n": 3})
        ('#/$defs/Answer', 'Answer', {'n': 3})
    """
    if isinstance(given, Mapping):
        given = _typed_dict(given, "Answer")
    name = getattr(given, "__name__", None) or repr(given)
    if not isinstance(given, type) and get_origin(given) is None:
        hint = ""
        if dataclasses.is_dataclass(given) or hasattr(given, "__struct_fields__"):
            hint = f": give the class, {type(given).__name__}"
        raise WrongSchema(f"must be {_WAYS}, not {given!r:.80}{hint}")
    if _is_pydantic(given):
        return _pydantic_schema(given), name, _pydantic_reader(given)
    if isinstance(given, type) and issubclass(given, tuple) and hasattr(given, "_fields"):
        as_dict = _named_tuple(given)
        read = _reader(as_dict)
        return _schema(as_dict), name, lambda value: given(**read(value))
    return _schema(given), name, _reader(given)


def _typed_dict(given: Mapping[Any, Any], name: str) -> Any:
    """A TypedDict of a mapping: unlike a class, its names need not be Python's."""
    fields = {}
    for column, hint in given.items():
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


def _named_tuple(given: Any) -> Any:
    """A TypedDict of a NamedTuple: as it is, its JSON would be an array."""
    hints = get_type_hints(given, include_extras=True)
    fields = {
        name: NotRequired[hints[name]] if name in given._field_defaults else hints[name]
        for name in given._fields
    }
    return TypedDict(given.__name__, fields)  # type: ignore[operator]


# -- pydantic ---------------------------------------------------------------------------------


def _is_pydantic(given: Any) -> bool:
    return isinstance(given, type) and hasattr(given, "model_json_schema")


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
    # As JSON: a strict model takes a date for a text only then.
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
        # It describes types in its own words, so they get names of their own.
        schema = _pydantic_schema(kind, f"#/$defs/{kind.__name__}.{{model}}")
        own = schema.pop("$defs", {})
        _add_parts(parts, {f"{kind.__name__}.{name}": part for name, part in own.items()})
        return schema

    try:
        schema = msgspec.json.schema(hint, schema_hook=custom)
    except WrongSchema:
        raise
    except KeyError as error:  # msgspec tells types apart by their whole names
        raise WrongSchema(_SAME_NAME.format(getattr(error.args[0], "__name__", error))) from None
    except Exception as error:  # a TypeError, and whatever the evaluation of a name raises
        raise WrongSchema(_why_not(hint, error, custom)) from None
    _add_parts(parts, schema.get("$defs", {}))
    schema.update({"$defs": parts} if parts else {})
    declared = _Declared()
    declared.read(hint)
    declared.apply(schema)
    _mark_moments(schema, hint)
    _loosen(schema)
    return schema


def _add_parts(parts: dict[str, Any], more: dict[str, Any]) -> None:
    for name, part in more.items():
        if parts.setdefault(name, part) != part:
            raise WrongSchema(_SAME_NAME.format(name))


def _why_not(hint: Any, error: Exception, custom: Callable[[Any], dict[str, Any]]) -> str:
    """What is wrong with a type, with the name of the first field that is the reason."""
    reason = str(error).partition(" requires either:")[0].strip()
    reason = " ".join(reason.split()) or type(error).__name__
    for name, part in _hints(hint).items():
        if get_origin(part) in (ClassVar, NotRequired, Required):
            part = get_args(part)[0]
        try:
            msgspec.json.schema(part, schema_hook=custom)
        except Exception:
            return f"{name!r} has a type that JSON can't hold, {part!r:.60}: {reason}"
    return f"{getattr(hint, '__name__', hint)!r:.60} has no JSON schema: {reason}"


def _hints(hint: Any) -> dict[str, Any]:
    """The fields of a class with their types."""
    known = ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__", "_fields")
    if is_typeddict(hint) or any(hasattr(hint, name) for name in known):
        try:
            return get_type_hints(hint, include_extras=True)
        except Exception:
            return {}
    return {}


def _loosen(node: Any) -> None:
    """Puts the positions of a tuple in words that the CLI and the API have in common.

    An order of types can't be said so; `Answer.convert` sees to it. Choices lose what pydantic
    tells twice: the other names of an enum's members.
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


class _Declared:
    """What the types say and msgspec's schemas do not.

    msgspec sorts choices and the keys of TypedDicts, and a datetime without a rule for its zone
    has no format there.
    """

    def __init__(self) -> None:
        self._choices: dict[frozenset[Any], list[Any]] = {}
        self._keys: dict[frozenset[str], list[str]] = {}
        self._fields: dict[tuple[str, str], Any] = {}
        self._seen: list[Any] = []

    def read(self, hint: Any) -> None:
        """Reads a type, and all types in it."""
        if any(hint is seen for seen in self._seen):
            return
        self._seen.append(hint)
        if get_origin(hint) is Literal:
            self._add_choices(get_args(hint))
            return
        for part in (*get_args(hint), get_origin(hint), _meant(hint)):
            if part is not None:
                self.read(part)
        if isinstance(hint, enum.EnumMeta):
            self._add_choices([member.value for member in list[Any](hint)])
        fields = _hints(hint)
        if is_typeddict(hint):
            self._keys.setdefault(frozenset(fields), list(fields))
        for name, part in fields.items():
            self._fields[hint.__name__, _in_json(hint, name)] = part
            self.read(part)

    def _add_choices(self, values: Any) -> None:
        self._choices.setdefault(_as_set(values), list(values))

    def apply(self, node: Any) -> None:
        """Brings it into a schema."""
        if not isinstance(node, dict):
            return
        if "enum" in node:
            node["enum"] = self._choices.get(_as_set(node["enum"]), node["enum"])
        properties = node.get("properties", {})
        if keys := self._keys.get(frozenset(properties)):
            node["properties"] = {name: properties[name] for name in keys}
        if "required" in node:
            places = {name: place for place, name in enumerate(node.get("properties", ()))}
            node["required"].sort(key=lambda name: places.get(name, 0))
        title = str(node.get("title", "")).partition("[")[0]  # of a generic: Box[int]
        for name, part in properties.items():
            _mark_moments(part, self._fields.get((title, name)))
        for _, part in subschemas(node):
            self.apply(part)


def _as_set(values: Any) -> frozenset[Any]:
    return frozenset((type(value), value) for value in values)


def _meant(hint: Any) -> Any:
    """What a NewType or an alias stands for."""
    return getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None)


def _in_json(hint: Any, field: str) -> str:
    """The name of a field in JSON: a Struct may give it another one."""
    names: tuple[str, ...] = getattr(hint, "__struct_fields__", ())
    return hint.__struct_encode_fields__[names.index(field)] if field in names else field


def _mark_moments(node: Any, hint: Any) -> None:
    """Gives the texts that are a datetime their format. A union has at most one kind of text."""
    if not isinstance(node, dict):
        return
    parts, several = get_args(hint), (*node.get("prefixItems", ()), *node.get("anyOf", ()))
    if hint is datetime and node.get("type") == "string":
        node.setdefault("format", "date-time")
    elif get_origin(hint) in (Annotated, ClassVar, NotRequired, Required) or _meant(hint):
        _mark_moments(node, parts[0] if parts else _meant(hint))
    elif get_origin(hint) is tuple and "prefixItems" in node:
        for position, part in zip(several, parts, strict=False):
            _mark_moments(position, part)
    elif get_origin(hint) in (Union, UnionType):
        for part in parts:
            for one in several:
                _mark_moments(one, part)
    elif "items" in node and parts:
        _mark_moments(node["items"], parts[0])
    elif "additionalProperties" in node and parts:
        _mark_moments(node["additionalProperties"], parts[-1])
