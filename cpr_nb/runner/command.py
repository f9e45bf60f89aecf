"""Options → the arguments and the environment of one run of the Claude Code CLI. Pure."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: What an agent is told of its checkout; its prompt stays as it was written. The name itself
#: would make the beginning of each task's requests another one: 1,200 tokens a task that are
#: written to the prompt cache and not read from it (measured).
BRANCH_WORDS = (
    "You work in a git worktree of your own, on a branch of your own: its name is in the "
    "environment variable CPR_BRANCH (git branch --show-current tells it, too). Commit what "
    "belongs there; do not switch to another branch, and leave other worktrees alone. What you "
    "leave uncommitted is committed to your branch when you have finished."
)
READING_TOOLS = ("Read", "Grep", "Glob", "LS", "NotebookRead")

# All four are needed: without failIfUnavailable a machine that lacks bubblewrap runs without a
# sandbox after a warning, without allowUnsandboxedCommands=false a command can opt out.
_SANDBOX = {
    "sandbox": {
        "enabled": True,
        "autoAllowBashIfSandboxed": True,
        "allowUnsandboxedCommands": False,
        "failIfUnavailable": True,
    }
}
_MODES = {
    "read": ("dontAsk", READING_TOOLS),
    "edits": ("acceptEdits", ()),
    "sandbox": ("acceptEdits", ()),
    "all": ("bypassPermissions", ()),
}


def build_argv(
    claude: str,
    options: Mapping[str, Any],
    conversation_id: str,
    *,
    resume: bool = False,
    follows: str = "",
    many_folders: bool = False,
    has_branch: bool = False,
) -> list[str]:
    """The arguments of one run; the prompt comes on stdin.

    Args:
        claude: Path of the CLI.
        options: The task's options over the session's, checked.
        conversation_id: The conversation's UUID, chosen before the start.
        resume: Whether the conversation exists already.
        follows: The conversation that this one begins with a copy of; empty for none.
        many_folders: Whether tasks of the session run in different folders.
        has_branch: Whether the task has a checkout and a branch of its own.

    Returns:
        The argument list.

    Example:
        >>> build_argv("claude", {"max_turns": 3}, "c-1")[-2:]
        ['--max-turns', '3']
    """
    mode, tools = _MODES[options.get("permissions", "edits")]
    argv = [claude, "-p", "--output-format", "stream-json", "--verbose"]
    if follows and not resume:
        argv += ["--resume", follows, "--fork-session"]
    argv += ["--resume" if resume else "--session-id", conversation_id]
    argv += ["--permission-mode", mode]
    # One flag a rule with "=": a rule may hold spaces and commas, and a flag that takes
    # several values would swallow what follows.
    argv += [f"--allowedTools={rule}" for rule in (*tools, *options.get("allow", ()))]
    argv += [f"--disallowedTools={rule}" for rule in options.get("deny", ())]
    if options.get("permissions") == "sandbox":
        argv += ["--settings", json.dumps(_SANDBOX)]
    for name in ("model", "effort"):
        if name in options:
            argv += ["--" + name, options[name]]
    if "schema" in options:
        argv += ["--json-schema", json.dumps(options["schema"])]
    if "task_budget_usd" in options:
        argv += ["--max-budget-usd", repr(options["task_budget_usd"])]
    if has_branch:
        argv += ["--append-system-prompt", BRANCH_WORDS]
    if has_branch or (options.get("warm_start") and many_folders):
        # Keeps what differs between folders out of what all requests begin with. In one folder
        # it would cost some 600 tokens a task (measured).
        argv.append("--exclude-dynamic-system-prompt-sections")
    argv += options.get("claude_args", ())
    if "max_turns" in options:
        argv += ["--max-turns", str(options["max_turns"])]
    return argv
