"""Real git repositories, and what a runner asks of `python -m cpr_nb.worktrees`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpr_nb.store.key import own_key
from cpr_nb.store.seal import sealed

#: No test sees the git configuration of whoever runs it, or the repository of a hook that does.
GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
    "GIT_CONFIG_NOSYSTEM": "1",
}
LIMIT_S = 120.0  # Ends a test that hangs; no test's outcome depends on how fast it is.
#: A set-up that fills the submodules of a worktree.
SUBMODULE_SETUP = "git -c protocol.file.allow=always submodule update --init -q"


def enter_git_environment() -> None:
    """Makes `GIT_ENVIRONMENT` all that this process and its children know of git."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    os.environ.update(GIT_ENVIRONMENT)


class Checkout:
    """A checkout of a repository.

    Args:
        path: Its top folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path) -> Checkout:
        """A new, empty repository."""
        path.mkdir(parents=True)
        checkout = cls(path)
        checkout.git("init", "-q", "-b", "main")
        return checkout

    def git(self, *args: str, ok: bool = True, feed: bytes | None = None) -> str:
        """Runs git there, as a person or an agent would; returns its output."""
        done = subprocess.run(
            ["git", *args], cwd=self.path, input=feed, capture_output=True, timeout=LIMIT_S
        )
        assert done.returncode == 0 or not ok, (args, done.stdout, done.stderr)
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Writes files, and the folders they are in."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str, files: Mapping[str, str | bytes] | None = None) -> str:
        """Commits everything; returns the commit."""
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        """The commit that it is on."""
        return self.git("rev-parse", "HEAD")

    def files(self, commit: str) -> dict[str, str]:
        """All files of a commit, by name."""
        names = self.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")
        return {name: self.git("show", f"{commit}:{name}") for name in names if name}

    def log(self, span: str) -> list[str]:
        """The first lines of the messages of commits, the newest first."""
        return self.git("log", "--format=%s", span).splitlines()

    def branches(self) -> list[str]:
        """The names of all branches."""
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def worktrees(self) -> list[str]:
        """The folders of all worktrees, the main one first."""
        lines = self.git("worktree", "list", "--porcelain").splitlines()
        return [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")]

    def state(self) -> dict[str, Any]:
        """Everything that nobody but the user may touch: index, HEAD, stash, branch, files."""
        git_dir = self.path / ".git"
        files = {
            str(file.relative_to(self.path)): (file.readlink() if file.is_symlink() else data(file))
            for file in sorted(self.path.rglob("*"))
            if git_dir not in file.parents and (file.is_symlink() or file.is_file())
        }
        return {
            "index": (git_dir / "index").read_bytes() if (git_dir / "index").exists() else None,
            "HEAD": (git_dir / "HEAD").read_bytes(),
            "config": (git_dir / "config").read_bytes(),
            "commit": self.git("rev-parse", "--verify", "-q", "HEAD", ok=False),
            "stash": self.git("stash", "list"),
            "hooks": sorted(str(file) for file in (git_dir / "hooks").glob("*")),
            "files": files,
        }


def data(file: Path) -> tuple[int, bytes]:
    """A file's mode and content."""
    return file.stat().st_mode, file.read_bytes()


def order_of(folder: Path, task_id: str, cwd: Path, **options: Any) -> dict[str, Any]:
    """The order for one task."""
    parent = options.pop("parent", None)
    current_branch = options.pop("current_branch", None)
    session_id = folder.name.removeprefix("session-")
    return {
        "session_folder": str(folder),
        "session_id": session_id,
        "task_id": task_id,
        "cwd": str(cwd),
        "options": {**options, **({"current_branch": current_branch} if current_branch else {})},
        "parent": parent,
    }


def start_helper(
    command: str, order: Mapping[str, Any], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts the helper process; its order is in its stdin already."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cpr_nb.worktrees", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
    process.stdin = None
    return process


def answer_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a helper answers."""
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err.decode()
    assert err == b"", err.decode()
    answer = json.loads(out)
    assert isinstance(answer, dict)
    return answer


class Runner:
    """One session's runner, as far as worktrees are concerned.

    Args:
        results: The results directory.
        cwd: The folder that its tasks are asked to work in.
    """

    def __init__(self, results: Path, cwd: Path) -> None:
        self.session_id = str(uuid.uuid4())
        self.folder = results / f"session-{self.session_id}"
        self.folder.mkdir(parents=True)
        (self.folder / "runner.lock").touch()
        self.cwd = cwd
        self.env: dict[str, str] = {}
        self.task_ids: list[str] = []
        self._cwds: dict[str, Path] = {}
        self._status("running")

    def _status(self, overall: str) -> None:
        head = {"overall_status": overall, "schema_version": 1, "session_id": self.session_id}
        tasks = [{"transaction_id": task_id} for task_id in self.task_ids]
        (self.folder / "status.json").write_text(json.dumps({**head, "tasks": tasks}))

    def _seal(self) -> None:
        """Writes session.json with all tasks so far, as their launch would have."""
        tasks = [
            {"id": task_id, "prompt": "p", "options": {"cwd": str(cwd)}}
            for task_id, cwd in self._cwds.items()
        ]
        spec = {"session_id": self.session_id, "cwd": str(self.cwd), "options": {}}
        text = f'{json.dumps(spec)[:-1]},"tasks":{json.dumps(tasks)[:-1]}\n],\n'
        (self.folder / "session.json").write_bytes(sealed(text.encode(), own_key()))

    def order(self, task_id: str, **options: Any) -> dict[str, Any]:
        """The order for one task; session.json has the same folder for it."""
        cwd = options.pop("cwd", self._cwds.get(task_id, self.cwd))
        self._cwds[task_id] = cwd
        self._seal()
        return order_of(self.folder, task_id, cwd, **options)

    def ask(self, command: str, task_id: str, **options: Any) -> dict[str, Any]:
        """Asks the helper, whatever it answers."""
        return answer_of(start_helper(command, self.order(task_id, **options), self.env))

    def prepare(self, task_id: str, **options: Any) -> Prepared:
        """A worktree that must come about."""
        answer = self.ask("prepare", task_id, **options)
        assert answer["ok"], answer
        return Prepared(answer)

    def refused(self, task_id: str, **options: Any) -> str:
        """A worktree that must not come about; returns the error."""
        answer = self.ask("prepare", task_id, **options)
        assert (answer["ok"], answer["reason"]) == (False, "worktree"), answer
        return str(answer["error"])

    def harvest(self, task_id: str, **options: Any) -> dict[str, Any]:
        """The harvest, which must succeed."""
        answer = self.ask("harvest", task_id, **options)
        assert answer["ok"], answer
        return answer

    def end(self, overall: str = "completed") -> None:
        """The session has ended."""
        self._status(overall)

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """While its process lives, which holds the lock."""
        with (self.folder / "runner.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def parent(self) -> dict[str, str]:
        """What a retry says of the session that it retries, less the task's id."""
        return {"session_id": self.session_id}


class Prepared(Checkout):
    """A task's worktree.

    Args:
        answer: What the helper answered.
    """

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(Path(answer["worktree"]))
        self.answer = answer
        self.branch: str = answer["branch"]
        self.base: str = answer["base_commit"]
        self.cwd = Path(answer["cwd"])

    @property
    def admin(self) -> Path:
        """Its own git directory."""
        return Path(self.git("rev-parse", "--absolute-git-dir"))
