"""What has changed since earlier answers were given: the repository, the CLI, files of the folder.

None of it makes another request of a launch, so answers are reused, and the launch says what has
changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache

from cpr_nb.model import states
from cpr_nb.model.text import one_line
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.files import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.store.read import Snapshot

#: With more files than this in a folder, nobody looks whether they have changed.
MOST_FILES = 20_000
# What changes although nobody works there: the tool's own folders, and the notebook that launches.
_SKIPPED_FOLDERS = (".git", "__pycache__", ".ipynb_checkpoints")
_SKIPPED_ENDING = ".ipynb"


def changes_since(sessions: Iterable[Snapshot], plan: LaunchPlan) -> list[str]:
    """What has changed since sessions gave their answers, each in a few words.

    Args:
        sessions: The sessions. Of one that the user has not launched, nothing is read.
        plan: What is launched now.
    """
    phrases: dict[str, str] = {}  # the kind → the first one, by the oldest session
    repository = cache(_repository)
    for session in sorted(sessions, key=lambda one: str(one.head.get("created_at"))):
        authorship = read_authorship(session.paths)
        if not authorship.is_ours:
            continue
        spec = authorship.spec
        folder = str(spec.get("cwd") or "")
        now = repository(folder)
        phrases.setdefault("cli", _cli_phrase(spec, plan))
        phrases.setdefault("tree", _tree_phrase(read_json(session.paths.runner), now))
        if not now and session.state in states.ENDED_STATES and session.stat is not None:
            since_ns = session.stat.st_mtime_ns
            phrases.setdefault("files", _files_phrase(folder, since_ns, plan.results_dir))
        phrases = {kind: phrase for kind, phrase in phrases.items() if phrase}
    return list(phrases.values())


def _tree_phrase(before: dict[str, Any], now: dict[str, str]) -> str:
    if not before.get("git_tree") or not now or before["git_tree"] == now["git_tree"]:
        return ""
    old, new = str(before.get("git_commit"))[:7], now["git_commit"][:7]
    return f"the repository changed since ({old} → {new})"


def _cli_phrase(spec: dict[str, Any], plan: LaunchPlan) -> str:
    path, version = str(spec.get("claude_path")), spec.get("claude_version")
    if path != plan.claude_path:
        return f"another CLI gave the answers ({one_line(path, 200)})"
    if version and plan.claude_version and version != plan.claude_version:
        return f"the CLI changed since ({one_line(str(version), 40)} → {plan.claude_version})"
    return ""


def _files_phrase(folder: str, since_ns: int, results_dir: str) -> str:
    """New and changed files of a folder that is in no repository; deleted ones are not seen."""
    changed: list[tuple[int, str]] = []
    for n_files, entry in enumerate(_files(folder, os.path.realpath(results_dir))):
        if n_files == MOST_FILES:
            return f"{one_line(folder, 200)} has too many files to see what has changed since"
        changed_ns = entry.stat(follow_symlinks=False).st_ctime_ns
        if changed_ns >= since_ns:
            changed.append((changed_ns, os.path.relpath(entry.path, folder)))
    if not changed:
        return ""
    newest = one_line(max(changed)[1], 200)
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{newest}{others} changed since"


def _files(folder: str, skipped: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError:
        return
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            if not entry.name.endswith(_SKIPPED_ENDING):
                yield entry
        elif entry.name not in _SKIPPED_FOLDERS and os.path.realpath(entry.path) != skipped:
            yield from _files(entry.path, skipped)


def _repository(cwd: str) -> dict[str, str]:
    """The commit and the tree of a folder's repository; empty if it is in none."""
    import subprocess  # only where something is reused

    argv = ["git", "rev-parse", "HEAD", "HEAD^{tree}"]
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):  # no folder, no git, no repository
        return {}
    return dict(zip(("git_commit", "git_tree"), done.stdout.split(), strict=True))
