"""Refuses a launch that this version of the CLI can't carry out, before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from cpr_nb.launching.cli_cache import CliRecord, read_record
from cpr_nb.model.cli_versions import (
    NEWEST_TESTED,
    OLDEST_SUPPORTED,
    PLAIN_FOLDERS_SINCE,
    depends_on_version,
    may_ask_endlessly,
    show,
    unmet_need,
)
from cpr_nb.model.errors import InputError
from cpr_nb.model.spec import TaskSpec
from cpr_nb.store.state_dir import state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.cli_versions import Version

_PATTERN = frozenset("*?[]{}")
_UPDATE = "update it (claude update, or pip install -U claude-agent-sdk), or name another one"


class CheckedCli:
    """The CLI of a launch.

    Args:
        version: Its version; None if it does not say.
        warnings: What the user should know before the launch.
    """

    __slots__ = ("version", "warnings")

    def __init__(self, version: Version | None, warnings: list[str]) -> None:
        self.version = version
        self.warnings = warnings


def check_cli(
    claude_path: str,
    environ: Mapping[str, str],
    options: Mapping[str, Any],
    tasks: Iterable[TaskSpec],
) -> CheckedCli:
    """Checks that the CLI can do what the tasks ask.

    Args:
        claude_path: Its path.
        environ: The environment that tasks inherit.
        options: The session's options, checked.
        tasks: The tasks.

    Returns:
        Its version, and warnings.

    Raises:
        InputError: If it can't; the message names the version that can.
    """
    record = read_record(claude_path, environ)
    version = record.version
    if version is None:
        return CheckedCli(None, _unknown_version(claude_path, options, tasks))
    for task in _different(tasks):
        _check_task(claude_path, version, {**options, **task.options}, task)
    if version < OLDEST_SUPPORTED:
        raise InputError(
            f"cpr_nb needs Claude Code {show(OLDEST_SUPPORTED)} or newer; {claude_path} is "
            f"{show(version)}: {_UPDATE}"
        )
    return CheckedCli(version, _warnings(claude_path, version, record))


def check_sandboxed_folders(
    version: Version | None,
    results_dir: str,
    options: Mapping[str, Any],
    tasks: Iterable[TaskSpec],
) -> None:
    """Checks that the sandbox of this version can keep commands off the folders of the tasks.

    Raises:
        InputError: If the name of one is a pattern to it.
    """
    if version is None or version >= PLAIN_FOLDERS_SINCE:
        return
    for task in _different(tasks):
        merged = {**options, **task.options}
        if merged.get("permissions") == "sandbox":
            for folder in (results_dir, state_dir(), merged["cwd"]):
                if not _PATTERN.isdisjoint(os.path.realpath(folder)):
                    raise InputError(
                        f"the sandbox of Claude Code {show(version)} can't protect {folder}, for "
                        f"its name is a pattern to it: rename it, or {_UPDATE}",
                        task.where,
                    )


def _different(tasks: Iterable[TaskSpec]) -> Iterator[TaskSpec]:
    """The tasks that may ask for different things: of those without options only the first."""
    n_plain = 0
    for task in tasks:
        is_plain = not task.options and "follows" not in task.origin
        n_plain += is_plain
        if not is_plain or n_plain == 1:
            yield task


def _check_task(
    claude_path: str, version: Version, options: Mapping[str, Any], task: TaskSpec
) -> None:
    need = unmet_need(version, options, is_follow_up="follows" in task.origin)
    if need is not None:
        raise InputError(f"{need}; {claude_path} is {show(version)}: {_UPDATE}", task.where)
    if may_ask_endlessly(version, options):
        raise InputError(
            f"schema needs task_budget_usd with Claude Code {show(version)} ({claude_path}): if "
            "the model never gives the structure, this version asks for it without end, and "
            f"only a budget stops it. Set task_budget_usd; or {_UPDATE}",
            task.where,
        )


def _warnings(claude_path: str, version: Version, record: CliRecord) -> list[str]:
    """What the probe found in this program; or, once, that it was never tried."""
    subject = f"Claude Code {show(version)} ({claude_path})"
    probe = record.facts.get("probe")
    if isinstance(probe, dict):
        broken = [str(name) for name in probe.get("broken") or ()]
        words = f"{subject} breaks what cpr promises: {', '.join(broken)}; see cpr doctor --probe"
        return [words] if broken else []
    if version <= NEWEST_TESTED or record.facts.get("newness_reported"):
        return []
    record.keep(newness_reported=True)
    return [
        f"{subject} is newer than {show(NEWEST_TESTED)}, the newest that this release of cpr_nb "
        "was tested with: cpr doctor --probe tries it in about a minute, without an account"
    ]


def _unknown_version(
    claude_path: str, options: Mapping[str, Any], tasks: Iterable[TaskSpec]
) -> list[str]:
    """A warning if something in the launch depends on the version."""
    if not any(
        depends_on_version({**options, **task.options}, is_follow_up="follows" in task.origin)
        for task in _different(tasks)
    ):
        return []
    return [
        f"{claude_path} --version does not name a version of Claude Code, so it is not known "
        "whether it can do all that these tasks ask"
    ]
