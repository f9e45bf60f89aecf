"""Which tasks may share a CLI process with others, and why a task has one of its own."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: With these, `/clear` between two tasks is refused, or what a hook of one task allows could stay
#: allowed in the next.
_OWN_PROCESS_FLAGS = ("--disable-slash-commands", "--permission-prompt-tool")

#: The options that only the runner heeds: tasks that differ in them share a process.
_OF_THE_RUNNER = frozenset(
    (
        *("timeout_s", "silence_s", "first_byte_s", "linger_s", "attempts", "fail_on_denied"),
        *("check", "check_timeout_s"),
    )
)


def own_process_reason(
    prompt: str, options: Mapping[str, Any], *, has_own_env: bool, follows: bool
) -> str:
    """Why a task can't share a process with others.

    Args:
        prompt: Its prompt.
        options: The session's options with the task's own on top, checked.
        has_own_env: Whether it has environment variables of its own.
        follows: Whether it goes on with a conversation.

    Returns:
        What of the task it is; empty if it may share a process.

    Example:
        >>> own_process_reason("/review it", {}, has_own_env=False, follows=False)
        "prompt that begins with '/'"
        >>> own_process_reason("Fix it", {}, has_own_env=False, follows=False)
        ''
    """
    for name in ("worktree", "ask"):
        if options.get(name):
            return name
    if has_own_env:
        return "env of a task"
    if follows:
        return "conversation that goes on"
    if prompt.startswith("/"):  # the CLI would run it as a command, which may change the process
        return "prompt that begins with '/'"
    flags = [argument.partition("=")[0] for argument in options.get("claude_args", ())]
    return next((flag for flag in _OWN_PROCESS_FLAGS if flag in flags), "")


def group_key(task: dict[str, Any]) -> str:
    """What a process fixes of a task, beside what the session's options fix for all.

    Args:
        task: Its object in session.json.

    Example:
        >>> group_key({"id": "t1", "prompt": "Hi", "options": {"model": "opus", "attempts": 3}})
        '[{"model": "opus"}, null]'
    """
    own = {k: v for k, v in task.get("options", {}).items() if k not in _OF_THE_RUNNER}
    return json.dumps([own, task.get("setting_sources")], sort_keys=True)
