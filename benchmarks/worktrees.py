"""Worktrees of tasks, in a large repository, beside plain ``git worktree add``."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import Lab, SkippedError, measure
from benchmarks.report import Comparison, compare

_N_FILES = 20_000
_QUICK_N_FILES = 300
_N_AT_ONCE = 8
_PLAIN = "git worktree add"


class _Repository:
    """A repository of many small files; every worktree gets a name of its own."""

    def __init__(self, lab: Lab, n_files: int) -> None:
        self._environment = {**lab.environment, "GIT_CONFIG_NOSYSTEM": "1"}
        self._numbers = itertools.count(1)
        self.path = lab.fresh("repository")
        for number in range(n_files):
            file = self.path / f"d{number % 97}" / f"e{number % 11}" / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number}: some text that is not like that of others\n" * 20)
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("-c", "user.name=x", "-c", "user.email=x@y.z", "commit", "-q", "-m", "first")
        session_id = str(uuid.uuid4())
        self._session = lab.fresh("results") / f"session-{session_id}"
        self._session.mkdir()
        self._job = {"session_folder": str(self._session), "session_id": session_id}

    def git(self, *words: str) -> None:
        """Runs git in it."""
        subprocess.run(["git", *words], cwd=self.path, env=self._environment, check=True)

    def start_plain(self) -> subprocess.Popen[bytes]:
        """Starts what a person would type."""
        name = f"plain{next(self._numbers)}"
        folder = self.path.parent / f"{self.path.name}-plain" / name
        words = ["git", "worktree", "add", "-q", "-b", name, str(folder)]
        return subprocess.Popen(words, cwd=self.path, env=self._environment)

    def start(self, command: str, task_id: str) -> subprocess.Popen[bytes]:
        """Starts a helper process as the runner does."""
        job = {**self._job, "task_id": task_id, "cwd": str(self.path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "cpr_nb.worktrees", command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def new_task(self) -> str:
        """The id of a task that has no worktree yet."""
        return f"t{next(self._numbers)}"

    def folder_of(self, task_id: str) -> Path:
        """Where a task's worktree is."""
        return Path(f"{self.path}-worktrees", f"main-task-{task_id}")


def _finish(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        out = process.communicate()[0]
        reply = json.loads(out) if out else {"ok": True}
        if process.returncode or not reply["ok"]:
            raise RuntimeError(f"{process.args!r}: {reply}")


def measure_worktrees(lab: Lab) -> Iterator[Comparison]:
    """Time until a task can start, alone and with others; duration of a harvest.

    Raises:
        SkippedError: If there is no git.
    """
    if shutil.which("git") is None:
        raise SkippedError("there is no git")
    repo = _Repository(lab, _QUICK_N_FILES if lab.quick else _N_FILES)
    n_files = _QUICK_N_FILES if lab.quick else _N_FILES
    n_at_once = 2 if lab.quick else _N_AT_ONCE
    label = f"worktree of {n_files} files"
    tasks: list[str] = []

    def prepare(n_tasks: int) -> float:
        new = [repo.new_task() for _ in range(n_tasks)]
        tasks.extend(new)
        action = lambda: _finish(*[repo.start("prepare", task) for task in new])  # noqa: E731
        return measure(action).wall_s / n_tasks

    def plain(n_tasks: int) -> float:
        action = lambda: [_finish(repo.start_plain()) for _ in range(n_tasks)]  # noqa: E731
        return measure(action).wall_s / n_tasks

    alone = lab.interleave({"ours": lambda: prepare(1), "plain": lambda: plain(1)})
    yield compare(f"{label}: ready", alone["ours"], _PLAIN, alone["plain"], unit="s")
    together = lab.interleave(
        {"ours": lambda: prepare(n_at_once), "plain": lambda: plain(n_at_once)}
    )
    label_together = f"{label}, {n_at_once} at once: ready, per task"
    beside = f"{_PLAIN}, in turn"
    yield compare(label_together, together["ours"], beside, together["plain"], unit="s")

    def harvest() -> float:
        task = tasks.pop()
        (repo.folder_of(task) / "new.txt").write_text("new\n")
        return measure(lambda: _finish(repo.start("harvest", task))).wall_s

    def add_and_remove() -> float:
        """Does the same by hand: commits everything, removes the worktree."""
        task = tasks.pop()
        folder = str(repo.folder_of(task))
        (Path(folder) / "new.txt").write_text("new\n")

        def by_hand() -> None:
            repo.git("-C", folder, "add", "-A")
            repo.git(*("-C", folder, "-c", "user.name=x", "-c", "user.email=x@y.z"), *_COMMIT)
            repo.git("worktree", "remove", folder)

        return measure(by_hand).wall_s

    harvests = lab.interleave({"ours": harvest, "plain": add_and_remove})
    yield compare(
        f"{label}: harvest",
        harvests["ours"],
        "git add, commit, remove",
        harvests["plain"],
        unit="s",
    )


_COMMIT = ("commit", "-q", "-m", "by hand")
