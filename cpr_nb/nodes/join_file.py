"""The join file: what a node agent needs to find the hub of a session and to be let in."""

from __future__ import annotations

import json
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_Z85_KEY = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and _Z85_KEY.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def _is_probe(value: Any) -> bool:
    is_object = isinstance(value, dict) and isinstance(value.get("nonce", ""), str)
    return is_object and _is_text(value.get("name")) and _is_text(value.get("path"))


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "session_id": _is_text,
    "addresses": lambda value: (
        isinstance(value, list) and value != [] and all(map(_is_text, value))
    ),
    "port": lambda value: isinstance(value, int) and _is_number(value, 1, 65535),
    "hub_key": _is_key,
    "client_key": _is_key,
    "client_secret": _is_key,
    "lease_s": lambda value: _is_number(value, 0.1, 1e7),
    "probes": lambda value: isinstance(value, list) and all(map(_is_probe, value)),
}


class JoinFileError(Exception):
    """A text that is no join file; the message is one line."""


class JoinFile:
    """Addresses and keys of one session's hub. Whoever has them may serve it, so it is private.

    Args:
        fields: Its object.

    Raises:
        JoinFileError: If a field is missing or wrong.
    """

    __slots__ = tuple(_FIELDS)

    session_id: str
    addresses: list[str]
    port: int
    hub_key: str
    client_key: str
    client_secret: str
    lease_s: float
    probes: list[dict[str, str]]

    def __init__(self, fields: dict[str, Any]) -> None:
        for name, is_good in _FIELDS.items():
            if not is_good(fields.get(name)):
                raise JoinFileError(f"no join file of cpr: the field {name} is missing or wrong")
            setattr(self, name, fields[name])

    @classmethod
    def parse(cls, text: str) -> JoinFile:
        """Reads the text of a join file.

        Args:
            text: The text.

        Raises:
            JoinFileError: If it is none.

        Example:
            >>> JoinFile.parse("{}")
            Traceback (most recent call last):
            ...
            cpr_nb.nodes.join_file.JoinFileError: no join file of cpr: the field session_id is \
missing or wrong
        """
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise JoinFileError(f"no join file of cpr: {error}") from None
        if not isinstance(fields, dict):
            raise JoinFileError("no join file of cpr: not an object")
        return cls(fields)

    def write(self, path: str) -> None:
        """Writes it, for its owner only, in one step."""
        write_private(path, {name: getattr(self, name) for name in _FIELDS})


def write_private(path: str, fields: dict[str, Any]) -> None:
    """Writes a JSON object that only the owner may read, in one step."""
    partial = f"{path}.{os.getpid()}"
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, json.dumps(fields).encode() + b"\n")
    finally:
        os.close(fd)
    os.replace(partial, path)
