"""Versions of the Claude Code CLI: reading one, and what each option needs.

The figures are those of real binaries: a version that has it, where the one measured before it
has not.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Version = tuple[int, int, int]

#: Older ones are refused: too much of what cpr says about a task would not be true.
OLDEST_SUPPORTED: Version = (2, 1, 29)
#: The newest one that the tests of this release have run.
NEWEST_TESTED: Version = (2, 1, 332)

FOLLOW_UP = "a follow-up"
#: An option, or an option with one of its values → the first version that has it.
NEEDS: Mapping[str, Version] = {
    "schema": (2, 0, 45),
    "task_budget_usd": (2, 0, 45),
    "permissions=sandbox": (2, 1, 81),  # older ones ignore what it denies, or run without one
    FOLLOW_UP: (2, 1, 29),
    "add_dirs": (2, 0, 45),
    "agents": (2, 0, 45),
    "mcp_servers": (2, 0, 45),
    "system_prompt": (2, 0, 45),
    "effort": (2, 1, 71),
    "effort=xhigh": (2, 1, 126),
    "fallback_model": (2, 1, 81),  # 2.1.71 has the flag, but fails where it should fall back
    "settings": (2, 1, 81),  # in 2.1.71 their hooks and rules undo what `deny` denies
    "safe_mode": (2, 1, 224),
    "light": (2, 1, 224),
    "reserve": (2, 1, 280),  # 2.1.227 tells how much is used only near the end of a window
}
#: A flag that only saves tokens: older versions do without it.
EXCLUDE_DYNAMIC_SECTIONS_SINCE: Version = (2, 1, 126)
#: Before, the sandbox takes some folder names for patterns, and then protects nothing of them.
PLAIN_FOLDERS_SINCE: Version = (2, 1, 305)
#: Before, `claude auth status` is taken for a prompt, and is paid for.
AUTH_STATUS_SINCE: Version = (2, 1, 71)
#: Before, `/clear` begins no new conversation where there is no terminal: no process can be shared.
SHARES_SINCE: Version = (2, 1, 224)
#: Before, a conversation can be continued only in the folder in which it began.
ELSEWHERE_SINCE: Version = (2, 1, 227)
#: Before, the CLI uses the allow rules and the further folders that a project brings, also where
#: nobody has trusted it.
IGNORES_WIDENING_SINCE: Version = (2, 1, 224)
#: From the first on, and before the second, a model that never gives the structure is asked for
#: it without end: ``--max-turns`` does not stop that, only a budget does.
ENDLESS_STRUCTURE: tuple[Version, Version] = (2, 0, 72), (2, 1, 127)
#: From the first on, and before the second, a run that continues a conversation writes the totals
#: of the whole conversation into its result line, and no figures of its own.
TOTALS_ONLY: tuple[Version, Version] = (2, 1, 280), (2, 1, 309)

_VERSION = re.compile(r"(?<![\w.])(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\w.])")


def parse_version(text: object) -> Version | None:
    """Reads a version, such as the one that the CLI writes into its stream.

    Args:
        text: The whole text is the version.

    Returns:
        Its three numbers; None if it is none.

    Example:
        >>> parse_version("2.1.332"), parse_version("latest")
        ((2, 1, 332), None)
    """
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    return _numbers(match) if match else None


def version_in(output: str) -> Version | None:
    r"""Finds the version in what ``claude --version`` prints; a wrapper may print more.

    Example:
        >>> version_in("loading the proxy 1.2.3\n2.1.332 (Claude Code)\n")
        (2, 1, 332)
    """
    for line in output.splitlines():
        match = _VERSION.match(line.strip())
        if match and "(Claude Code)" in line:
            return _numbers(match)
    return None


def show(version: Version) -> str:
    """The version as people write it.

    Example:
        >>> show((2, 1, 332))
        '2.1.332'
    """
    return ".".join(map(str, version))


def unmet_need(
    version: Version, options: Mapping[str, Any], *, is_follow_up: bool = False
) -> str | None:
    """What a task asks for that this version lacks, with the version that has it.

    Args:
        version: The version of the CLI.
        options: The session's options with the task's own on top.
        is_follow_up: Whether the task continues a copy of another conversation.

    Returns:
        The beginning of an error; None if it lacks nothing.

    Example:
        >>> unmet_need((2, 0, 0), {"schema": {}})
        'schema needs Claude Code 2.0.45 or newer'
    """
    for name, since in NEEDS.items():
        if version < since and _asks_for(name, options, is_follow_up=is_follow_up):
            return f"{name} needs Claude Code {show(since)} or newer"
    return None


def depends_on_version(options: Mapping[str, Any], *, is_follow_up: bool = False) -> bool:
    """Whether a task asks for anything that some supported version lacks."""
    newer = (name for name, since in NEEDS.items() if since > OLDEST_SUPPORTED)
    has_need = any(_asks_for(name, options, is_follow_up=is_follow_up) for name in newer)
    return has_need or may_ask_endlessly(ENDLESS_STRUCTURE[0], options)


def may_ask_endlessly(version: Version, options: Mapping[str, Any]) -> bool:
    """Whether a model that never gives the structure would be asked until someone notices."""
    first, end = ENDLESS_STRUCTURE
    return first <= version < end and "schema" in options and "task_budget_usd" not in options


def _asks_for(name: str, options: Mapping[str, Any], *, is_follow_up: bool) -> bool:
    if name == FOLLOW_UP:
        return is_follow_up
    option, _, value = name.partition("=")
    asked = options.get(option)
    return asked is not None and asked is not False and value in ("", asked)


def _numbers(match: re.Match[str]) -> Version:
    major, minor, patch = (int(number) for number in match.groups())
    return major, minor, patch
