"""Which setting sources the tasks of a launch use: a repository nobody trusts brings none.

The CLI runs the hooks, servers and helpers of a repository's own files without a question. So its
tasks there read the settings of the user only (``--setting-sources user``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from cpr_nb.launching.claude_files import (
    WIDENING,
    ClaudeFile,
    claude_files,
    find_project,
    is_accepted,
    summary,
)
from cpr_nb.launching.cli_settings import MCP_FILE, SOURCES_FLAG, has_own_servers
from cpr_nb.launching.committed_files import committed_files
from cpr_nb.launching.repository_trust import Repository, trust_command
from cpr_nb.model.cli_versions import IGNORES_WIDENING_SINCE, parse_version
from cpr_nb.model.errors import InputError, NotTrusted
from cpr_nb.model.spec import TaskSpec
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.cli_versions import Version

#: What session.json says of such tasks.
USER_ONLY = {"setting_sources": "user"}
#: The options that decide which files the CLI reads for a task, and what follows.
_DECISIVE = (
    "cwd",
    "env",
    "claude_args",
    "strict_setup",
    "mcp_servers",
    "safe_mode",
    "light",
    "worktree",
)


class SettingSources:
    """What becomes of the files that repositories bring for Claude Code.

    Args:
        user_only: The ids of the tasks that use the settings of the user only.
        warnings: The lines that say so.
    """

    __slots__ = ("user_only", "warnings")

    def __init__(self, user_only: frozenset[str], warnings: list[str]) -> None:
        self.user_only = user_only
        self.warnings = warnings


def limit_sources(
    tasks: Iterable[TaskSpec],
    options: dict[str, Any],
    environ: Mapping[str, str],
    checkouts: Mapping[str, Mapping[str, str]],
    version: Version | None,
) -> SettingSources:
    """Decides which tasks use the settings of the user only, and keeps the deny rules for them.

    Args:
        tasks: The tasks; those that lose deny rules of a file get them as their own.
        options: The session's options, checked.
        environ: The environment that tasks inherit.
        checkouts: Task id → where its branch begins, for each task with a worktree.
        version: The version of the CLI, if it is known.

    Raises:
        InputError: If a task with ``strict_setup`` would lose something.
    """
    decided: dict[str, list[ClaudeFile]] = {}
    user_only, warnings = set(), dict[str, None]()
    for task in tasks:
        base = checkouts.get(task.task_id, {}).get("base", "")
        alike = repr([base, *(task.options.get(name) for name in _DECISIVE)])
        merged = {**options, **task.options}
        if alike not in decided:
            own = {**environ, **options.get("env", {}), **task.options.get("env", {})}
            files = _effective(_untrusted_files(merged, own, base), version)
            decided[alike] = files
            if files:
                line = _line(merged["cwd"], files)
                _refuse_if_strict(merged, line, task.where)
                warnings[line] = None
        files = decided[alike]
        if files:
            user_only.add(task.task_id)
            rules = [rule for file in files for rule in file.deny]
            if rules:  # what a file forbids holds, whoever wrote it
                task.options["deny"] = list(dict.fromkeys([*merged.get("deny", ()), *rules]))
    return SettingSources(frozenset(user_only), list(warnings))


def check_sources(spec: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Refuses to go on where a repository's files would run what nobody has trusted.

    What was launched says which tasks use them. They may have changed since, and a session that
    somebody else launched has never been asked.

    Args:
        spec: The session's session.json.
        environ: The environment that tasks inherit.

    Raises:
        NotTrusted: If a task would run such a thing.
    """
    decided = set()
    version = parse_version(str(spec.get("claude_version")))
    for task in spec["tasks"]:
        options = {"cwd": spec["cwd"], **spec["options"], **task.get("options", {})}
        base = task.get("checkout", {}).get("base", "") if os.path.isdir(options["cwd"]) else ""
        alike = repr([base, *(options.get(name) for name in _DECISIVE)])
        if alike in decided or _is_user_only(spec) or _is_user_only(task):
            continue
        decided.add(alike)
        files = _effective(_untrusted_files(options, environ, base), version)
        if files:
            raise NotTrusted(_refusal(options["cwd"], files), options["cwd"])


def _is_user_only(stored: Mapping[str, Any]) -> bool:
    return {**stored, **USER_ONLY} == stored


def _untrusted_files(
    options: Mapping[str, Any], environ: Mapping[str, str], base: str
) -> list[ClaudeFile]:
    """The files that a task must not use; none if all is trusted, or they can't run anything."""
    folder = options["cwd"]
    if any(arg.split("=", 1)[0] == SOURCES_FLAG for arg in options.get("claude_args", ())):
        return []  # the caller says it
    here = claude_files(folder, environ)
    files = committed_files(folder, base, here) if base else here
    if base and "worktree_dir" in options:  # the CLI reads .mcp.json of all folders above
        files += claude_files(options["worktree_dir"], environ)
    if has_own_servers(options):
        files = [file for file in files if not file.path.endswith(MCP_FILE)]
    if not any(file.parts for file in files) or is_accepted(find_project(folder), environ):
        return []
    repository = Repository(folder, environ)
    known = {(file.path, file.data) for file in repository.files}
    is_known = all((file.path, file.data) in known for file in files if file.parts)
    return [] if is_known and repository.is_trusted else files


def _effective(files: list[ClaudeFile], version: Version | None) -> list[ClaudeFile]:
    """The files, if there is anything in them that this version of the CLI would use; else none."""
    ignored = WIDENING if version and version >= IGNORES_WIDENING_SINCE else frozenset[str]()
    kinds = {kind for file in files for kind, _ in file.parts}
    return files if kinds - ignored else []


def _refuse_if_strict(options: Mapping[str, Any], line: str, where: str) -> None:
    if options.get("strict_setup"):
        raise InputError(f"{line} (strict_setup is set)", where)


def _line(folder: str, files: Iterable[ClaudeFile]) -> str:
    return f"🔒 not used until you trust it: {_what(files)}   ({trust_command(folder)})"


def _refusal(folder: str, files: Iterable[ClaudeFile]) -> str:
    return (
        f"nobody here has trusted what its tasks would use: {_what(files)}\n"
        f"  {trust_command(folder)}   shows it and asks   (in Python: cpr.trust())"
    )


def _what(files: Iterable[ClaudeFile]) -> str:
    names = ", ".join(file.path for file in files if file.parts)
    return f"{summary(files)} of {one_line(names)}"
