"""Options → the arguments and the environment of one run of the Claude Code CLI. Pure."""

from __future__ import annotations

import json

from cpr_nb.model.cli_versions import EXCLUDE_DYNAMIC_SECTIONS_SINCE, parse_version
from cpr_nb.model.environment import NO_MEMORY_VARIABLE
from cpr_nb.model.light import in_effect, light_variables
from cpr_nb.model.tools import READING_TOOLS, offered_tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cpr_nb.runner.off_limits import OffLimits

#: What an agent learns about its worktree; its prompt stays as written. With the branch's name
#: in it, each task's requests would begin differently: 1,200 tokens per task would be written to
#: the prompt cache instead of read from it (measured). It does not speak of worktrees: the CLI has
#: a tool that makes one elsewhere, for whoever is asked to work in a worktree.
_BRANCH = (
    "This folder is a checkout of your own, on a branch of your own: its name is in the "
    "environment variable CPR_BRANCH. Work in this folder and on this branch only. "
)
BRANCH_PROMPT = (
    _BRANCH + "Commit what belongs there. What you leave uncommitted is committed to your branch "
    "when you have finished."
)
#: The same in the sandbox, where the repository's git directory can't be written.
SANDBOX_BRANCH_PROMPT = (
    _BRANCH + "You can't commit, since .git is read-only here. What you leave in this folder is "
    "committed to your branch when you have finished."
)

#: The tools that would reach out of a task into the next one of its process, or into another run.
WITHHELD_TOOLS = ("CronCreate", "ScheduleWakeup", "EnterWorktree", "SendMessage", "ListAgents")

# Messages that the user's other runs of the CLI send to this one are refused, unless the user's
# settings say otherwise. (Without the tools for it, a task sends none.) Older CLIs, which have no
# messages, ignore it.
_SETTINGS = {"crossSessionInbound": "refuse"}
# All four are needed. Without failIfUnavailable a machine without bubblewrap only warns and runs
# without a sandbox; without allowUnsandboxedCommands=false a command can opt out.
_SANDBOX = {
    "enabled": True,
    "autoAllowBashIfSandboxed": True,
    "allowUnsandboxedCommands": False,
    "failIfUnavailable": True,
}
_NO_MEMORY = {NO_MEMORY_VARIABLE.encode(): b"1"}
_MODES = {
    "read": "dontAsk",
    "edits": "acceptEdits",
    "sandbox": "acceptEdits",
    "all": "bypassPermissions",
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
    claude_version: str | None = None,
    user_only_in: str = "",
    off_limits: OffLimits | None = None,
    shared: bool = False,
    has_key: bool = False,
) -> list[str]:
    """Builds the arguments of one run; the prompt comes on stdin.

    Args:
        claude: Path of the CLI.
        options: The session's options with the task's own on top, checked.
        conversation_id: The conversation's UUID, chosen before the start.
        resume: Whether the conversation exists already.
        follows: The conversation that this one begins with a copy of; empty for none.
        many_folders: Whether tasks of the session run in different folders.
        has_branch: Whether the task has a worktree with a branch of its own.
        claude_version: The version of the CLI, if it is known.
        user_only_in: The folder that it runs in, if the settings of the user are the only ones
            that it may use; else empty.
        off_limits: The folders that the agent is kept off.
        shared: Whether it serves several tasks: its prompts are lines of JSON on stdin.
        has_key: Whether a key of the API is in its environment.

    Returns:
        The argument list.

    Example:
        >>> build_argv("claude", {"max_turns": 3}, "c-1")[-2:]
        ['--max-turns', '3']
    """
    options = in_effect(options)
    argv = [claude, "-p", "--output-format", "stream-json", "--verbose"]
    argv += _conversation_arguments(conversation_id, resume=resume, follows=follows)
    argv += _shared_arguments() if shared else []
    argv += _permission_arguments(options, off_limits)
    argv += _source_arguments(options, user_only_in)
    for name in ("model", "effort"):
        if name in options:
            argv += ["--" + name, options[name]]
    argv += _context_arguments(options, has_branch=has_branch)
    argv += _safe_arguments(options, has_key=has_key)
    if "schema" in options:
        argv += ["--json-schema", json.dumps(options["schema"])]
    if "task_budget_usd" in options:
        argv += ["--max-budget-usd", repr(options["task_budget_usd"])]
    if has_branch or (options.get("warm_start") and many_folders):
        argv += _prefix_arguments(claude_version)
    argv += options.get("claude_args", ())
    if "max_turns" in options:
        argv += ["--max-turns", str(options["max_turns"])]
    return argv


def _prefix_arguments(claude_version: str | None) -> list[str]:
    """Keeps what differs between folders out of the common beginning of all requests.

    In one folder it would cost some 600 tokens per task (measured). Without notes of the CLI ("auto
    memory") it helps 2.1.227, and 2.1.280 no longer needs it.
    """
    version = parse_version(claude_version)
    has_flag = version is None or version >= EXCLUDE_DYNAMIC_SECTIONS_SINCE
    return ["--exclude-dynamic-system-prompt-sections"] if has_flag else []


def _shared_arguments() -> list[str]:
    withheld = [f"--disallowedTools={tool}" for tool in WITHHELD_TOOLS]
    return ["--input-format=stream-json", *withheld]


def _safe_arguments(options: Mapping[str, Any], *, has_key: bool) -> list[str]:
    """The flag that leaves out all that is customised, if the options ask for that."""
    if not options.get("safe_mode"):
        return []
    # Bare, it says nothing of machine and date either, and reads no CLAUDE.md, hooks and so on. But
    # it takes no login then: only a key of the API in its environment (measured).
    return ["--bare" if options.get("light") and has_key else "--safe-mode"]


def permission_mode(options: Mapping[str, Any]) -> str:
    """The permission mode that the arguments ask for: the last flag counts.

    Example:
        >>> permission_mode({"permissions": "all"})
        'bypassPermissions'
    """
    mode = _mode(in_effect(options))
    arguments = options.get("claude_args", ())
    for position, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--permission-mode":
            mode = value or "".join(arguments[position + 1 : position + 2])
        elif flag == "--dangerously-skip-permissions":
            mode = "bypassPermissions"
    return mode


def _mode(options: Mapping[str, Any]) -> str:
    permissions = options.get("permissions", "edits")
    if permissions == "read" and options.get("ask"):
        return "default"  # which allows no more than "dontAsk", but asks
    return _MODES[permissions]


def _conversation_arguments(conversation_id: str, *, resume: bool, follows: str) -> list[str]:
    if resume:
        return ["--resume", conversation_id]
    fork = ["--resume", follows, "--fork-session"] if follows else []
    return [*fork, "--session-id", conversation_id]


def _source_arguments(options: Mapping[str, Any], user_only_in: str) -> list[str]:
    """Keeps the settings and servers of a repository out that nobody has trusted yet."""
    if not user_only_in:
        return []
    argv = ["--setting-sources=user"]
    # That leaves CLAUDE.md out, too, but not the one of a further folder (`folder_memory`). The
    # skills and agents in it stay out (measured).
    return argv if _is_safe_mode(options) else [*argv, f"--add-dir={user_only_in}"]


def cli_variables(options: Mapping[str, Any], *, user_only: bool) -> dict[bytes, bytes]:
    """The variables that go with the arguments, unless the user sets them.

    Args:
        options: The options of the task.
        user_only: Whether the settings of the user are the only ones that it may use.

    Example:
        >>> cli_variables({}, user_only=False)
        {b'CLAUDE_CODE_DISABLE_AUTO_MEMORY': b'1'}
    """
    memory = folder_memory(options) if user_only else {}
    return {**_NO_MEMORY, **light_variables(options), **memory}


def folder_memory(options: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The variable with which CLAUDE.md of a further folder counts; empty in the safe mode."""
    name = b"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD"
    return {} if _is_safe_mode(options) else {name: b"1"}


def _is_safe_mode(options: Mapping[str, Any]) -> bool:
    return bool(in_effect(options).get("safe_mode")) or "--safe-mode" in options.get(
        "claude_args", ()
    )


def _permission_arguments(options: Mapping[str, Any], off_limits: OffLimits | None) -> list[str]:
    permissions = options.get("permissions", "edits")
    tools = offered_tools(options)
    reading = [tool for tool in READING_TOOLS if permissions == "read" and tool in tools]
    # The built-in tools, and no others; MCP servers' tools are not affected.
    argv = ["--permission-mode", _mode(options), f"--tools={','.join(tools)}"]
    if options.get("ask"):  # what they would deny is asked on stdout, and answered on stdin
        argv += ["--input-format=stream-json", "--permission-prompt-tool=stdio"]
    # One flag per rule, with "=": a rule may contain spaces and commas, and a flag that takes
    # several values would swallow what follows.
    argv += [f"--allowedTools={rule}" for rule in (*reading, *options.get("allow", ()))]
    kept_off = off_limits.tool_rules() if off_limits else ()
    argv += [f"--disallowedTools={rule}" for rule in (*options.get("deny", ()), *kept_off)]
    settings = {**_SETTINGS, **options.get("settings", {})}
    if permissions == "sandbox":
        settings["sandbox"] = _with_sandbox(settings.get("sandbox", {}), off_limits)
    # In one flag: of several, the CLI takes the last one only (measured).
    return [*argv, "--settings", json.dumps(settings)]


def _with_sandbox(wanted: Mapping[str, Any], off_limits: OffLimits | None) -> dict[str, Any]:
    """The settings of the sandbox: what it needs, and what the user opens in it."""
    # A rule that allows an excluded command would run it outside.
    opened = {name: value for name, value in wanted.items() if name != "excludedCommands"}
    if off_limits:
        opened["filesystem"] = off_limits.sandbox_filesystem(wanted.get("filesystem", {}))
    return {**opened, **_SANDBOX}


def _context_arguments(options: Mapping[str, Any], *, has_branch: bool) -> list[str]:
    """What the agent has besides its tools: system prompt, subagents, servers, folders."""
    argv = [f"--add-dir={folder}" for folder in options.get("add_dirs", ())]
    if "fallback_model" in options:
        argv.append(f"--fallback-model={options['fallback_model']}")
    prompt = options.get("system_prompt", {})
    if isinstance(prompt, str):
        argv.append(f"--system-prompt={prompt}")
        prompt = {}
    words = SANDBOX_BRANCH_PROMPT if options.get("permissions") == "sandbox" else BRANCH_PROMPT
    appended = [*prompt.values(), *([words] if has_branch else [])]
    if appended:  # in one flag: of several, the CLI takes the last one only (measured)
        argv += ["--append-system-prompt", "\n\n".join(appended)]
    if "agents" in options:
        argv.append(f"--agents={json.dumps(options['agents'])}")
    if "mcp_servers" in options:
        config = json.dumps({"mcpServers": options["mcp_servers"]})
        argv += [f"--mcp-config={config}", "--strict-mcp-config"]
    return argv
