"""Brings what a carrier holds into a worktree: its branch, its HEAD, its files."""

from __future__ import annotations

import os

from cpr_nb.worktrees.carrier import Carrier
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.removing import install_index
from cpr_nb.worktrees.saving import read_content
from cpr_nb.worktrees.worktree import Worktree


def restore(worktree: Worktree, carrier: Carrier, folder: str) -> None:
    """Makes a worktree hold what a carrier holds.

    What was there is replaced, but for ignored files. All that is in no commit is staged: so it
    stays, whatever is ignored here.

    Args:
        worktree: The worktree; its repository has the carrier.
        carrier: What it is to hold.
        folder: An empty folder for temporary files.

    Raises:
        GitFailed: If git can't do it.
    """
    # git deletes only what its index has: it must have what the folder has.
    content = read_content(worktree, folder, {}, 0)
    install_index(worktree, content.index_path)
    git = worktree.git()
    git.run("update-ref", "-m", "cpr", f"refs/heads/{worktree.branch}", carrier.tip)
    if carrier.is_on_branch:
        git.run("symbolic-ref", "-m", "cpr", "HEAD", f"refs/heads/{worktree.branch}")
    else:
        git.run("update-ref", "--no-deref", "-m", "cpr", "HEAD", carrier.head)
    git.run("read-tree", "--reset", "-u", carrier.commit)
    _restore_merge(worktree, git, carrier)


def _restore_merge(worktree: Worktree, git: Git, carrier: Carrier) -> None:
    """A merge that was done, but not committed, will be committed as one."""
    path = f"{worktree.admin_dir}/MERGE_HEAD"
    if carrier.merged:
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"{commit}\n" for commit in carrier.merged)
    elif os.path.exists(path):
        os.unlink(path)
