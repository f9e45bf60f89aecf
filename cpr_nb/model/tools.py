"""Which built-in tools a task has: a closed list per permission mode, and what widens it."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

#: What only reads; the mode ``read`` allows these without asking.
READING_TOOLS = ("Read", "Grep", "Glob")
# Costs nothing as long as it has nothing to find. With it, the schemas of rarely used tools and
# of MCP servers' tools are fetched when they are needed, not sent with every request (measured).
SEARCH = "ToolSearch"
# TaskOutput is a tool of older CLIs: with it they read what a background command has written. A CLI
# leaves out the names that it does not know (measured).
_EDITING_TOOLS = (
    "Read",
    "Edit",
    "Write",
    "NotebookEdit",
    "Bash",
    "Grep",
    "Glob",
    "TaskStop",
    "TaskOutput",
    SEARCH,
)
#: The built-in tools of each permission mode. The CLI's other tools are off until someone names
#: them: those that reach other runs, other worktrees or the future, and those of its next release.
MODE_TOOLS = {
    "read": (*READING_TOOLS, SEARCH),
    "edits": _EDITING_TOOLS,
    "sandbox": _EDITING_TOOLS,
    "all": (*_EDITING_TOOLS, "WebFetch", "WebSearch", "Task", "Skill"),
}
# The CLI's names begin with a capital letter; "default" would mean all of them.
_NAME = r"[A-Z][A-Za-z0-9_-]*"


def tool_of_rule(rule: str) -> str:
    """The built-in tool that a permission rule names; empty for an MCP tool.

    Example:
        >>> tool_of_rule("WebFetch(domain:example.org)"), tool_of_rule("mcp__db__query")
        ('WebFetch', '')
    """
    name = rule.partition("(")[0].strip()
    return name if is_tool_name(name) else ""


def is_tool_name(name: str) -> bool:
    """Whether a text can be the name of a built-in tool.

    Example:
        >>> is_tool_name("WebFetch"), is_tool_name("mcp__db__query")
        (True, False)
    """
    return re.fullmatch(_NAME, name) is not None


def offered_tools(options: Mapping[str, Any]) -> list[str]:
    """The built-in tools that a task has.

    They are those of its permission mode, or exactly those that ``tools`` names. A tool that a
    rule of ``allow`` names is always among them; so is the one that starts ``agents``.

    Args:
        options: The session's options with the task's own on top, checked.

    Example:
        >>> offered_tools({"permissions": "read", "allow": ["WebFetch(domain:example.org)"]})
        ['Read', 'Grep', 'Glob', 'ToolSearch', 'WebFetch']
        >>> offered_tools({"tools": []})
        []
    """
    own: Iterable[str] = MODE_TOOLS[options.get("permissions", "edits")]
    allowed = (tool_of_rule(rule) for rule in options.get("allow", ()))
    starts_agents = ["Task"] if options.get("agents") else []
    named = [*options.get("tools", own), *filter(None, allowed), *starts_agents]
    return list(dict.fromkeys(named))
