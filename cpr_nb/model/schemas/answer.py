"""The schema of an answer: what may define it, and the plain JSON schema that results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, get_origin

from cpr_nb.model.errors import AnswerError, InputError
from cpr_nb.model.schemas.dialect import WrongSchema, normal

_JSON = (str, int, float, type(None), list, tuple, Mapping)


class Answer(dict[str, Any]):
    """A JSON schema, and how a matching answer becomes an object of the schema's Python type.

    Args:
        schema: The JSON schema.
        type_name: The name of the type; empty if only the JSON schema is known.
        read: Makes the object.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        type_name: str = "",
        read: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(schema)
        self.type_name = type_name
        self._read = read

    @property
    def is_typed(self) -> bool:
        """Whether it was made from a Python type."""
        return self._read is not None

    def convert(self, value: Any, where: str = "") -> Any:
        """Makes an object of the type; without a type, the answer stays as it is.

        Args:
            value: The answer, as the CLI gives it.
            where: Whose answer it is, for the error.

        Raises:
            AnswerError: If the answer does not fit the type. The CLI checks it by the JSON
                schema, which can't express all of a type (and the CLI does not check ``format``).

        Example:
            >>> read_schema({"n": int, "tags": set[str]}, "schema").convert({"n": 1, "tags": ["a"]})
            {'n': 1, 'tags': {'a'}}
        """
        if self._read is None:
            return value
        try:
            return self._read(value)
        except Exception as error:
            raise AnswerError(
                f"the answer does not fit {self.type_name}: {_reason(error)}; "
                "`structured` is the answer as it is",
                where,
            ) from error


def read_schema(definition: Any, where: str = "schema") -> Answer:
    """Reads the schema of an answer: a JSON schema, or Python types.

    Args:
        definition: A JSON schema; a mapping of columns to types (which contains at least one type,
            as a JSON schema never does); a dataclass, TypedDict, NamedTuple, ``msgspec.Struct`` or
            pydantic model.
        where: What to call it in an error.

    Returns:
        The JSON schema in the form that the CLI takes.

    Raises:
        InputError: If it is not a valid schema; it names the place.

    Example:
        >>> read_schema({"bugs": int})
        {'title': 'Answer', 'type': 'object', 'properties': {'bugs': {'type': 'integer'}}, \
'required': ['bugs']}
    """
    if isinstance(definition, Answer):
        return definition
    try:
        if not isinstance(definition, Mapping) or _holds_a_type(definition):
            from cpr_nb.model.schemas.python_types import read_type

            schema, name, read = read_type(definition)
            return Answer(_plain(schema, where), name, read)
        _check_has_schema_keys(definition)
        return Answer(_plain(definition, where))
    except WrongSchema as error:
        raise InputError(str(error), where) from None
    except RecursionError:
        raise InputError("is nested too deeply, or without end", where) from None


def _holds_a_type(fields: Mapping[Any, Any]) -> bool:
    """Whether a mapping contains a type, which JSON never does."""
    return any(
        isinstance(value, type)
        or get_origin(value) is not None
        or (_holds_a_type(value) if isinstance(value, Mapping) else not isinstance(value, _JSON))
        for value in fields.values()
    )


def _check_has_schema_keys(schema: Mapping[Any, Any]) -> None:
    if schema.keys() & {"type", "properties", "$ref", "allOf", "anyOf", "oneOf"}:
        return
    odd = next((f": {key!r} is {value!r:.60}" for key, value in schema.items()), "")
    raise WrongSchema(
        'must be a JSON schema whose type is \'object\' ({"type": "object", "properties": …}), '
        f"or a mapping of columns to Python types{odd}"
    )


def _plain(schema: Mapping[str, Any], where: str) -> Any:
    try:
        text = _normal(json.dumps(dict(schema), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"can't be written as JSON: {error}", where) from None
    return json.loads(text)


@lru_cache(maxsize=32)  # thousands of tasks may have the same schema
def _normal(text: str) -> str:
    return json.dumps(normal(json.loads(text)))


def _reason(error: Exception) -> str:
    """The first error, on one line: pydantic lists all errors on many lines."""
    errors = getattr(error, "errors", None)
    try:
        first = errors()[0] if callable(errors) else None
    except Exception:
        first = None
    if isinstance(first, dict) and "msg" in first:
        field = ".".join(str(part) for part in first.get("loc", ()))
        return f"{first['msg']} - at `{field}`" if field else str(first["msg"])
    return " ".join(str(error).split()) or type(error).__name__
