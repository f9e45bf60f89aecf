"""The files of Claude Code that a repository brings, and what they could run on this machine.

In `-p` mode the CLI runs the hooks, MCP servers and helpers that these files name without a
question, also where nobody has accepted its trust dialog (measured, 2.1.29 to 2.1.332).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from cpr_nb.launching.cli_settings import (
    MCP_FILE,
    config_folder,
    configuration_file,
    home_folder,
)
from cpr_nb.model.text import one_line
from cpr_nb.store.files import read_file
from cpr_nb.store.settings_files import upwards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SETTINGS = (".claude/settings.json", ".claude/settings.local.json")
#: What newer CLIs ignore until the user accepts their trust dialog.
WIDENING = frozenset(("permissions.additionalDirectories", "permissions.allow"))
#: The files of a folder.
NAMES = (*_SETTINGS, MCP_FILE)
#: Keys of a settings file that can neither run nor allow anything; what is not here can.
_HARMLESS = ("$schema", "includeCoAuthoredBy", "language", "model")
_HARMLESS_PERMISSIONS = ("ask", "defaultMode", "deny")  # the mode is a flag of ours
#: Where a line ends: what is cut off is what nobody has seen.
_LIMIT = 2000
_EMPTY: tuple[Any, ...] = ([], {})
#: A rule for a path from the top of the project, such as ``Read(/secret/**)``.
_ANCHORED = r"(\w+)\((/[^/].*)\)"


class Project:
    """The folder that Claude Code takes for the project of another one.

    Args:
        top: The top folder of the checkout; without git, the folder itself.
        main: The main checkout of a worktree, else ``top``. Claude Code's trust dialog is about it.
    """

    __slots__ = ("main", "top")

    def __init__(self, top: str, main: str) -> None:
        self.top = top
        self.main = main


class ClaudeFile:
    """One file of Claude Code.

    Args:
        path: Its absolute path.
        data: Its content.
        parts: What it could run or allow: the kind, and a line for a person.
        deny: Its deny rules, as they mean the same in an argument of the CLI.
    """

    __slots__ = ("data", "deny", "parts", "path")

    def __init__(
        self, path: str, data: bytes, parts: list[tuple[str, str]], deny: list[str]
    ) -> None:
        self.path = path
        self.data = data
        self.parts = parts
        self.deny = deny


def find_project(folder: str) -> Project:
    """The project of a folder, as Claude Code finds it.

    Example:
        >>> find_project("/").top
        '/'
    """
    here = os.path.realpath(folder)
    for place in upwards(here):
        mark = os.path.join(place, ".git")
        if os.path.isdir(mark):
            return Project(place, place)
        if os.path.isfile(mark):
            return Project(place, _main_checkout(place) or place)
    return Project(here, here)


def claude_files(folder: str, environ: Mapping[str, str]) -> list[ClaudeFile]:
    """The files that the CLI would read in a folder, and that could run or allow something.

    Those of the user are not among them: what lies in the home folder itself, or is the CLI's own
    configuration.

    Args:
        folder: The folder of a task.
        environ: The environment of the task.
    """
    own = config_folder(environ)
    return [f for f in map(_read, _existing(folder, environ, own)) if f.parts or f.deny]


def claude_file(path: str, data: bytes | None) -> ClaudeFile:
    """What a file could run, from its content; None: it can't be read."""
    if data is None:
        return ClaudeFile(path, b"", [("a file that can't be read", "can't be read")], [])
    try:
        value = json.loads(data.decode("utf-8-sig", "replace")) if data.strip() else {}
        if not isinstance(value, dict):
            raise ValueError
    except (ValueError, RecursionError):
        return ClaudeFile(path, data, [("a file that is not JSON", "is not a JSON object")], [])
    if path.endswith(MCP_FILE):
        return ClaudeFile(path, data, list(_servers(value)), [])
    folder = path.removesuffix(next(name for name in _SETTINGS if path.endswith(name)))
    return ClaudeFile(path, data, list(_settings(value)), list(_deny_rules(value, folder)))


def is_accepted(project: Project, environ: Mapping[str, str]) -> bool:
    """Whether the user has accepted Claude Code's own trust dialog for a project.

    It is kept under the real path of the main checkout. That of a folder above does not count
    (measured, 2.1.224 to 2.1.332).
    """
    try:
        entry = json.loads(read_file(configuration_file(environ)))["projects"][project.main]
        return entry["hasTrustDialogAccepted"] is True
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def summary(files: Iterable[ClaudeFile]) -> str:
    """The kinds of things that files could run, in a few words."""
    kinds = [kind for file in files for kind, _ in file.parts]
    counted = {kind: kinds.count(kind) for kind in kinds}
    n_servers = counted.pop("MCP server", 0)
    servers = [f"{n_servers} MCP server{'s' if n_servers > 1 else ''}"] if n_servers else []
    return one_line(", ".join([*counted, *servers]), 200)


def _existing(folder: str, environ: Mapping[str, str], own: str) -> Iterator[str]:
    """The paths of the files that are there."""
    project, here = find_project(folder), os.path.realpath(folder)
    home, own = os.path.realpath(home_folder(environ)), os.path.realpath(own)
    above = False
    places = list(upwards(here))
    if project.main != project.top:
        places.append(project.main)  # its settings.local.json is that of all worktrees
    for place in dict.fromkeys(places):
        if place != home:
            names = (MCP_FILE,) if above and place != project.main else NAMES
            for name in names:
                path = os.path.join(place, name)
                if os.path.lexists(path) and os.path.realpath(os.path.dirname(path)) != own:
                    yield path
        above |= place == project.top


def _read(path: str) -> ClaudeFile:
    try:
        return claude_file(path, read_file(path))
    except OSError:
        return claude_file(path, None)


def _main_checkout(top: str) -> str | None:
    """The main checkout of a worktree, if both name each other; a folder can name any other."""
    mark = os.path.join(top, ".git")
    try:
        pointer = read_file(mark).decode().strip()
        admin = os.path.join(top, pointer.removeprefix("gitdir:").strip())
        shared = read_file(f"{admin}/commondir").decode().strip()
        common = os.path.realpath(os.path.join(admin, shared))
        back = os.path.join(admin, read_file(f"{admin}/gitdir").decode().strip())
    except (OSError, ValueError):
        return None
    names_us = os.path.realpath(back) == os.path.realpath(mark)
    parent, name = os.path.split(common)
    return parent if names_us and name == ".git" else None


def _settings(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, content in value.items():
        if key == "hooks":
            yield from (("hooks", line) for line in _hooks(content))
        elif key == "permissions" and isinstance(content, dict):
            for name, rules in content.items():
                if name not in _HARMLESS_PERMISSIONS and rules not in _EMPTY:
                    yield f"permissions.{name}", f"permissions.{name} = {_shown(rules)}"
        elif key not in _HARMLESS and content not in _EMPTY:
            yield one_line(key, 60), f"{one_line(key, 60)} = {_shown(content)}"


def _hooks(content: Any) -> Iterator[str]:
    try:
        for event, groups in content.items():
            for group in groups:
                for hook in group["hooks"]:
                    command = hook.get("command") or _shown(hook)
                    yield one_line(f"hook {event}: {command}", _LIMIT)
    except (AttributeError, KeyError, TypeError):
        yield f"hooks = {_shown(content)}"


def _servers(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    servers = value.get("mcpServers", value)
    if not isinstance(servers, dict):
        yield "MCP servers", f"servers = {_shown(servers)}"
        return
    for name, server in servers.items():
        own = server if isinstance(server, dict) else {}
        words = [own.get("command"), *_list(own.get("args"))]
        texts = [word for word in words if isinstance(word, str)]
        command = " ".join(texts) or _shown(server)
        yield "MCP server", one_line(f"server {name}: {command}", _LIMIT)


def _deny_rules(value: Mapping[str, Any], folder: str) -> Iterator[str]:
    permissions = value.get("permissions")
    rules = permissions.get("deny") if isinstance(permissions, dict) else []
    for rule in _list(rules):
        if isinstance(rule, str) and rule.strip() and "\0" not in rule:
            anchored = re.fullmatch(_ANCHORED, rule, re.DOTALL)
            place = re.sub(r"[^\w./-]", "?", folder.rstrip("/"), flags=re.ASCII)
            yield f"{anchored[1]}(/{place}{anchored[2]})" if anchored else rule


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=True), _LIMIT)
