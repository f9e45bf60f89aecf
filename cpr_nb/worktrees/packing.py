"""Packs what a node needs for a task: a parcel with its worktree, and with its conversation.

The node has neither the repository nor the CLI's own folder. A parcel is a tar file.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import Any

from cpr_nb.model.digest import sha256
from cpr_nb.model.errors import WorktreeError
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records
from cpr_nb.worktrees.bringing import bring_in
from cpr_nb.worktrees.carrier import carrier_of, write_bundle
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.include import included_files
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.repo import Repository, open_repository
from cpr_nb.worktrees.saving import read_content
from cpr_nb.worktrees.scratch import scratch
from cpr_nb.worktrees.worktree import Worktree, worktree_of

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


def pack(job: HelperJob) -> dict[str, Any]:
    """Packs a parcel.

    Args:
        job: The task; its worktree is ready if it has one.

    Returns:
        ``parcel``, the path of a file that the caller removes; ``mirror`` and ``base_commit``,
        which the node has once it has the parcel: empty without a worktree.

    Raises:
        WorktreeError: If it can't be packed.
    """
    path = SessionPaths(job.session_folder).parcel(job.task_id)
    fd = os.open(path, _NEW_FILE, 0o600)
    answer = {"parcel": path, "mirror": "", "base_commit": ""}
    with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        if job.has_worktree:
            answer |= _pack_worktree(job, tar)
        for transcript in job.transcripts:
            _pack_transcript(transcript, tar)
    return answer


def mirror_name(common_dir: str) -> str:
    """How nodes name their mirror of a repository."""
    place = f"{os.uname().nodename} {os.path.realpath(common_dir)}"
    words: str = sha256(os.fsencode(place)).hexdigest()
    return words[:16]


def _pack_worktree(job: HelperJob, tar: tarfile.TarFile) -> dict[str, str]:
    record = WorktreeRecord.read(job.session_folder, job.task_id)
    if record.stage != records.READY:
        raise WorktreeError("its worktree is not ready")
    bring_in(job, record)
    worktree, repo = worktree_of(record), open_repository(job.cwd)
    shared, mirror = shared_git(worktree.common_dir), mirror_name(worktree.common_dir)
    with scratch(worktree.common_dir, job.label) as folder:
        since_ns = since_first_setup_ns(record)
        content = read_content(worktree, folder, record["from_setup"] or {}, since_ns)
        if content.unsaved:
            raise WorktreeError(f"it can't be sent to a node: {'; '.join(content.unsaved)}")
        refs = _current_branch(shared, job.current_branch or repo.branch or "")
        carrier = carrier_of(shared, worktree, content, refs)
        bundle = f"{folder}/bundle"
        write_bundle(shared, carrier, bundle, map(str, job.known.get(mirror) or ()))
        tar.add(bundle, "bundle")
    description = {
        "session_id": job.session_id,
        "task_id": job.task_id,
        "mirror": mirror,
        "branch": worktree.branch,
        "base_commit": worktree.base_commit,
        "port": record["port"],
        "is_continued": bool(record["is_continued"] or record["is_adopted"]),
        "prefix": repo.prefix,
        "worktree": worktree.path,
        "common_dir": worktree.common_dir,
        "identity": _identity(worktree.git()),
        "setup": job.setup,
        "permissions": job.permissions,
    }
    data = json.dumps(description).encode()
    member = tarfile.TarInfo("checkout.json")
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))
    _pack_included(job, repo, worktree, tar)
    return {"mirror": mirror, "base_commit": worktree.base_commit}


def _current_branch(shared: Git, name: str) -> dict[str, str]:
    """The branch that the task's own is to be compared with, if it is one."""
    commit = shared.commit(f"refs/heads/{name}") if name else None
    return {f"heads/{name}": commit} if commit else {}


def _identity(git: Git) -> dict[str, str]:
    """The name and address with which commits are made here."""
    names = "user.name", "user.email"
    found = {name: git.run("config", "--get", name, check=False).text for name in names}
    return {name: value for name, value in found.items() if value}


def _pack_included(
    job: HelperJob, repo: Repository, worktree: Worktree, tar: tarfile.TarFile
) -> None:
    """Packs the files that ``.worktreeinclude`` has brought into the worktree."""
    for name in included_files(repo, os.path.dirname(job.session_folder)):
        if os.path.lexists(f"{worktree.path}/{name}"):
            tar.add(f"{worktree.path}/{name}", f"include/{name}", recursive=False)


def _pack_transcript(path: str, tar: tarfile.TarFile) -> None:
    """Packs a conversation's transcript, and the folder of its subagents."""
    if os.path.isfile(path):
        tar.add(path, f"transcripts/{os.path.basename(path)}")
    folder = path.removesuffix(".jsonl")
    if os.path.isdir(folder):
        tar.add(folder, f"transcripts/{os.path.basename(folder)}")
