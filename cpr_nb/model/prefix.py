"""What every task pays before its own prompt: an estimate of the tokens of its first request."""

from __future__ import annotations

import json

from cpr_nb.model.light import in_effect
from cpr_nb.model.tools import SEARCH, offered_tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

#: The CLI that the figures below are of. ``python -m benchmarks.prefix`` measures them again.
MEASURED_WITH = "2.1.332"
BYTES_PER_TOKEN = 4
#: The CLI's own system prompt, and what it adds to the first prompt, without any tool.
NO_TOOLS_TOKENS = 1521
#: The same with a system prompt of one's own, without that text.
OWN_SYSTEM_PROMPT_TOKENS = 300
#: The same in a light task with a key of the API: the CLI adds nothing at all.
BARE_TOKENS = 60
#: The tool by which a task with a schema answers, without the schema.
STRUCTURE_TOKENS = 130
#: The same in a light task, which lacks a hint about further tools.
LIGHT_STRUCTURE_TOKENS = 60
BARE_STRUCTURE_TOKENS = 25
#: What the CLI says of its sandbox, where commands run in it.
SANDBOX_TOKENS = 1990
#: Each tool, beside others.
TOOL_TOKENS = {
    "Read": 547,
    "Edit": 252,
    "Write": 166,
    "NotebookEdit": 420,
    "Bash": 1148,
    "Grep": 833,
    "Glob": 189,
    "TaskStop": 203,
    "WebFetch": 280,
    "WebSearch": 226,
    "Task": 1745,
    "Skill": 2113,
    # No mode has these: they reach other runs, other worktrees or the future, or cost much.
    "CronCreate": 1247,
    "EnterWorktree": 1017,
    "ExitWorktree": 736,
    "ListAgents": 361,
    "Monitor": 1930,
    "ReportFindings": 633,
    "ScheduleWakeup": 1254,
    "SendMessage": 1576,
    "TaskCreate": 714,
    "TaskList": 300,
    "TaskUpdate": 900,
    "Workflow": 5823,
}
#: With ToolSearch, these are fetched when they are needed. Then it costs something itself.
DEFERRED = (
    "NotebookEdit",
    "TaskStop",
    "WebFetch",
    "WebSearch",
    "CronCreate",
    "EnterWorktree",
    "ExitWorktree",
    "Monitor",
    "SendMessage",
)
SEARCH_TOKENS = 490
# Further names that some supported version has.
_OTHER_NAMES = (
    "Agent",
    "AskUserQuestion",
    "CronDelete",
    "CronList",
    "EnterPlanMode",
    "ExitPlanMode",
    "KillShell",
    "StructuredOutput",
    "TaskGet",
    "TaskOutput",
    "TodoWrite",
    SEARCH,
)


def unknown_tools(names: Iterable[str]) -> list[str]:
    """Those names that no supported version of the CLI is known to have.

    Example:
        >>> unknown_tools(["Read", "Raed"])
        ['Raed']
    """
    return [name for name in names if name not in TOOL_TOKENS and name not in _OTHER_NAMES]


def known_tools(options: Mapping[str, Any]) -> list[str]:
    """The tools of a task that today's CLI has, or that nobody has measured.

    Example:
        >>> known_tools({"tools": ["Read", "TaskOutput", "Bash"], "deny": ["Bash"]})
        ['Read']
    """
    denied = {*options.get("deny", ()), "TaskOutput"}
    return [tool for tool in offered_tools(in_effect(options)) if tool not in denied]


def prefix_tokens(options: Mapping[str, Any], *, has_key: bool = False) -> int:
    """Estimates the tokens of a task's first request, without its prompt.

    Not counted are what the CLI adds from the user's files (CLAUDE.md, skills, plugins), MCP
    servers, and tools that nobody has measured.

    Args:
        options: The session's options with the task's own on top, checked.
        has_key: Whether a key of the API is in its environment.

    Example:
        >>> prefix_tokens({"tools": []})
        1521
    """
    options = in_effect(options)
    tools = known_tools(options)
    deferred = [tool for tool in DEFERRED if tool in tools and SEARCH in tools]
    own = options.get("system_prompt", {})
    tokens = NO_TOOLS_TOKENS if isinstance(own, dict) else OWN_SYSTEM_PROMPT_TOKENS
    structure = LIGHT_STRUCTURE_TOKENS if options.get("light") else STRUCTURE_TOKENS
    if options.get("light") and has_key:
        tokens, structure = BARE_TOKENS, BARE_STRUCTURE_TOKENS
    added = own.get("append", "") if isinstance(own, dict) else own
    tokens += len(added.encode("utf-8", "replace")) // BYTES_PER_TOKEN
    tokens += sum(TOOL_TOKENS.get(tool, 0) for tool in tools if tool not in deferred)
    tokens += SEARCH_TOKENS if deferred else 0
    if options.get("permissions") == "sandbox" and "Bash" in tools:
        tokens += SANDBOX_TOKENS
    if "schema" in options:
        tokens += structure + len(json.dumps(options["schema"])) // BYTES_PER_TOKEN
    return tokens
