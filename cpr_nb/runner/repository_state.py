"""What the files of a repository say at one moment: HEAD, refs, hooks, settings, our records.

It is read without git, in less than a millisecond: a git would follow these very settings.
"""

from __future__ import annotations

import os

from cpr_nb.store.git_files import content_of, head_branch, head_commit, packed_refs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: In a repository with more loose refs than this, only their names are compared.
MOST_READ = 1000
#: Of a longer file of packed refs, only the time of its last change is compared.
MOST_PACKED_BYTES = 1 << 18
PACKED = "packed-refs"
_UNREAD = "@"
# What else in a git directory can make a later git run a program, or read another repository.
_SETTINGS = ("config", "config.worktree", "commondir", "info/attributes", "objects/info/alternates")
_REFS = ("refs/heads", "refs/tags", "refs/replace")
#: Of these, only what was there before can be harmed.
REPLACE = "refs/replace/"
_NAMED_SECTIONS = (b'[branch "', b'[submodule "')
_NAMED_KEYS = frozenset((b"remote", b"merge", b"rebase", b"url", b"active"))


class RepositoryState:
    """What is compared of a repository.

    Args:
        git_dir: The git directory of the checkout.
        common_dir: That which all worktrees share.
        exact: Whether the refs are read; None decides by their number.

    Attributes:
        exact: Whether they were.
        head: The branch that the checkout is on; empty if its HEAD is detached.
        commit: The commit that it is on.
        files: Hooks and settings that are not empty: name → hash.
        refs: Name → the id of its object; where there are too many to read, something with an @.
        records: Our records of branches: file name → the time of its last change.
    """

    __slots__ = ("commit", "exact", "files", "head", "records", "refs")

    def __init__(self, git_dir: str, common_dir: str, exact: bool | None = None) -> None:
        self.head = head_branch(git_dir)
        self.commit = head_commit(git_dir)
        self.files = _hashes(common_dir)
        if git_dir != common_dir and (own := _hash(f"{git_dir}/config.worktree")):
            self.files["config.worktree of the checkout"] = own
        self.records = {
            entry.name: entry.stat(follow_symlinks=False).st_ctime_ns
            for entry in _entries(f"{common_dir}/cpr/branches")
        }
        loose = [name for root in _REFS for name in _loose_refs(common_dir, root)]
        packed = f"{common_dir}/{PACKED}"
        if exact is None:
            exact = len(loose) <= MOST_READ and _size_bytes(packed) <= MOST_PACKED_BYTES
        self.exact, self.refs = exact, dict[str, str]()
        if exact:
            every = packed_refs(common_dir)
            self.refs = {name: every[name] for name in every if name.startswith(_REFS)}
            self.refs |= {
                name: os.fsdecode(content_of(f"{common_dir}/{name}").rstrip()) for name in loose
            }
        else:
            self.refs = dict.fromkeys(loose, _UNREAD)
            self.refs[PACKED] = _changed_at(packed)

    def is_like(self, other: RepositoryState) -> bool:
        """Whether nothing has changed since."""
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)


def checked_out(common_dir: str) -> set[str]:
    """The branches that are checked out in some worktree of a repository."""
    folders = [entry.path for entry in _entries(f"{common_dir}/worktrees")]
    return {head_branch(folder) for folder in [common_dir, *folders]}


def _hashes(common_dir: str) -> dict[str, int]:
    """Hooks and settings: an empty one is like none, for the CLI's sandbox leaves such files."""
    hooks = [entry.name for entry in _entries(f"{common_dir}/hooks")]
    names = [f"hooks/{name}" for name in hooks if not name.endswith(".sample")]
    hashes = {name: _hash(f"{common_dir}/{name}") for name in [*_SETTINGS, *names]}
    return {name: value for name, value in hashes.items() if value}


def _hash(path: str) -> int:
    """A number that changes with a file; 0 for none. Python draws its hash anew in each process."""
    content = content_of(path)
    if not content:
        return 0
    if os.path.basename(path) == "config":
        content = without_tracking(content)
    return hash((content, os.access(path, os.X_OK))) or 1


def without_tracking(config: bytes) -> bytes:
    """A configuration without the sections that ``git push -u`` and ``git submodule init`` write.

    Such a section goes only as a whole, and only if every line of it has the plain form that git
    itself writes.
    """
    kept, section, is_plain = list[bytes](), list[bytes](), False
    for line in [*config.splitlines(), b"["]:
        if line.startswith(b"["):
            kept += [] if is_plain else section
            section = [line]
            is_plain = line.startswith(_NAMED_SECTIONS) and line.endswith(b'"]')
            is_plain = is_plain and line.count(b'"') == 2 and b"\\" not in line
        else:
            section.append(line)
            key, _, value = line.strip().partition(b" = ")
            odd = b"::" in value or any(character in value for character in b'\\"#;')
            is_plain = is_plain and key in _NAMED_KEYS and not odd
    return b"\n".join(kept)


def _loose_refs(common_dir: str, folder: str) -> Iterator[str]:
    for entry in _entries(f"{common_dir}/{folder}"):
        if entry.is_dir(follow_symlinks=False):
            yield from _loose_refs(common_dir, f"{folder}/{entry.name}")
        elif not entry.name.endswith(".lock"):
            yield f"{folder}/{entry.name}"


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _changed_at(path: str) -> str:
    try:
        return f"@{os.lstat(path).st_ctime_ns}"
    except OSError:
        return ""


def _size_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
