"""The join file: what a node agent needs to find the hub of a session and to be let in."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "session_id": str,
    "addresses": list,
    "port": int,
    "hub_key": str,
    "client_key": str,
    "client_secret": str,
    "lease_s": (int, float),
    "probes": list,
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
        for name, kind in _FIELDS.items():
            if not isinstance(fields.get(name), kind):
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
