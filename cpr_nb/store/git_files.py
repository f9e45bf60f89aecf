"""What the files of a git repository say, read without git: where it is, and where HEAD is.

A git that runs in a repository follows the configuration of that repository, which may name
programs. Where others can have written it, only its files are read.
"""

from __future__ import annotations

import os

from cpr_nb.model.digest import sha256
from cpr_nb.store.files import read_file

_POINTER = b"gitdir: "
_REF = "ref: "
_IDS = frozenset((40, 64))  # the lengths of the ids of SHA-1 and SHA-256


def git_dir_at(folder: str) -> str:
    """The git directory of the repository whose top is this folder.

    Args:
        folder: A folder.

    Returns:
        Its real path; empty if the folder is the top of no repository.
    """
    entry = f"{folder}/.git"
    if os.path.isdir(entry):
        return os.path.realpath(entry)
    target = content_of(entry)
    if not target.startswith(_POINTER):
        return ""
    path = os.fsdecode(target.removeprefix(_POINTER).rstrip(b"\r\n"))
    return os.path.realpath(os.path.join(folder, path))


def git_dir_above(folder: str) -> str:
    """The git directory of the repository that a folder is in; empty if it is in none."""
    folder = os.path.realpath(folder)
    while not os.path.lexists(f"{folder}/.git"):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return git_dir_at(folder)


def common_dir_of(git_dir: str) -> str:
    """The git directory that all worktrees of a repository share."""
    shared = os.fsdecode(content_of(f"{git_dir}/commondir").rstrip(b"\r\n"))
    return os.path.realpath(os.path.join(git_dir, shared)) if shared else git_dir


def head_branch(git_dir: str) -> str:
    """The full name of the ref that HEAD stands for; empty if it names a commit, or is none."""
    head = _text(f"{git_dir}/HEAD")
    return head.removeprefix(_REF).strip() if head.startswith(_REF) else ""


def head_commit(git_dir: str) -> str:
    """The id of the commit that HEAD is on; empty if that is unknown."""
    name = head_branch(git_dir)
    if not name:
        return id_or_empty(_text(f"{git_dir}/HEAD"))
    common_dir = common_dir_of(git_dir)
    return loose_id(common_dir, name) or packed_refs(common_dir).get(name, "")


def loose_id(common_dir: str, name: str) -> str:
    """The id that the file of a ref holds; empty if it has none of its own."""
    return id_or_empty(_text(f"{common_dir}/{name}"))


def packed_refs(common_dir: str) -> dict[str, str]:
    """The refs that have no files of their own, or had none: name → id."""
    return parse_packed(content_of(f"{common_dir}/packed-refs"))


def branch_record(common_dir: str, branch: str) -> str:
    """The path of our record of a branch."""
    name = sha256(os.fsencode(branch)).hexdigest()[:32]
    return f"{common_dir}/cpr/branches/{name}.json"


def parse_packed(content: bytes) -> dict[str, str]:
    r"""The refs in the content of a file ``packed-refs``: name → id.

    Example:
        >>> parse_packed(b"# pack-refs\n" + b"a" * 40 + b" refs/heads/main\n^" + b"b" * 40)
        {'refs/heads/main': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}
    """
    pairs = (os.fsdecode(line).split(" ", 1) for line in content.splitlines() if b" refs/" in line)
    return {name: commit for commit, name in pairs if id_or_empty(commit)}


def id_or_empty(text: str) -> str:
    """The text without white space at its end if it is the id of an object, else empty."""
    text = text.rstrip()
    is_id = len(text) in _IDS and set(text) <= set("0123456789abcdef")
    return text if is_id else ""


def _text(path: str) -> str:
    return os.fsdecode(content_of(path))


def content_of(path: str) -> bytes:
    """What a file holds; empty if it can't be read."""
    try:
        return read_file(path)
    except OSError:
        return b""
