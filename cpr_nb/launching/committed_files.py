"""The files of Claude Code that a task's worktree will have: those of the commit it begins with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from cpr_nb.launching.claude_files import NAMES, ClaudeFile, claude_file, find_project


def committed_files(folder: str, commit: str, here: Iterable[ClaudeFile]) -> list[ClaudeFile]:
    """The files that the CLI would read in a worktree, and that could run or allow something.

    Args:
        folder: The folder of the task, from which the worktree is made.
        commit: The commit that its branch begins with.
        here: The files of the folder itself: those that are not in the commit count, too. Files
            that git ignores may be copied, and those above the repository hold for both.

    Returns:
        The files, under the paths that they have in the repository.
    """
    from cpr_nb.worktrees.git_command import Git

    top = find_project(folder).top
    inside = os.path.relpath(os.path.realpath(folder), top)
    places = [f"{place}{name}" for place in _downwards(inside) for name in NAMES]
    feed = "".join(f"{commit}:{place}\n" for place in places).encode(errors="surrogateescape")
    out = Git(top).run("cat-file", "--batch", "--follow-symlinks", feed=feed).out
    found = dict(_answers(out, [f"{top}/{place}" for place in places]))
    files = [claude_file(path, data) for path, data in found.items()]
    others = [file for file in here if file.path not in found]
    return [file for file in (*files, *others) if file.parts or file.deny]


def _downwards(inside: str) -> Iterator[str]:
    """The folders from the top of a repository down to one in it, with slashes at their ends."""
    names = [] if inside == "." else inside.split("/")
    for n_names in range(len(names) + 1):
        yield "".join(f"{name}/" for name in names[:n_names])


def _answers(out: bytes, paths: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """The content of each file that the commit has; None where it leads out of the commit."""
    for path in paths:
        head, _, out = out.partition(b"\n")
        words = head.rsplit(b" ", 2)
        if words[-1] == b"missing":
            continue
        n_bytes = int(words[-1])
        data, out = out[:n_bytes], out[n_bytes + 1 :]
        if words[0] != b"notdir":
            yield path, data if words[1] == b"blob" else None
