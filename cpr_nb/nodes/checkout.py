"""A task's checkout on a node: made from a parcel, and packed when the task's process has ended.

``python -I …/checkout.py make|save``: one JSON object in, one out. A node has a mirror for each
repository, and a repository for each task that borrows the mirror's objects.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from typing import Any

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from cpr_nb.model.errors import WorktreeError
from cpr_nb.nodes.mirror_list import BASES, mirror_path
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import git_settings
from cpr_nb.worktrees.carrier import (
    Carrier,
    carrier_of,
    drop_bundle,
    fetch_bundle,
    write_bundle,
)
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.inspection import changed_paths
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.restoring import restore
from cpr_nb.worktrees.saving import read_content
from cpr_nb.worktrees.scratch import scratch
from cpr_nb.worktrees.setup import run_setup
from cpr_nb.worktrees.worktree import Worktree, worktree_of

#: How the record of the one task in a place is named.
_TASK = "here"


def make(root: str, place: str, parcel: str) -> dict[str, Any]:
    """Makes a task's checkout, or finds it as an earlier process of the task has left it.

    Args:
        root: Our folder on this machine.
        place: The task's own folder.
        parcel: The folder with what the task's parcel had.

    Returns:
        ``cwd``, and ``paths``: pairs of a path at home and the one
        that stands for it here.
    """
    with open(f"{parcel}/checkout.json", "rb") as file:
        wanted = json.load(file)
    mirror = mirror_path(root, wanted["mirror"])
    carrier = _fill_mirror(mirror, f"{parcel}/bundle", wanted["base_commit"])
    record = WorktreeRecord.read(place, _TASK)
    if record["content"] != _content(shared_git(mirror), carrier):
        shutil.rmtree(place, ignore_errors=True)
        record = _make_anew(place, mirror, carrier, wanted, parcel)
    drop_bundle(shared_git(mirror), carrier)
    worktree = worktree_of(record)
    pairs = (wanted["worktree"], worktree.path), (wanted["common_dir"], worktree.common_dir)
    cwd = f"{worktree.path}/{wanted['prefix']}".rstrip("/")
    return {"cwd": cwd, "paths": pairs}


def _fill_mirror(mirror: str, bundle: str, base_commit: str) -> Carrier:
    """Brings the mirror what the bundle has; a ref keeps the commit that many tasks begin with."""
    os.makedirs(mirror, 0o700, exist_ok=True)
    with open(f"{mirror}/cpr.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        git = shared_git(mirror)
        if not os.path.exists(f"{mirror}/HEAD"):
            Git(mirror).run("init", "--quiet", "--bare", mirror)
        carrier = fetch_bundle(git, bundle, confirm=False)
        git.run("update-ref", f"{BASES}{base_commit}", base_commit)
    return carrier


def _content(git: Git, carrier: Carrier) -> list[str]:
    return [carrier.tip, carrier.head, git.tree(carrier.commit)]


def _make_anew(
    place: str, mirror: str, carrier: Carrier, wanted: dict[str, Any], parcel: str
) -> WorktreeRecord:
    git_dir, path = f"{place}/git", f"{place}/{os.path.basename(wanted['worktree'])}"
    os.makedirs(place, 0o700)
    _make_repository(git_dir, mirror, carrier, wanted)
    git = shared_git(git_dir)
    git.run("worktree", "add", "--no-checkout", path, wanted["branch"])
    admin_dir = Git(path).run("rev-parse", "--absolute-git-dir").path
    names = "branch", "base_commit", "is_continued", "port"
    record = WorktreeRecord.read(place, _TASK)
    record.fields = {name: wanted[name] for name in names}
    planted, log = dict(carrier.refs), SessionPaths(place).setup(wanted["task_id"])
    record.write(
        common_dir=git_dir, worktree=path, admin_dir=admin_dir, planted=planted, setup_log=log
    )
    worktree = worktree_of(record)
    with scratch(git_dir, _TASK) as folder:
        restore(worktree, carrier, folder)
    if os.path.isdir(f"{parcel}/include"):
        shutil.copytree(f"{parcel}/include", path, symlinks=True, dirs_exist_ok=True)
    cwd = f"{path}/{wanted['prefix']}".rstrip("/")
    os.makedirs(cwd, exist_ok=True)
    earlier = changed_paths(worktree.git())
    run_setup(_job(place, wanted), record, cwd)
    changed = record["from_setup"].items()
    record.write(from_setup={name: mark for name, mark in changed if name not in earlier})
    return record


def _job(place: str, wanted: dict[str, Any]) -> HelperJob:
    """The task as its set-up sees it; the log and the record are in its place here."""
    names = "session_id", "task_id", "setup", "permissions"
    return HelperJob(place, **{name: wanted[name] for name in names})


def _make_repository(git_dir: str, mirror: str, carrier: Carrier, wanted: dict[str, Any]) -> None:
    """Makes a repository without files, which borrows the objects of the mirror."""
    Git(os.path.dirname(git_dir)).run("init", "--quiet", "--bare", git_dir)
    with open(f"{git_dir}/objects/info/alternates", "w", encoding="utf-8") as file:
        file.write(f"{mirror}/objects\n")
    git = shared_git(git_dir)
    settings = {**wanted["identity"], "core.logAllRefUpdates": "true", "gc.auto": "0"}
    for name, value in settings.items():
        git.run("config", name, value)
    refs = {**{f"refs/{name}": commit for name, commit in carrier.refs}}
    refs[f"refs/heads/{wanted['branch']}"] = carrier.tip
    refs[f"refs/cpr/carrier/{carrier.commit}"] = carrier.commit
    for name, commit in refs.items():
        git.run("update-ref", name, commit)
    git.run("symbolic-ref", "HEAD", "refs/heads/cpr-none")


def save(place: str, bundle: str) -> dict[str, Any]:
    """Packs what a checkout holds beyond what came with the parcel.

    Args:
        place: The task's folder.
        bundle: The path of the bundle that is made.

    Returns:
        ``setup_log``: the path of the set-up's output.
    """
    record = WorktreeRecord.read(place, _TASK)
    worktree, since_ns = worktree_of(record), since_first_setup_ns(record)
    shared = shared_git(worktree.common_dir)
    known = [worktree.base_commit, *record["planted"].values()]
    with scratch(worktree.common_dir, _TASK) as folder:
        content = read_content(worktree, folder, record["from_setup"] or {}, since_ns)
        place_here = f"{worktree.path} on node {os.uname().nodename}"
        content.notes.extend(f"not saved, in {place_here}: {line}" for line in content.unsaved)
        refs = _own_refs(shared, worktree, record["planted"])
        carrier = carrier_of(shared, worktree, content, refs)
        write_bundle(shared, carrier, bundle, known)
    record.write(content=_content(shared, carrier))
    return {"setup_log": record["setup_log"]}


def _own_refs(shared: Git, worktree: Worktree, planted: dict[str, str]) -> dict[str, str]:
    """The branches, tags and stashes that were made here."""
    words = ("for-each-ref", "--format=%(objectname) %(refname)")
    patterns = "refs/heads", "refs/tags", "refs/stash"
    lines = shared.run(*words, *patterns).text.splitlines()
    refs = {
        name.removeprefix("refs/"): commit for commit, _, name in (x.partition(" ") for x in lines)
    }
    refs.pop(f"heads/{worktree.branch}", None)
    return {name: commit for name, commit in refs.items() if planted.get(name) != commit}


def main(command: str) -> int:
    """Answers one job; every failure becomes an answer."""
    git_settings.clean_own_environment()
    job = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"ok": True, **(make(**job) if command == "make" else save(**job))}
    except WorktreeError as error:
        answer = {"ok": False, "reason": error.reason, "error": str(error)}
    except OSError as error:
        why = f"{error.strerror}: {error.filename}"
        answer = {"ok": False, "reason": WorktreeError.reason, "error": why}
    os.write(1, json.dumps(answer).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
