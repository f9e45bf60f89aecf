"""Tool calls that the permissions refused, and the rule that would have allowed each."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# Allowing `git commit` must not allow `git push`.
_WITH_SUBCOMMANDS = ("git", "npm", "cargo", "go", "docker", "pip", "uv", "make")


def denials_of(result: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The denials in a result line, as the CLI wrote them.

    Example:
        >>> denials_of({"permission_denials": [{"tool_name": "Bash"}, 1]})
        [{'tool_name': 'Bash'}]
    """
    denials = result.get("permission_denials") if result else None
    return [d for d in denials if isinstance(d, dict)] if isinstance(denials, list) else []


def denial_rule(denial: dict[str, Any]) -> str:
    """The rule that would allow a denied tool call.

    Example:
        >>> denial_rule({"tool_name": "Bash", "tool_input": {"command": "pytest -q tests"}})
        'Bash(pytest:*)'
    """
    tool = str(denial.get("tool_name", ""))
    tool_input = denial.get("tool_input")
    command = tool_input.get("command") if isinstance(tool_input, dict) else None
    if tool == "Bash" and isinstance(command, str) and command.split():
        words = command.split()
        plain = len(words) > 1 and re.fullmatch(r"[a-z][a-z-]*", words[1])
        two = words[0] in _WITH_SUBCOMMANDS and plain
        return f"Bash({' '.join(words[:2]) if two else words[0]}:*)"
    return tool


def rules_of(denials: Iterable[dict[str, Any]]) -> list[str]:
    """The rules that would allow all of these denials, each once, in order."""
    return list(dict.fromkeys(denial_rule(denial) for denial in denials))
