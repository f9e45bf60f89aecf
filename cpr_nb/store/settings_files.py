"""Files that hold settings of cpr: ``[tool.cpr]`` of a repository, and the user's own file."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cpr_nb.model.errors import InputError
from cpr_nb.store.files import read_file
from cpr_nb.store.state_dir import config_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def repository_table(folder: str) -> tuple[str, dict[str, Any]]:
    """``[tool.cpr]`` of the nearest ``pyproject.toml`` from a folder upwards, as it stands.

    Returns:
        The path of the file (empty if there is none), and the table.

    Raises:
        InputError: If the file is not TOML, or its ``tool.cpr`` is not a table.
    """
    for parent in upwards(folder):
        path = os.path.join(parent, "pyproject.toml")
        try:
            data = read_file(path)
        except OSError:
            continue
        return path, _tool_table(data, path) if b"cpr" in data else {}
    return "", {}


def user_table() -> dict[str, Any]:
    """The user's own settings: ``~/.config/cpr/config.toml``; empty if there is no such file.

    Raises:
        InputError: If it can't be read, or is not TOML.
    """
    path = config_file()
    try:
        data = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError(f"can't read it: {error.strerror}", path) from None
    return _checked_table(_parse(data, path), path, "the file")


def upwards(folder: str) -> Iterator[str]:
    """A folder and those above it."""
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def _tool_table(data: bytes, path: str) -> dict[str, Any]:
    tool = _parse(data, path).get("tool", {})
    table = tool.get("cpr", {}) if isinstance(tool, dict) else tool
    return _checked_table(table, path, "[tool.cpr]")


def _checked_table(table: Any, path: str, name: str) -> dict[str, Any]:
    if not isinstance(table, dict) or not isinstance(table.get("results_dir", ""), str):
        raise InputError(f"{name} must be a table, and its results_dir a text", path)
    return dict(table)


def _parse(data: bytes, path: str) -> dict[str, Any]:
    import tomllib  # 10 ms: only where there is such a table

    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not TOML: {error}", path) from None
