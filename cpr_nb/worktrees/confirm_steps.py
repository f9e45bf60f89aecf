"""The single steps that confirm a worktree: each refuses one way in which a record may not fit."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from cpr_nb.worktrees import records
from cpr_nb.worktrees.discovery import common_dir_of, is_mine, read_git_file, read_path
from cpr_nb.worktrees.git_command import shared_git
from cpr_nb.worktrees.own_repository import OwnRepository, Unconfirmed, is_within
from cpr_nb.worktrees.records import Owner
from cpr_nb.worktrees.repo import registered_worktrees
from cpr_nb.worktrees.worktree import Worktree

#: Names that are no child of a folder.
_NO_NAMES = ("", ".", "..")


class Claim(NamedTuple):
    """What a record says about a worktree, and the task whose record it is.

    Args:
        worktree: The worktree, as the record has it.
        owner: The task, with the folder in which its session is now.
    """

    worktree: Worktree
    owner: Owner


def check_admin_place(worktree: Worktree, repository: OwnRepository) -> None:
    """Refuses a worktree's git directory that is not where git makes them; it may be gone."""
    parent, name = os.path.split(worktree.admin_dir)
    if not _is_same(parent, f"{repository.common_dir}/worktrees") or name in _NO_NAMES:
        raise Unconfirmed(f"{worktree.admin_dir or '-'} is no worktree of {repository.common_dir}")


def check_admin_dir(worktree: Worktree, repository: OwnRepository) -> None:
    """Refuses a worktree's git directory that is not where git makes them, or is a link."""
    if not os.path.lexists(worktree.admin_dir):
        raise Unconfirmed(f"git no longer knows {worktree.path}: delete it by hand")
    check_admin_place(worktree, repository)
    if not _is_own_folder(worktree.admin_dir):
        raise Unconfirmed(f"{worktree.admin_dir} is no folder of yours")


def check_folder(worktree: Worktree, repository: OwnRepository) -> None:
    """Refuses a folder that is reached by a link, another user's, or that holds what we need."""
    path = worktree.path
    if not os.path.lexists(path):
        return
    if os.path.realpath(path) != path:
        raise Unconfirmed(f"there is a symbolic link in {path}")
    if not _is_own_folder(path):
        raise Unconfirmed(f"{path} is no folder of yours")
    for place in repository.protected:
        if is_within(place, path):
            raise Unconfirmed(f"{path} holds {place}")


def check_repository_names_folder(worktree: Worktree, repository: OwnRepository) -> None:
    """Refuses a folder that is not the one that git has for this worktree."""
    folder, name = os.path.split(read_path(f"{worktree.admin_dir}/gitdir") or "")
    if name != ".git" or not _is_same(folder, worktree.path):
        where = folder or "no folder"
        raise Unconfirmed(f"git has this worktree in {where}, not in {worktree.path}")
    if common_dir_of(worktree.admin_dir) != repository.common_dir:
        raise Unconfirmed(f"{worktree.admin_dir} leads to another repository")


def check_folder_names_repository(worktree: Worktree) -> None:
    """Refuses a folder that is no longer linked to its repository."""
    if not os.path.lexists(worktree.path):
        return
    admin_dir = read_git_file(f"{worktree.path}/.git")
    if admin_dir is None:
        raise Unconfirmed(f"{worktree.path} is not linked to its repository (git worktree repair)")
    if not _is_same(admin_dir, worktree.admin_dir):
        raise Unconfirmed(f"{worktree.path} is a worktree of {admin_dir}")


def check_branch(claim: Claim, repository: OwnRepository) -> None:
    """Refuses a branch that the repository's own record does not give to this task."""
    branch, owner = claim.worktree.branch, claim.owner
    record = records.read_branch(repository.common_dir, branch)
    if record is None or not record.belongs_to(owner.session_id, owner.task_id):
        raise Unconfirmed(f"{repository.common_dir} has no record of {branch} for {owner.label}")


def check_mark(claim: Claim) -> None:
    """Refuses a worktree whose mark in the repository is not that of this task."""
    mark = records.read_mark(claim.worktree.admin_dir)
    if not mark:
        raise Unconfirmed(f"{claim.worktree.path} was not made for a task")
    marked = Owner(str(mark.get("session_id")), str(mark.get("task_id")), "")
    if not claim.owner.is_task(marked.session_id, marked.task_id):
        raise Unconfirmed(f"{marked.label} has continued in {claim.worktree.path}")


def check_empty(worktree: Worktree) -> None:
    """Refuses a folder that holds anything but a link to its repository."""
    if os.path.isdir(worktree.path) and set(os.listdir(worktree.path)) - {".git"}:
        raise Unconfirmed(f"{worktree.path} holds files, and is not marked as a task's worktree")


def check_registered(worktree: Worktree, repository: OwnRepository) -> None:
    """Refuses a folder that git's own list lacks, or has as the main checkout."""
    for registered in registered_worktrees(shared_git(repository.common_dir)):
        if _is_same(registered.path, worktree.path):
            if not registered.is_main:
                return
            raise Unconfirmed(f"{worktree.path} is the main checkout")
    raise Unconfirmed(f"git does not list {worktree.path} as a worktree")


def _is_own_folder(path: str) -> bool:
    return is_mine(path) and stat.S_ISDIR(os.lstat(path).st_mode)


def _is_same(left: str, right: str) -> bool:
    return left == right or os.path.realpath(left) == os.path.realpath(right)
