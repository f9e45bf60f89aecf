"""The copy of the programs that the helpers of worktrees run: no upgrade reaches it.

Helpers start all through a session. If they ran what is installed, then an upgrade of the package,
or a virtual environment that is deleted, would leave a living session without them, or with those
of another version. So a runner starts them from a copy: a zip file in the state directory, where
agents can't write. There is one for each state of the installed files. It is made by the first
runner that needs it, and removed by one that makes another, once no runner uses it.
"""

from __future__ import annotations

import fcntl
import os
import sys

from cpr_nb.model import __file__ as _model_file
from cpr_nb.model.digest import sha256
from cpr_nb.model.random_ids import new_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(_model_file)))
_OWN = ("model", "store", "worktrees")
_LIBRARIES = ("git", "gitdb", "smmap")
# The copy comes after the standard library, so that nothing in it can stand in its place.
_MAIN = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from cpr_nb.worktrees.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
# What is installed may be replaced while it is read, and a copy may go before it is held.
_TRIES = 3


class HelperCopy:
    """What a runner starts its helpers from, for as long as the runner lives.

    Args:
        state_dir: The user's state directory; empty if there is none.
        library_dirs: The folders in which Python has installed libraries.

    Attributes:
        path: The copy; empty if there is none, so that helpers run what is installed.
    """

    __slots__ = ("_lock_fd", "_python", "_state_dir", "_trees", "path")

    def __init__(self, state_dir: str, library_dirs: Iterable[str]) -> None:
        places = [os.path.dirname(_PACKAGE), *library_dirs]
        self._trees = {f"cpr_nb/{name}": f"{_PACKAGE}/{name}" for name in _OWN}
        self._trees |= {name: _first(name, places) for name in _LIBRARIES}
        self._state_dir = state_dir
        self._lock_fd = -1
        # That of a virtual environment is gone with it, and is only a link to this one.
        base = getattr(sys, "_base_executable", "") or ""
        self._python = os.path.realpath(base if os.path.exists(base) else sys.executable)
        self.path = ""

    def hold(self) -> None:
        """Makes the copy, unless there is one, and keeps everybody from removing it."""
        if not self._state_dir or "" in self._trees.values():
            return
        folder = f"{self._state_dir}/helpers"
        for _ in range(_TRIES):
            try:
                files = dict(self._files())
                path = f"{folder}/{_digest(files)}.zip"
                if not os.path.exists(path):
                    self._make(files, path)
                if self._lock(path):
                    self.path = path
                    return
            except (OSError, SyntaxError):
                continue

    def argv(self, kind: str) -> list[str]:
        """The arguments of a helper.

        Args:
            kind: ``prepare`` or ``harvest``.
        """
        if not self.path:
            return [sys.executable, "-I", "-m", "cpr_nb.worktrees", kind]
        return [self._python, "-I", "-S", "-c", _MAIN, self.path, kind]

    def _files(self) -> Iterator[tuple[str, str]]:
        """Yields the names of modules in the copy, and the installed files."""
        yield "cpr_nb/__init__", f"{_PACKAGE}/__init__.py"
        for tree, folder in self._trees.items():
            for parent, folders, names in os.walk(folder, onerror=_raise):
                folders[:] = sorted(name for name in folders if name not in ("__pycache__", "test"))
                place = tree + parent[len(folder) :]
                for name in sorted(names):
                    if name.endswith(".py"):
                        yield f"{place}/{name[:-3]}", f"{parent}/{name}"

    def _lock(self, path: str) -> bool:
        """Takes the shared lock of a copy; False if somebody is about to remove it."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(fd), os.stat(path))
        except OSError:
            is_there = False
        if is_there:
            self._lock_fd = fd
        else:
            os.close(fd)
        return is_there

    def _make(self, files: dict[str, str], path: str) -> None:
        """Makes the copy, unless what is installed is replaced meanwhile."""
        import zipfile  # only the first runner after an upgrade needs it

        folder = os.path.dirname(path)
        os.makedirs(folder, 0o700, exist_ok=True)
        new = f"{folder}/{new_uuid()}.tmp"
        digest = _digest(files)
        try:
            with zipfile.ZipFile(new, "x") as copy:
                for name, source in files.items():
                    copy.writestr(f"{name}.pyc", _compiled(source))
            if _digest(files) == digest:
                os.rename(new, path)
                _remove_unused(folder, path)
        finally:
            if os.path.exists(new):
                os.unlink(new)


def _digest(files: dict[str, str]) -> str:
    """Names the state of the installed files: where each one is, its size and its time."""
    digest = sha256(str(sys.implementation.cache_tag).encode())
    with open(f"{_PACKAGE}/__init__.py", "rb") as file:
        digest.update(file.read())  # it has the version; some installers give all files one time
    for path in files.values():
        status = os.stat(path)
        digest.update(os.fsencode(f"\n{path} {status.st_size} {status.st_mtime_ns}"))
    words: str = digest.hexdigest()
    return words[:32]


def _compiled(path: str) -> bytes:
    """The bytecode of a file: what Python has kept of it if that is right, else a new one."""
    import marshal
    from importlib.util import MAGIC_NUMBER

    folder, name = os.path.split(path)
    status = os.stat(path)
    size_and_time = [int(status.st_mtime), status.st_size]
    head = MAGIC_NUMBER + b"".join(
        (n & 0xFFFFFFFF).to_bytes(4, "little") for n in (0, *size_and_time)
    )
    try:
        with open(
            f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc", "rb"
        ) as file:
            kept = file.read()
    except OSError:
        kept = b""
    if kept.startswith(head):
        return kept
    with open(path, "rb") as file:
        return head + marshal.dumps(compile(file.read(), path, "exec", dont_inherit=True))


def _first(name: str, folders: Iterable[str]) -> str:
    """The library of this name in the first folder that has it; else empty."""
    return next((f"{folder}/{name}" for folder in folders if os.path.isdir(f"{folder}/{name}")), "")


def _raise(error: OSError) -> None:
    raise error


def _remove_unused(folder: str, path: str) -> None:
    """Removes the copies that no runner uses."""
    for entry in os.scandir(folder):
        if entry.path == path or not entry.is_file(follow_symlinks=False):
            continue
        fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(entry.path)
        except OSError:
            continue  # a runner uses it
        finally:
            os.close(fd)
