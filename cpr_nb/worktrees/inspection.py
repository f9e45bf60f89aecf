"""What a worktree is like that an agent has left: nothing here changes it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from cpr_nb.worktrees.repo import Git, GitFailed

#: A file or folder in a worktree's git directory → what is in progress while it is there.
_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


class Place(NamedTuple):
    """A task's worktree and the repository that it belongs to.

    Args:
        common_dir: The git directory that all worktrees share.
        path: The worktree's folder; it may be gone.
        admin_dir: The worktree's own git directory; it may be gone.
        branch: The task's branch.
        base_commit: Where that began.
    """

    common_dir: str
    path: str
    admin_dir: str
    branch: str
    base_commit: str

    @property
    def has_folder(self) -> bool:
        """Whether the folder is there."""
        return os.path.isdir(self.path)

    @property
    def has_admin(self) -> bool:
        """Whether its own git directory is there."""
        return bool(self.admin_dir) and os.path.isfile(f"{self.admin_dir}/HEAD")

    @property
    def git_dir(self) -> str:
        """The git directory with which to read and save what is in the folder."""
        return self.admin_dir if self.has_admin else self.common_dir

    def git(self, index: str = "") -> Git:
        """Git on this folder, whatever its ``.git`` has become."""
        folder = self.path if self.has_folder else self.git_dir
        return Git(folder, git_dir=self.git_dir, index=index)


def find_admin_dir(common_dir: str, path: str) -> str:
    """The git directory of a worktree, also of one that a killed git has half made; or empty."""
    folder, half_made = f"{common_dir}/worktrees", ""
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        admin = f"{folder}/{name}"
        try:
            with open(f"{admin}/gitdir", "rb") as file:
                link = os.path.join(admin, os.fsdecode(file.read()).rstrip("\n"))
        except OSError:
            # It is the first that git writes, beside a lock; the name is that of the folder.
            same = _stem(name) == _stem(os.path.basename(path))
            half_made = admin if same and os.path.exists(f"{admin}/locked") else half_made
        else:
            if os.path.realpath(os.path.dirname(link)) == os.path.realpath(path):
                return admin
    return half_made


def _stem(name: str) -> str:
    return name.rstrip("0123456789")  # git appends a number where the name is taken


def operation(place: Place) -> str | None:
    """What is in progress: merge, rebase, cherry-pick, revert, bisect, or nothing."""
    for name, word in _OPERATIONS.items():
        if os.path.exists(f"{place.admin_dir}/{name}"):
            return word
    return None


def unmerged_files(git: Git) -> list[str]:
    """The files of an index that are in conflict."""
    told = git.run("ls-files", "--unmerged", "-z").names
    return sorted({line.partition("\t")[2] for line in told})


def untracked(git: Git) -> tuple[list[str], list[str]]:
    """What is neither tracked nor ignored: files, and folders that are repositories."""
    names = git.run("ls-files", "--others", "--exclude-standard", "-z").names
    nested = [name.rstrip("/") for name in names if name.endswith("/")]
    return [name for name in names if not name.endswith("/")], nested


def gitlinks(git: Git) -> list[str]:
    """The paths of an index at which it has a commit of another repository."""
    told = git.run("ls-files", "--stage", "-z").names
    return [line.partition("\t")[2] for line in told if line.startswith("160000 ")]


def unsaved_repository(path: str) -> str | None:
    """What a repository in the worktree holds that is nowhere else, for a person.

    Args:
        path: Its top folder.

    Returns:
        None if all of it came from a remote repository, or there is none.
    """
    if not os.path.exists(f"{path}/.git"):
        return None
    git = Git(path)
    status = git.run("status", "--porcelain", "-z", "--ignore-submodules=none", check=False)
    if status.status or status.out:
        return "files that are not committed" if status.out else "can't be read"
    own = git.run("rev-list", "--count", "HEAD", "--branches", "--not", "--remotes", check=False)
    if own.status or own.text != "0":
        return f"{own.text} commits that no remote has" if not own.status else "can't be read"
    return None


def ignored_files(git: Git, since_ns: int) -> tuple[list[str], int]:
    """The ignored files that were made or changed since a moment.

    Args:
        git: The worktree.
        since_ns: The moment, as the file system tells its time.

    Returns:
        Paths, a folder of which all is new as one with a slash at its end; and how many files
        that are.
    """
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z")
    every = git.run(*words).names
    new = [name for name in every if _changed_at_ns(f"{git.folder}/{name}") > since_ns]
    folders = [name for name in git.run(*words, "--directory").names if name.endswith("/")]
    old = sorted(set(every) - set(new))
    whole = tuple(f for f in folders if not any(name.startswith(f) for name in old))
    single = [name for name in new if not name.startswith(whole)] if whole else new
    shown = [folder for folder in whole if any(name.startswith(folder) for name in new)]
    return sorted(shown + single), len(new)


def _changed_at_ns(path: str) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0


def fingerprint(path: str) -> str:
    """What a file is: it changes with its content, its kind and whether it can be executed."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"link {os.fsencode(os.readlink(path)).hex()}"
        if not stat.S_ISREG(mode):
            return "folder" if stat.S_ISDIR(mode) else "other"
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "gone"
    return f"{'x' if mode & stat.S_IXUSR else '-'} {content}"


def changed_paths(git: Git) -> dict[str, str]:
    """What differs from HEAD just now, ignored files aside: path → its fingerprint.

    A repository that lies in the worktree is told with a slash at its end.
    """
    words = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=dirty")
    names = (line[3:] for line in git.run(*words).names)
    return {name: fingerprint(f"{git.folder}/{name}") for name in names}


def is_dirty(place: Place, from_setup: Mapping[str, str]) -> bool:
    """Whether a worktree holds changes that are in no commit, and that set-up has not made.

    Args:
        place: The worktree; one that git can't read counts as dirty.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
    """
    if not place.has_admin:
        return True
    try:
        changed = changed_paths(place.git())
    except GitFailed:
        return True
    return any(name.endswith("/") or from_setup.get(name) != now for name, now in changed.items())
