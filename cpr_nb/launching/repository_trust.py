"""What a repository could run on this machine, and whether the user trusts it with that.

The user trusts what they were shown, not a place: if any of it changes, it is asked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from cpr_nb.launching.claude_files import claude_files, find_project
from cpr_nb.model.digest import sha256
from cpr_nb.model.option_values import split_tools
from cpr_nb.model.options import ASKS, LEFT_OUT, OPTIONS, PERMISSIONS
from cpr_nb.model.text import one_line
from cpr_nb.model.tools import MODE_TOOLS
from cpr_nb.store import trusted
from cpr_nb.store.settings_files import repository_table, user_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Repository:
    """What a repository says to run or to allow, read once.

    Args:
        folder: A folder in it.
        environ: The environment of the tasks.

    Attributes:
        top: Its top folder, as a real path; without git, the folder itself.
        table_path: The ``pyproject.toml`` that holds for the folder; empty if there is none.
        claims: Those settings of its ``[tool.cpr]`` that need trust.
        files: The files of Claude Code that it brings.
    """

    def __init__(self, folder: str, environ: Mapping[str, str]) -> None:
        self.top = find_project(folder).top
        self.table_path, table = repository_table(os.path.realpath(folder))
        self.claims = claims(self.table_path, table)
        self.files = [file for file in claude_files(folder, environ) if file.parts]

    @property
    def sha256(self) -> str:
        """The hash of all that needs trust, and of the place: ``./ci.sh`` differs elsewhere."""
        files = [[file.path, sha256(file.data).hexdigest()] for file in self.files]
        content = ["cpr repository 1", self.top, self.claims, files]
        text = json.dumps(content, sort_keys=True, default=repr)
        total: str = sha256(text.encode()).hexdigest()
        return total

    @property
    def is_trusted(self) -> bool:
        """Whether nothing in it needs trust, or the user trusts just that."""
        nothing = not self.claims and not self.files
        return nothing or trusted.is_trusted(trusted.REPOSITORY, self.sha256)

    @property
    def has_changed(self) -> bool:
        """Whether the user trusted something else here before."""
        known = trusted.trusted(trusted.REPOSITORY)
        return self.top in known.values() and self.sha256 not in known

    def lines(self) -> list[str]:
        """What needs trust, for a person: a line each."""
        table = f"{self._short(self.table_path)} [tool.cpr]"
        rows = [(table, f"{name} = {value!r}") for name, value in self.claims.items()]
        rows += [(self._short(file.path), text) for file in self.files for _, text in file.parts]
        width = max((len(place) for place, _ in rows), default=0)
        return [one_line(place, 200).ljust(width) + "   " + text for place, text in rows]

    def trust(self) -> None:
        """Remembers that the user trusts what it holds now.

        Raises:
            StateDirError: If it can't be written down.
        """
        trusted.remember(trusted.REPOSITORY, self.sha256, self.top)

    def forget(self) -> bool:
        """Trusts the repository no longer, whatever it held then; whether it was trusted."""
        known = trusted.trusted(trusted.REPOSITORY)
        hashes = [key for key, name in known.items() if name == self.top]
        for known_hash in hashes:
            trusted.forget(trusted.REPOSITORY, known_hash)
        return bool(hashes)

    def _short(self, path: str) -> str:
        inside = path.startswith(f"{self.top}/")
        return os.path.relpath(path, self.top) if inside else path


def trust_command(folder: str) -> str:
    """The command that shows what a repository could run, and asks.

    Example:
        >>> trust_command("/home/you/my shop")
        "cpr trust '/home/you/my shop'"
    """
    import shlex  # only where there is something to say

    here = os.path.realpath(folder) == os.path.realpath(os.curdir)
    return "cpr trust" if here else f"cpr trust {shlex.quote(folder)}"


def claims(path: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of ``[tool.cpr]`` that could run or allow something, beyond the user's own.

    Args:
        path: The ``pyproject.toml``.
        table: Its ``[tool.cpr]``.
    """
    if not table:
        return {}
    own = user_table()
    return {name: value for name, value in table.items() if _needs_trust(name, value, path, own)}


def _needs_trust(name: str, value: Any, path: str, own: Mapping[str, Any]) -> bool:
    if name == "results_dir":
        return not stays_inside(path, str(value))
    if name == "permissions":
        return _rank(value) > _rank(own.get(name, "edits"))
    if name == "tools":
        usual = own.get(name, MODE_TOOLS.get(own.get("permissions", "edits"), ()))
        return not _names(value) <= _names(usual)
    return name in OPTIONS and OPTIONS[name].from_repository in (LEFT_OUT, ASKS)


def stays_inside(path: str, folder: str) -> bool:
    """Whether a folder that a ``pyproject.toml`` names lies in its repository, without links."""
    if folder.startswith(("/", "~")):
        return False
    beside = os.path.dirname(os.path.realpath(path))
    place = os.path.normpath(f"{beside}/{folder}")
    top = find_project(beside).top
    is_inside = place == top or place.startswith(f"{top.rstrip('/')}/")
    return is_inside and os.path.realpath(place) == place and ".git" not in place.split("/")


def _rank(mode: Any) -> int:
    return PERMISSIONS.index(mode) if mode in PERMISSIONS else len(PERMISSIONS)


def _names(tools: Any) -> set[str]:
    names = split_tools(tools) if isinstance(tools, str) else tools
    return set(map(str, names)) if isinstance(names, list | tuple) else {"an unknown tool"}
