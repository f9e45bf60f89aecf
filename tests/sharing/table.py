"""The table of docs/sharing.md: its rows."""

from __future__ import annotations

from collections.abc import Mapping

from testkit.measured_table import MeasuredTable

from sharing import figures, files, settings, shell
from sharing.bench import Measurement

#: What CI measures each time: the others take a minute, or ask the CLI what it rarely changes.
QUICK: tuple[Measurement, ...] = (
    shell.shell_state,
    shell.background_command,
    settings.mcp_server,
    figures.prompts,
)
MEASUREMENTS: tuple[Measurement, ...] = (
    *QUICK,
    shell.background_agent,
    shell.worktree,
    shell.cron,
    shell.wake_up,
    settings.permissions,
    settings.models,
    settings.loaded_tools,
    settings.task_list,
    settings.read_files,
    files.texts,
    files.added_files,
    files.settings,
    files.hooks,
    figures.limits,
    figures.answers,
)
_AS_EVER = "as with a process of its own"
_RENEWED = "a process serves 64 tasks at most"
_NOT_OFFERED = "not offered in a shared process"
_CHECKED = "`init` is checked before each prompt"
_ENDS = "the process ends with the task that left it"
#: The rows in their order: what may carry over → what cpr does about it.
ROWS: Mapping[str, str] = {
    "the conversation": "`/clear` between two tasks",
    "Bash: folder, variables, functions, umask, ulimit": "",
    "Bash in the background": _ENDS,
    "`setsid … &`": "ended with its task",
    "an agent in the background": _ENDS,
    "CronCreate": _NOT_OFFERED,
    "ScheduleWakeup": _NOT_OFFERED,
    "EnterWorktree": _NOT_OFFERED,
    "a permission granted for the session": "none is granted",
    "set_permission_mode": _CHECKED,
    "set_model": _CHECKED,
    "the fallback model": "",
    "an MCP server": "the process ends with a task that used it",
    "an MCP server after `mcp_reconnect`": "",
    "tools loaded by ToolSearch": "",
    "the list of tasks (TaskCreate)": "",
    "which files were read": "",
    "CLAUDE.md, changed after `/clear`": "",
    "skills and commands, added": _RENEWED,
    "agents in files, added": _CHECKED,
    "settings.json, changed": _AS_EVER,
    "SessionStart hooks for `startup`": "then no process is shared",
    "hooks for `clear`": "they run for each task",
    "max turns": "",
    "max budget, cost": "",
    "schema": "",
    "denials": "",
    "a request that the API refuses": "",
    "what differs in `init`": _CHECKED,
    "text of `/clear` before each prompt": "the first prompt has it, too",
    "prompt cache of another prompt": "",
}
TABLE = MeasuredTable("sharing.md", "what carries over", ROWS)
