"""Refuses options that can't be combined, or that can't work on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from cpr_nb.launching.cli_settings import check_types
from cpr_nb.launching.machine import check_permissions, check_sandboxed_commands
from cpr_nb.model.cli_configuration import missing_variables
from cpr_nb.model.errors import InputError
from cpr_nb.store.key import own_key
from cpr_nb.store.state_dir import state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Flags of the CLI that an option sets; only one of both can be meant.
_OPTIONS_OF_FLAGS = {
    "--permission-prompt-tool": "ask",
    "--add-dir": "add_dirs",
    "--agents": "agents",
    "--append-system-prompt": "system_prompt",
    "--append-system-prompt-file": "system_prompt",
    "--fallback-model": "fallback_model",
    "--mcp-config": "mcp_servers",
    "--system-prompt": "system_prompt",
    "--system-prompt-file": "system_prompt",
}
#: What a light task can't have: it has no tools, no files and no prompt of Claude Code's.
_NOT_LIGHT = ("tools", "allow", "add_dirs", "worktree", "setup", "agents", "mcp_servers", "ask")
_NOT_LIGHT_FLAGS = (
    "--add-dir",
    "--agents",
    "--append-system-prompt",
    "--append-system-prompt-file",
    "--mcp-config",
    "--plugin-dir",
    "--system-prompt",
    "--system-prompt-file",
)
#: What the CLI leaves out in its safe mode, without a word (measured).
_NOT_IN_SAFE_MODE = ("agents", "mcp_servers")


def check_combination(options: Mapping[str, Any], environ: Mapping[str, str], where: str) -> None:
    """Checks what a task asks for as a whole.

    Args:
        options: The session's options with the task's own on top, checked.
        environ: The environment that the task will have.
        where: The task, for the error.

    Raises:
        InputError: If something can't work; the message says what to do.
    """
    mode = options.get("permissions", "edits")
    check_permissions(mode, environ, f"{where}: permissions={mode}")
    if mode == "sandbox" and ("check" in options or "setup" in options):
        check_sandboxed_commands(where)
    flags = {arg.split("=", 1)[0] for arg in options.get("claude_args", ())}
    _check_flags(flags, options, where)
    if mode == "all" and options.get("ask"):
        raise InputError(
            "has nothing to ask with permissions=all, which denies nothing: leave out one of both",
            f"{where}: ask",
        )
    if options.get("light"):
        _check_light(flags, options, where)
    if options.get("safe_mode") or "--safe-mode" in flags:
        for name in _NOT_IN_SAFE_MODE:
            if options.get(name):
                raise InputError(f"the CLI's safe mode has no {name}: leave out one of both", where)
    try:
        check_types(options.get("settings", {}))
    except ValueError as error:
        raise InputError(
            f"{error}, so the CLI would ignore them all", f"{where}: settings"
        ) from None
    for name in missing_variables(options.get("mcp_servers", {}), environ):
        raise InputError(
            f"names the variable {name}, which is not set: set it, or pass it with the option "
            f"'env' (--env {name}=VALUE)",
            f"{where}: mcp_servers",
        )


def check_asking(options: Mapping[str, Any]) -> None:
    """Refuses ``ask`` where an agent could answer itself: there is no folder for answers alone.

    Raises:
        StateDirError: If the state directory can't be used.
        InputError: If there is none.
    """
    if options.get("ask") and own_key() is None:
        raise InputError(
            f"needs a state directory, which agents can't write, for the answers; {state_dir()} "
            "can't be made: set CPR_STATE_DIR to a folder of yours",
            "ask",
        )


def _check_light(flags: set[str], options: Mapping[str, Any], where: str) -> None:
    """Refuses with ``light`` what needs tools, files, or Claude Code's own system prompt."""
    names = [name for name in _NOT_LIGHT if options.get(name)]
    if options.get("permissions", "read") != "read":
        names.append("permissions")
    names += [f"claude_args: {flag}" for flag in _NOT_LIGHT_FLAGS if flag in flags]
    if names:
        raise InputError(
            "can't be combined with light, which has no tools, no files and a short system prompt "
            "of its own (or yours, as the option 'system_prompt'): leave out one of both",
            f"{where}: {names[0]}",
        )
    if isinstance(options.get("system_prompt"), Mapping):
        raise InputError(
            "adds to Claude Code's own system prompt, which a light task does not have: give it as "
            "a text, without append",
            f"{where}: system_prompt",
        )


def _check_flags(flags: set[str], options: Mapping[str, Any], where: str) -> None:
    """Refuses flags in ``claude_args`` that would undo an option, or that an option would undo."""
    label = f"{where}: claude_args"
    if options.get("worktree") and "--append-system-prompt" in flags:
        raise InputError(
            "--append-system-prompt would undo what a task is told about its worktree (the CLI "
            "takes the last one only): use the option 'system_prompt', as "
            '{"append": "…"}',
            label,
        )
    for flag, name in _OPTIONS_OF_FLAGS.items():
        if flag in flags and name in options:
            raise InputError(f"has {flag}, and the option {name!r} is set: use one of them", label)
