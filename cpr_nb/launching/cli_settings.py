"""The settings files of the CLI: those that it ignores as a whole, without a word.

The CLI in `-p` mode says nothing of a settings file that is no JSON, or in which one value has the
wrong type: none of it applies then, and its deny rules don't hold (measured, 2.0.45 to 2.1.332).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping

from cpr_nb.model.errors import InputError
from cpr_nb.model.light import in_effect
from cpr_nb.model.spec import TaskSpec
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Keys whose wrong type makes the CLI ignore the file (measured); a dot leads into an object.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "cleanupPeriodDays": (int, float),
    "enabledPlugins": dict,
    "env": dict,
    "includeCoAuthoredBy": bool,
    "model": str,
    "permissions": dict,
    "permissions.additionalDirectories": list,
    "permissions.allow": list,
    "permissions.ask": list,
    "permissions.defaultMode": str,
    "permissions.deny": list,
    "permissions.disableBypassPermissionsMode": str,
    "sandbox": dict,
}
#: The options that decide which files a task reads, and what follows.
_DECISIVE = ("cwd", "env", "claude_args", "strict_setup", "mcp_servers", "safe_mode", "light")
#: The MCP servers of a project.
MCP_FILE = ".mcp.json"
#: Names the sources of settings that the CLI uses.
SOURCES_FLAG = "--setting-sources"
_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}


def managed_settings() -> str:
    """The settings file of this machine's administrator; it need not exist."""
    if sys.platform == "darwin":
        return "/Library/Application Support/ClaudeCode/managed-settings.json"
    return "/etc/claude-code/managed-settings.json"


def home_folder(environ: Mapping[str, str]) -> str:
    """The home folder of the user, as the CLI finds it."""
    return os.path.expanduser(environ.get("HOME") or "~")


def config_folder(environ: Mapping[str, str]) -> str:
    """The CLI's folder of the user."""
    return environ.get("CLAUDE_CONFIG_DIR") or os.path.join(home_folder(environ), ".claude")


def configuration_file(environ: Mapping[str, str]) -> str:
    """The file in which the CLI keeps what it knows of the user; it need not exist."""
    return os.path.join(environ.get("CLAUDE_CONFIG_DIR") or home_folder(environ), ".claude.json")


def settings_files(
    environ: Mapping[str, str], cwd: str, arguments: Iterable[str] = ()
) -> list[str]:
    """The settings files that the CLI reads in a folder; they need not exist.

    Args:
        environ: The environment of the task.
        cwd: Its folder.
        arguments: Further arguments for the CLI: ``--setting-sources`` names some of the files.
    """
    by_source = {
        "user": os.path.join(config_folder(environ), "settings.json"),
        "project": os.path.join(cwd, ".claude", "settings.json"),
        "local": os.path.join(cwd, ".claude", "settings.local.json"),
    }
    sources = _setting_sources(list(arguments))
    files = [path for name, path in by_source.items() if sources is None or name in sources]
    return [managed_settings(), *files, os.path.join(cwd, MCP_FILE)]


def _setting_sources(arguments: list[str]) -> list[str] | None:
    sources = None
    for position, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == SOURCES_FLAG:
            sources = (value or "".join(arguments[position + 1 : position + 2])).split(",")
    return sources


def read_settings(path: str) -> dict[str, Any]:
    """Reads a settings file as the CLI does; what it ignores is empty.

    Args:
        path: The file.

    Raises:
        ValueError: If the CLI ignores the file as a whole; the message says why.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            text = file.read()
    except OSError:
        return {}
    if not text.strip():
        return {}
    try:
        settings = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(settings, dict):
        raise ValueError("it is not an object")
    check_types(settings)
    return settings


def _is_mcp_file(path: str) -> bool:
    return os.path.basename(path) == MCP_FILE


def check_types(settings: dict[str, Any]) -> None:
    """Refuses settings that the CLI ignores as a whole, for one value has the wrong type.

    Raises:
        ValueError: If there is one; the message names it.
    """
    for name, type_ in _TYPES.items():
        for value in _values(settings, name.split(".")):
            if not isinstance(value, type_) or (isinstance(value, bool) and type_ is not bool):
                kind = "a number" if isinstance(type_, tuple) else _WORDS[type_]
                raise ValueError(f"{name} is not {kind}")


def _values(settings: dict[str, Any], names: list[str]) -> Iterator[Any]:
    """The value at the end of these names, if there is one."""
    value: Any = settings
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return
        value = value[name]
    yield value


def settings_problem(path: str) -> str:
    """Says that the CLI ignores a settings file as a whole, and why; empty if it reads it.

    Example:
        >>> settings_problem("/no/such/settings.json")
        ''
    """
    try:
        read_settings(path)
    except ValueError as error:
        lost = "its MCP servers" if _is_mcp_file(path) else "its deny rules too"
        return one_line(f"{path}: the CLI ignores all of it, {lost}, and does not say so: {error}")
    return ""


def check_settings(
    tasks: Iterable[TaskSpec],
    options: Mapping[str, Any],
    environ: Mapping[str, str],
) -> list[str]:
    """Checks the settings files of all tasks' folders, before anything is spent.

    Args:
        tasks: The tasks.
        options: The session's options.
        environ: The environment that tasks inherit.

    Returns:
        A warning for each file that the CLI ignores as a whole.

    Raises:
        InputError: If there is one, and a task with ``strict_setup`` would ignore it.
    """
    problems: dict[str, str] = {}
    for task, merged in _different(tasks, options):
        own = {**environ, **options.get("env", {}), **task.options.get("env", {})}
        for path in settings_files(own, merged["cwd"], merged.get("claude_args", ())):
            if _is_mcp_file(path) and has_own_servers(merged):
                continue
            if path not in problems:
                problems[path] = settings_problem(path)
            if problems[path] and merged.get("strict_setup"):
                raise InputError(f"{problems[path]} (strict_setup is set)", task.where)
    return [problem for problem in problems.values() if problem]


def has_own_servers(options: Mapping[str, Any]) -> bool:
    """Whether a task has no MCP servers of its folder's ``.mcp.json``."""
    is_strict = "--strict-mcp-config" in options.get("claude_args", ())
    return is_strict or "mcp_servers" in options or bool(in_effect(options).get("safe_mode"))


def _different(
    tasks: Iterable[TaskSpec], options: Mapping[str, Any]
) -> Iterator[tuple[TaskSpec, dict[str, Any]]]:
    """One task of those that read the same files, with its options: a frame may have 10,000."""
    seen = set()
    for task in tasks:
        alike = repr([task.options.get(name) for name in _DECISIVE])
        if alike not in seen:
            seen.add(alike)
            yield task, {**options, **task.options}


def forbids_bypassing(path: str) -> bool:
    """Whether a settings file forbids to run without any permission: ``permissions`` all."""
    return _permissions(path).get("disableBypassPermissionsMode") == "disable"


def has_allow_rules(path: str) -> bool:
    """Whether a settings file has rules that allow something."""
    return bool(_permissions(path).get("allow"))


def _permissions(path: str) -> dict[str, Any]:
    try:
        permissions = read_settings(path).get("permissions")
    except ValueError:
        return {}
    return permissions if isinstance(permissions, dict) else {}
