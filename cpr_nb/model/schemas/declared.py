"""Details of Python types that msgspec's schemas lack: orders, and the format of date-times."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from datetime import datetime
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from cpr_nb.model.schemas.keywords import subschemas

# They say more of a type, or of a field, but not another type.
_WRAPPERS = (Annotated, ClassVar, NotRequired, Required)


# What classes have whose fields are an object's.
_MARKERS = ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__", "_fields")


def type_hints(hint: Any) -> dict[str, Any]:
    """The fields of a class and their types; empty for other types."""
    if _has_fields(hint):
        try:
            return get_type_hints(hint, include_extras=True)
        except Exception:
            return {}
    return {}


def _has_fields(hint: Any) -> bool:
    return is_typeddict(hint) or any(hasattr(hint, name) for name in _MARKERS)


class Declared:
    """Details of types that msgspec's schemas lack.

    msgspec sorts choices and the keys of TypedDicts, and gives no format to a datetime without a
    rule for its zone.
    """

    def __init__(self) -> None:
        self._choices: dict[frozenset[Any], list[Any]] = {}
        self._keys: dict[frozenset[str], list[str]] = {}
        self._fields: dict[tuple[str, str], Any] = {}
        self._seen: list[Any] = []

    def read(self, hint: Any) -> None:
        """Reads a type and all types in it."""
        if any(hint is seen for seen in self._seen):
            return
        self._seen.append(hint)
        if get_origin(hint) is Literal:
            self._add_choices(get_args(hint))
            return
        for part in (*get_args(hint), get_origin(hint), _alias_target(hint)):
            if part is not None:
                self.read(part)
        if isinstance(hint, enum.EnumMeta):
            self._add_choices([member.value for member in list[Any](hint)])
        fields = type_hints(hint)
        if is_typeddict(hint):
            self._keys.setdefault(frozenset(fields), list(fields))
        for name, part in fields.items():
            self._fields[hint.__name__, _in_json(hint, name)] = part
            self.read(part)

    def ambiguous_name(self) -> str:
        """The name of two types that can't be told apart by it; empty if there are none.

        msgspec 0.22 has no schema for them, and 0.23 gives them numbers. A person who reads the
        schema, or its errors, could not know which is which.
        """
        seen = set[tuple[str, str]]()
        for hint in self._seen:
            if isinstance(hint, type) and (isinstance(hint, enum.EnumMeta) or _has_fields(hint)):
                full_name = hint.__module__, hint.__qualname__
                if full_name in seen:
                    return hint.__name__
                seen.add(full_name)
        return ""

    def _add_choices(self, values: Any) -> None:
        self._choices.setdefault(_as_set(values), list(values))

    def apply(self, node: Any) -> None:
        """Adds the details to a schema."""
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
        title = str(node.get("title", "")).partition("[")[0]  # a generic's is Box[int]
        for name, part in properties.items():
            mark_date_times(part, self._fields.get((title, name)))
        for _, part in subschemas(node):
            self.apply(part)


def _as_set(values: Any) -> frozenset[Any]:
    return frozenset((type(value), value) for value in values)


def _alias_target(hint: Any) -> Any:
    """The type that a NewType or an alias stands for, or None."""
    return getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None)


def _in_json(hint: Any, field: str) -> str:
    """The name of a field in JSON, which a Struct may change."""
    names: tuple[str, ...] = getattr(hint, "__struct_fields__", ())
    return hint.__struct_encode_fields__[names.index(field)] if field in names else field


def mark_date_times(node: Any, hint: Any) -> None:
    """Gives the texts that are a datetime their format. A union has at most one kind of text."""
    if not isinstance(node, dict):
        return
    if hint is datetime and node.get("type") == "string":
        node.setdefault("format", "date-time")
        return
    for part_node, part in _parts(node, hint, get_args(hint)):
        mark_date_times(part_node, part)


def _parts(node: dict[str, Any], hint: Any, parts: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The schemas directly inside a schema of a type, each with its type."""
    origin = get_origin(hint)
    if origin in _WRAPPERS or _alias_target(hint):
        return [(node, parts[0] if parts else _alias_target(hint))]
    several = (*node.get("prefixItems", ()), *node.get("anyOf", ()))
    if origin is tuple and "prefixItems" in node:
        return list(zip(several, parts, strict=False))
    if origin in (Union, UnionType):
        return list(itertools.product(several, parts))
    return _element_parts(node, parts) if parts else []


def _element_parts(node: dict[str, Any], parts: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The schema of the elements of a list or a mapping, with their type."""
    if "items" in node:
        return [(node["items"], parts[0])]
    if "additionalProperties" in node:
        return [(node["additionalProperties"], parts[-1])]
    return []
