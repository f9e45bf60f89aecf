"""Confirms what a session's folder claims about a worktree, from the side of its repository.

A record in a session's folder is no authority: whoever can write there could name any folder to be
deleted, and any repository in which git runs what its configuration names. The repository is that
of the folder that the task was launched for. What its git directory holds decides.
"""

from __future__ import annotations

import os

from cpr_nb.worktrees.confirm_steps import (
    Claim,
    check_admin_dir,
    check_admin_place,
    check_branch,
    check_empty,
    check_folder,
    check_folder_names_repository,
    check_mark,
    check_repository_names_folder,
)
from cpr_nb.worktrees.discovery import read_git_file
from cpr_nb.worktrees.own_repository import OwnRepository
from cpr_nb.worktrees.worktree import Worktree


def confirm_worktree(claim: Claim, repository: OwnRepository) -> None:
    """Confirms that a worktree is that of a record's task.

    Args:
        claim: The record.
        repository: Its repository, which is confirmed.

    Raises:
        Unconfirmed: If it is not.
    """
    check_admin_dir(claim.worktree, repository)
    check_folder(claim.worktree, repository)
    check_repository_names_folder(claim.worktree, repository)
    check_folder_names_repository(claim.worktree)
    check_branch(claim, repository)
    check_mark(claim)


def confirm_half_made(claim: Claim, repository: OwnRepository) -> None:
    """Confirms what a killed git has left of a worktree: nothing was in it yet but its link.

    Args:
        claim: The record.
        repository: Its repository, which is confirmed.

    Raises:
        Unconfirmed: If there may be anything else.
    """
    worktree = claim.worktree
    check_admin_dir(worktree, repository)
    check_folder(worktree, repository)
    check_branch(claim, repository)
    if os.path.lexists(f"{worktree.admin_dir}/gitdir"):
        check_repository_names_folder(worktree, repository)
    if os.path.lexists(f"{worktree.path}/.git"):
        check_folder_names_repository(worktree)
    check_empty(worktree)


def confirm_temporary(worktree: Worktree, repository: OwnRepository) -> None:
    """Confirms a checkout of ours that belongs to no task, in a place that no record names.

    Raises:
        Unconfirmed: If it is something else.
    """
    check_admin_dir(worktree, repository)
    check_folder(worktree, repository)
    if os.path.lexists(f"{worktree.admin_dir}/gitdir"):
        check_repository_names_folder(worktree, repository)
        check_folder_names_repository(worktree)
    else:
        check_empty(worktree)


def confirm_content(claim: Claim, repository: OwnRepository) -> None:
    """Confirms that what is in a folder may be saved as a task's work.

    The agent may have removed the link in the folder, or what the repository knows of it, but not
    both.

    Args:
        claim: The record.
        repository: Its repository, which is confirmed.

    Raises:
        Unconfirmed: If it is not the task's folder.
    """
    worktree = claim.worktree
    check_folder(worktree, repository)
    check_branch(claim, repository)
    if worktree.has_admin:
        check_admin_dir(worktree, repository)
        check_repository_names_folder(worktree, repository)
    else:
        check_admin_place(worktree, repository)
        check_folder_names_repository(worktree)


def confirm_aside(aside: str, worktree: Worktree, repository: OwnRepository) -> None:
    """Confirms a folder that was moved aside to be deleted: only its link tells whose it is.

    Raises:
        Unconfirmed: If it is anything else.
    """
    check_folder(worktree._replace(path=aside), repository)
    admin_dir = read_git_file(f"{aside}/.git")
    if admin_dir is None and not os.listdir(aside):
        return
    moved = worktree._replace(admin_dir=admin_dir or "")
    check_admin_place(moved, repository)
    if os.path.lexists(moved.admin_dir):
        check_repository_names_folder(moved, repository)
