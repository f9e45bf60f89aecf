"""What agents are kept off by the CLI's own rules: our folders, and in the sandbox `.git`.

Two spellings are needed, and neither does the other's work (measured, 2.1.81 to 2.1.332). Rules for
tools bind the CLI's own tools only, and the simple commands that it checks itself. The sandbox's
``filesystem`` binds the commands in the sandbox only.
"""

from __future__ import annotations

import os

from cpr_nb.store.layout import SESSION_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-")
_OPENING = ("allowRead", "allowWrite")
_DENYING = ("denyRead", "denyWrite")


class OffLimits:
    """The folders that the agent of one task is kept off.

    Args:
        folder: The agent's folder.
        session_root: The session's folder.
        state_dir: The user's state directory, where the key is; empty if there is none.
        config_dir: The folder of the user's own settings; empty if there is none.
        git_dirs: The git directories that commands in the sandbox can't change.

    Example:
        >>> OffLimits("/w", "/w/results/session-1", "/s").tool_rules()
        ['Edit(//w/results/**)', 'Edit(//s/**)', 'Read(//s/**)']
    """

    __slots__ = (
        "_config_dir",
        "_folder",
        "_git_dirs",
        "_session_root",
        "_state_dir",
        "_tool_rules",
    )

    def __init__(
        self,
        folder: str,
        session_root: str,
        state_dir: str = "",
        config_dir: str = "",
        *,
        git_dirs: Iterable[str] = (),
    ) -> None:
        self._folder = folder
        self._session_root = session_root
        self._state_dir, self._config_dir = state_dir, config_dir
        self._git_dirs = tuple(git_dirs)
        self._tool_rules: list[str] = []

    def tool_rules(self) -> list[str]:
        """The rules for the CLI's own tools; ``Edit`` covers all that writes."""
        self._tool_rules = self._tool_rules or self._make_tool_rules()
        return self._tool_rules

    def _make_tool_rules(self) -> list[str]:
        results = os.path.dirname(self._session_root)
        if self._works_in_results():  # else it could not work at all
            results += f"/{SESSION_PREFIX}*"
        state = _spellings(self._state_dir)
        written = [*_spellings(results), *state, *_spellings(self._config_dir)]
        return [f"Edit({_pattern(path)})" for path in written] + [
            f"Read({_pattern(path)})" for path in state
        ]

    def sandbox_filesystem(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The folders in the sandbox's settings: the user's own, and ours, which they can't open.

        Args:
            wanted: What the user's settings say of them.
        """
        state = [os.path.realpath(self._state_dir)] if self._state_dir else []
        opened = {
            name: [path for path in wanted[name] if not self._opens(path, state)]
            for name in _OPENING
            if name in wanted
        }
        config = [os.path.realpath(self._config_dir)] if self._config_dir else []
        ours = {"denyRead": state, "denyWrite": [*self.unwritable(), *state, *config]}
        denied = {name: [*wanted.get(name, ()), *ours[name]] for name in _DENYING}
        # Said here, since the user's own settings files could switch all of it off.
        return {**opened, **denied, "disabled": False}

    def unwritable(self) -> list[str]:
        """The folders, without links in their paths, that commands of the task can't change."""
        root = self._session_root
        results = root if self._works_in_results() else os.path.dirname(root)
        return [os.path.realpath(path) for path in (results, *self._git_dirs)]

    def hidden(self) -> list[str]:
        """The folders that commands of the task can't even see into."""
        return [os.path.realpath(self._state_dir)] if os.path.isdir(self._state_dir) else []

    def _works_in_results(self) -> bool:
        return _is_in(self._folder, os.path.dirname(self._session_root))

    def _opens(self, path: str, state: list[str]) -> bool:
        """Whether the user's path would open the state directory: it is there, or a pattern."""
        path = os.path.join(self._folder, os.path.expanduser(path))
        fixed = path
        for character in "*?[{":
            fixed = fixed.partition(character)[0]
        if fixed != path:
            return any(_is_in(folder, os.path.dirname(fixed)) for folder in state)
        return any(_is_in(path, folder) for folder in state)


def git_dir_of(folder: str) -> str | None:
    """The git directory that all worktrees of a folder's repository share; None without one.

    From files, as git finds it: no git runs, whose configuration could name programs.
    """
    above = os.path.realpath(folder)
    while not os.path.lexists(f"{above}/.git"):
        if above == os.path.dirname(above):
            return None
        above = os.path.dirname(above)
    git_dir = f"{above}/.git"
    if os.path.isfile(git_dir):
        git_dir = os.path.join(above, _line(git_dir).removeprefix("gitdir:").strip())
    return os.path.realpath(os.path.join(git_dir, _line(f"{git_dir}/commondir")))


def _line(path: str) -> str:
    """The content of a small file; empty if there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(65536).strip("\n")
    except OSError:
        return ""


def _spellings(path: str) -> list[str]:
    """A path as it was given and without links; nothing for an empty one."""
    return list(dict.fromkeys([path, os.path.realpath(path)])) if path else []


def _pattern(path: str) -> str:
    """A folder and all below it, as rules for tools name it.

    Two slashes begin an absolute path. Whatever has a meaning in a pattern, or a rule, can't be
    escaped there: ``?`` stands for it, as for any one character.
    """
    return "/" + "".join(c if c in _PLAIN else _wildcard(c) for c in path) + "/**"


def _wildcard(character: str) -> str:
    """What stands for a character: ``?`` is one unit of UTF-16 to the CLI."""
    return "?" if character != "*" and ord(character) < 0xD800 else "*"


def _is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it, wherever links lead."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")
