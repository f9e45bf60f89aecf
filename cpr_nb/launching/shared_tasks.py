"""Which tasks of a launch share CLI processes: what is refused, and what the user should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from cpr_nb.launching.cli_cache import CliRecord
from cpr_nb.model.cli_versions import SHARES_SINCE
from cpr_nb.model.errors import InputError
from cpr_nb.model.sharing import own_process_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.spec import TaskSpec

#: A start of the CLI costs as much CPU as six tasks in a shared process. With fewer tasks than
#: these, nobody waits long for it.
_MENTIONED_FROM = 100


def check_sharing(options: dict[str, Any], tasks: Sequence[TaskSpec]) -> list[str]:
    """Checks ``share_process``; leaves it out if no task can share a process.

    Args:
        options: The session's options, checked.
        tasks: Its tasks.

    Returns:
        A line for the user if tasks have a process of their own all the same.

    Raises:
        InputError: If the tasks are to be compared: served and other prompts are not equal.
    """
    if not options.get("share_process"):
        return []
    if any(task.origin.get("factors") for task in tasks):
        raise InputError(
            "can't be combined with vary or repeats: the CLI puts some hundred characters before "
            "the prompt of a task that shares a process, and not before that of another one, so "
            "they can't be compared; leave out one of both, or pass share_process=False",
            "share_process",
        )
    reasons = _own_process_reasons(options, tasks)
    n_own = reasons.total()
    if not n_own:
        return []
    if n_own == len(tasks):
        del options["share_process"]
    whose = f"{n_own} of {len(tasks)} tasks have a process of their own"
    if n_own == len(tasks):
        whose = "each task has a process of its own"
    shown = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
    return [f"share_process: {whose}, because of: {shown}"]


def mention_sharing(
    options: Mapping[str, Any],
    tasks: Sequence[TaskSpec],
    claude_path: str,
    environ: Mapping[str, str],
) -> list[str]:
    """Mentions ``share_process`` where many tasks could share: once for each version of the CLI.

    Args:
        options: The session's options, checked. ``share_process=False`` is an answer, too.
        tasks: Its tasks.
        claude_path: The path of the CLI.
        environ: The environment that tasks inherit.

    Returns:
        A line for the user, or nothing.
    """
    if len(tasks) < _MENTIONED_FROM or "share_process" in options:
        return []
    record = CliRecord(claude_path, environ)
    if record.facts.get("sharing_mentioned") or (record.version or SHARES_SINCE) < SHARES_SINCE:
        return []
    n_sharing = len(tasks) - _own_process_reasons(options, tasks).total()
    if n_sharing < _MENTIONED_FROM or any(task.origin.get("factors") for task in tasks):
        return []
    if not record.keep(sharing_mentioned=True):
        return []  # it would be said at each launch
    return [
        f"💡 {n_sharing} tasks could share CLI processes: --share-process (share_process=True) "
        "starts a few instead of one for each task, and short tasks end sooner; see docs/sharing.md"
    ]


def _own_process_reasons(options: Mapping[str, Any], tasks: Iterable[TaskSpec]) -> Counter[str]:
    """Why tasks can't share a process → how many of them."""
    reasons = (
        own_process_reason(
            task.prompt,
            {**options, **task.options} if task.options else options,
            has_own_env="env" in task.options,
            follows="follows" in task.origin,
        )
        for task in tasks
    )
    return Counter(reason for reason in reasons if reason)
