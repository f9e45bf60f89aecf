"""A worktree with its records, and every way in which one of them can be forged or broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cpr_nb.worktrees import records
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.records import BranchRecord, Owner
from cpr_nb.worktrees.worktree import Worktree
from testkit.repository import Checkout

BRANCH = "main-task-docs"


class Scene:
    """A repository, a task's worktree beside it, and what the task's session says of both.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = folder / "results" / "session-s-1"
        self.session.mkdir(parents=True)
        (self.session / "session.json").touch()
        self.repo = Checkout.new(folder / "shop")
        self.repo.commit("first", {"a.txt": "a\n", "sub/b.txt": "b\n"})
        self.owner = Owner("s-1", "docs", str(self.session))
        self.cwd = self.repo.path
        self.worktree = self.add(self.repo, folder / "shop-worktrees" / BRANCH, BRANCH, self.owner)

    def add(self, repo: Checkout, path: Path, branch: str, owner: Owner | None) -> Worktree:
        """Adds a worktree; of a task if it has an owner, else as a user does."""
        repo.git("worktree", "add", "-q", "-b", branch, str(path))
        git_dir = repo.path / ".git"
        admin = git_dir / "worktrees" / path.name
        if owner is not None:
            records.write_branch(str(git_dir), BranchRecord(branch, repo.head, (owner,)))
            records.write_mark(str(admin), owner, 20_000)
        return Worktree(str(git_dir), str(path), str(admin), branch, repo.head)

    @property
    def path(self) -> Path:
        """The worktree's folder, as its record names it."""
        return Path(self.worktree.path)

    @property
    def admin(self) -> Path:
        """The worktree's git directory, as its record names it."""
        return Path(self.worktree.admin_dir)

    @property
    def git_dir(self) -> Path:
        """The repository's git directory, as the record names it."""
        return Path(self.worktree.common_dir)

    @property
    def claim(self) -> Claim:
        """What the record says."""
        return Claim(self.worktree, self.owner)

    def forge(self, **fields: object) -> None:
        """Writes something else into the record."""
        self.worktree = self.worktree._replace(**{name: str(v) for name, v in fields.items()})


class Forgery(NamedTuple):
    """One way in which a record does not fit.

    Args:
        step: Which step refuses it.
        words: What the user reads.
        make: Makes it so.
    """

    step: str
    words: str
    make: Callable[[Scene], None]


# -- the repository -------------------------------------------------------------------------


def another_repository(scene: Scene) -> None:
    """With records that fit in every other way: the whole scene, a second time."""
    other = Scene(scene.folder / "other")
    scene.worktree = other.worktree


def in_results(scene: Scene) -> None:
    other = Scene(scene.session.parent / "sent")
    scene.worktree, scene.cwd = other.worktree, other.cwd


def in_another_session(scene: Scene) -> None:
    sent = scene.folder / "cloned" / "results" / "session-x"
    other = Scene(sent)
    (sent / "status.json").touch()
    scene.worktree, scene.cwd = other.worktree, other.cwd


def in_a_worktree(scene: Scene) -> None:
    """The agent has made a repository in its worktree, and the user stands in it."""
    other = Scene(scene.path / "nested")
    scene.worktree, scene.cwd = other.worktree, other.cwd


def redirected(scene: Scene) -> None:
    """The record fits where the user's repository is led to."""
    other = Scene(scene.folder / "other")
    (scene.git_dir / "commondir").write_text(f"{other.git_dir}\n")
    scene.worktree = other.worktree


def without_head(scene: Scene) -> None:
    (scene.git_dir / "HEAD").unlink()


def no_repository(scene: Scene) -> None:
    scene.cwd = scene.folder / "plain"
    scene.cwd.mkdir()


def cwd_of_another(scene: Scene) -> None:
    other = Checkout.new(scene.folder / "user")
    other.commit("first", {"u.txt": "u\n"})
    scene.cwd = other.path


# -- its git directory ----------------------------------------------------------------------


def admin_elsewhere(scene: Scene) -> None:
    copy = scene.folder / "worktrees" / BRANCH
    shutil.copytree(scene.admin, copy)
    (copy / "commondir").write_text(f"{scene.git_dir}\n")
    (scene.path / ".git").write_text(f"gitdir: {copy}\n")
    scene.forge(admin_dir=copy)


def admin_too_deep(scene: Scene) -> None:
    copy = scene.admin / "worktrees" / "deep"
    shutil.copytree(scene.admin, copy)
    scene.forge(admin_dir=copy)


def admin_is_parent(scene: Scene) -> None:
    scene.forge(admin_dir=f"{scene.admin.parent}/..")


def admin_is_link(scene: Scene) -> None:
    aside = scene.folder / "aside"
    scene.admin.rename(aside)
    scene.admin.symlink_to(aside)


def admin_gone(scene: Scene) -> None:
    shutil.rmtree(scene.admin)


def admin_of_another_repository(scene: Scene) -> None:
    other = Scene(scene.folder / "other")
    (scene.admin / "commondir").write_text(f"{other.git_dir}\n")


# -- its folder -----------------------------------------------------------------------------


def folder_is_link(scene: Scene) -> None:
    aside = scene.folder / "aside"
    scene.path.rename(aside)
    scene.path.symlink_to(aside)


def folder_behind_link(scene: Scene) -> None:
    link = scene.folder / "link"
    link.symlink_to(scene.path.parent)
    scene.forge(path=link / BRANCH)


def folder_is_home(scene: Scene) -> None:
    _move(scene, Path.home())


def folder_holds_repository(scene: Scene) -> None:
    _move(scene, scene.repo.path)


def folder_holds_results(scene: Scene) -> None:
    _move(scene, scene.session.parent)


def _move(scene: Scene, path: Path) -> None:
    """All records agree that the worktree is there."""
    (scene.admin / "gitdir").write_text(f"{path}/.git\n")
    if not (path / ".git").exists():
        (path / ".git").write_text(f"gitdir: {scene.admin}\n")
    scene.forge(path=path)


def plain_folder(scene: Scene) -> None:
    precious = scene.folder / "precious"
    precious.mkdir()
    scene.forge(path=precious)


def moved_by_git(scene: Scene) -> None:
    scene.repo.git("worktree", "move", str(scene.path), str(scene.folder / "moved"))
    scene.path.mkdir()


def replaced_by_folder(scene: Scene) -> None:
    shutil.rmtree(scene.path)
    scene.path.mkdir()
    (scene.path / "own.txt").write_text("mine\n")


def replaced_by_repository(scene: Scene) -> None:
    shutil.rmtree(scene.path)
    Checkout.new(scene.path)


def linked_to_another(scene: Scene) -> None:
    other = Scene(scene.folder / "other")
    (scene.path / ".git").write_text(f"gitdir: {other.admin}\n")


# -- whose it is ----------------------------------------------------------------------------


def branch_of_the_user(scene: Scene) -> None:
    scene.forge(branch="main")


def branch_of_another_task(scene: Scene) -> None:
    other = Owner("s-1", "other", str(scene.session))
    worktree = scene.add(scene.repo, scene.folder / "w" / "other", "main-task-other", other)
    scene.worktree = worktree


def worktree_of_the_user(scene: Scene) -> None:
    own = scene.add(scene.repo, scene.folder / "w" / "own", "own", None)
    scene.forge(path=own.path, admin_dir=own.admin_dir)


def worktree_of_another_task(scene: Scene) -> None:
    other = Owner("s-1", "other", str(scene.session))
    worktree = scene.add(scene.repo, scene.folder / "w" / "other", "main-task-other", other)
    scene.forge(path=worktree.path, admin_dir=worktree.admin_dir)


def mark_of_another_session(scene: Scene) -> None:
    mark = scene.admin / "cpr"
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"session_id": "s-2"}))


def no_branch_record(scene: Scene) -> None:
    records.forget_branch(str(scene.git_dir), BRANCH)


def unreadable_for_git(scene: Scene) -> None:
    scene.repo.git("config", "core.repositoryFormatVersion", "99")


FORGERIES = [
    Forgery("repository", "its record names", another_repository),
    Forgery("repository", "its record names", cwd_of_another),
    Forgery("repository", "is inside a results directory", in_results),
    Forgery("repository", "is inside a results directory", in_another_session),
    Forgery("repository", "is inside a task's worktree", in_a_worktree),
    Forgery("repository", "is redirected to another git directory", redirected),
    Forgery("repository", "is no git repository", without_head),
    Forgery("repository", "is in no git repository", no_repository),
    Forgery("admin_dir", "is no worktree of", admin_elsewhere),
    Forgery("admin_dir", "is no worktree of", admin_too_deep),
    Forgery("admin_dir", "is no worktree of", admin_is_parent),
    Forgery("admin_dir", "is no folder of yours", admin_is_link),
    Forgery("admin_dir", "git no longer knows", admin_gone),
    Forgery("folder", "there is a symbolic link in", folder_is_link),
    Forgery("folder", "there is a symbolic link in", folder_behind_link),
    Forgery("folder", " holds ", folder_is_home),
    Forgery("folder", " holds ", folder_holds_repository),
    Forgery("folder", " holds ", folder_holds_results),
    Forgery("links", "git has this worktree in", plain_folder),
    Forgery("links", "git has this worktree in", moved_by_git),
    Forgery("links", "leads to another repository", admin_of_another_repository),
    Forgery("links", "is not linked to its repository", replaced_by_folder),
    Forgery("links", "is not linked to its repository", replaced_by_repository),
    Forgery("links", "is a worktree of", linked_to_another),
    Forgery("owner", "has no record of main for", branch_of_the_user),
    Forgery("owner", "has no record of main-task-other for", branch_of_another_task),
    Forgery("owner", "has no record of main-task-docs for", no_branch_record),
    Forgery("owner", "was not made for a task", worktree_of_the_user),
    Forgery("owner", "task other of session s-1 has continued in", worktree_of_another_task),
    Forgery("owner", "task docs of session s-2 has continued in", mark_of_another_session),
    Forgery("git", "", unreadable_for_git),
]
