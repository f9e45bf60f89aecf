"""A results directory as `git clone` or `tar x` may leave one: hand-made, 0755, owned by the user.

Everything in it that could be taken as an order leads to a trap: `claude_path`, `check` and `setup`
are marker programs, worktree records lead to a repository whose configuration names another one,
and to folders of the user's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from testkit.repository import Checkout

from boundary.place import Place
from cpr_nb.model import record
from cpr_nb.store.key import own_key
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.write import StatusWriter, dump
from cpr_nb.worktrees.records import BranchRecord, Owner, write_branch

#: What the forged tasks have answered.
ANSWER = "forged answer"
#: One session for each state in which commands act on one: id and name.
ENDED = "e0000000-0000-4000-8000-000000000001"
INTERRUPTED = "d0000000-0000-4000-8000-000000000002"
#: It has no lock, as those of claude-parallel-runner.pl, and so counts as running.
LIVE = "c0000000-0000-4000-8000-000000000003"
NAMES = {ENDED: "sent-ended", INTERRUPTED: "sent-interrupted", LIVE: "sent-live"}
#: A task with everything that a worktree of ours has, one whose git directory is gone, two more.
TASKS = ("whole", "halved", "skipped", "failed")
#: A seal of somebody else's, one that says that there was no key, none as before there were seals.
_SEALS = {ENDED: b',\n"seal":"%s"' % (b"5" * 64), INTERRUPTED: b',\n"seal":null', LIVE: b""}
_FILE, _TEXT = "precious.txt", "precious\n"
_FRAME = {
    "version": 1,
    "n_rows": len(TASKS),
    "index": [{"name": None, "dtype": "int64", "values": list(range(len(TASKS)))}],
    "columns": [{"name": "path", "dtype": "str", "values": list(TASKS)}],
}
_AT = "2026-01-01T00:00:00.000Z"


class HostileFolder:
    """The results directory of a place, made by a stranger.

    Args:
        place: Where.
        results: The results directory; default that of the place.
    """

    def __init__(self, place: Place, results: Path | None = None) -> None:
        self.place, self.results = place, results or place.results
        self.results.mkdir(0o755)
        with place.inside(place.stub_env()):
            own_key()
        self.programs = {name: place.program(name) for name in ("claude", "check", "setup")}
        self.trap = make_trap(place)
        self.base_commit = self.trap.head
        self.victims = {task: place.victim(f"victim-{task}") for task in TASKS[:2]}
        self.requests = place.victim("victim-requests")
        place.watch_git(self.trap.path)
        for session_id in NAMES:
            self._write_session(session_id)
        self._write_transcripts()

    def _write_transcripts(self) -> None:
        """So that nothing but the guard refuses a follow-up."""
        folder = Path(self.place.stub_env()["CLAUDE_CONFIG_DIR"]) / "projects" / "-sent"
        folder.mkdir(parents=True)
        line = {"type": "user", "message": {"role": "user", "content": "Do it."}}
        for task in TASKS:
            _write(str(folder / f"{_conversation_id(task)}.jsonl"), line)

    def path(self, session_id: str) -> Path:
        """A session's folder."""
        return self.results / f"session-{session_id}"

    # -- files ------------------------------------------------------------------------------

    def _write_session(self, session_id: str) -> None:
        folder = self.path(session_id)
        folder.mkdir()
        paths = SessionPaths(str(folder))
        spec = self._spec(session_id)
        tasks = [self._task_spec(task) for task in TASKS]
        lines = b",\n".join(dump(task) for task in tasks)
        head, seal = dump(spec)[:-1] + b',\n"tasks":[\n', _SEALS[session_id]
        Path(paths.session).write_bytes(head + lines + b"\n]" + seal + b"}\n")
        self._write_status(paths, spec, is_ended=session_id == ENDED)
        _write(paths.frame, _FRAME)
        self._write_journal(paths)
        _write(paths.runner, {"pid": os.getpid(), "hostname": "elsewhere", "git_tree": "0" * 40})
        for task in set(TASKS) - {"skipped"}:
            Path(paths.answer(task)).write_text(f"{ANSWER}\n")
            Path(paths.stream(task)).write_text(_stream(task))
        for task in TASKS[:2]:
            _write(paths.worktree(task), self._worktree_record(task))
        if session_id == LIVE:  # what a runner would read in it, the interfaces write in a victim
            Path(paths.requests).symlink_to(self.requests)
        else:
            Path(paths.lock).touch()
            Path(paths.requests).mkdir()
        for file in folder.iterdir():
            if not file.is_symlink():
                file.chmod(0o755 if file.is_dir() else 0o644)

    def _spec(self, session_id: str) -> dict[str, Any]:
        return {
            "session_id": session_id,
            "name": NAMES[session_id],
            "created_at": _AT,
            "start_time": 1767225600,
            "cwd": str(self.trap.path),
            "options": {
                "permissions": "all",
                "worktree": True,
                "check": self.programs["check"],
                "setup": self.programs["setup"],
                "attempts": 1,
            },
            "env_names": [],
            "own_environment": False,
            "max_parallel": 4,
            "claude_path": self.programs["claude"],
            "claude_version": "9.9.9",
            "executor": "local",
            "parent_session_id": None,
            "identity": "0" * 32,
            "warnings": [],
            "mark": "5" * 32,
        }

    def _task_spec(self, task: str) -> dict[str, Any]:
        checkout = {"current_branch": "main", "base": self.base_commit}
        row = TASKS.index(task)
        said = {"id": task, "prompt": f"Do {task}.", "options": {}, "row": row}
        return {**said, "checkout": checkout}

    def _write_status(self, paths: SessionPaths, spec: dict[str, Any], *, is_ended: bool) -> None:
        counts = {"n_succeeded": 2, "n_skipped": 1, "n_failed": 1, "n_pending": 0}
        head = {
            **record.first_head(spec, len(TASKS)),
            "completed": 4,
            "successful": 2,
            **counts,
            "cost_usd": 0.5,
        }
        if is_ended:
            head |= {"overall_status": "completed", "state": "ended", "end_time": 1767225700}
        else:
            head |= {"overall_status": "running", "state": "running", "completed": 3}
            head |= {"n_pending": 1, "n_skipped": 0}
        bases = [record.base_fields(n, task, f"Do {task}.") for n, task in enumerate(TASKS, 1)]
        writer = StatusWriter(paths.status, head, bases)
        for number, task in enumerate(TASKS):
            writer.set_task(number, self._task_fields(task, is_ended=is_ended))
        writer.write()

    def _task_fields(self, task: str, *, is_ended: bool) -> dict[str, Any]:
        if task == "skipped" and not is_ended:
            return record.pending_fields()
        outcome = task if task in ("skipped", "failed") else "succeeded"
        fields = {
            **record.running_fields(1, _conversation_id(task), _AT),
            "status": "completed",
            "success": int(outcome == "succeeded"),
            "state": "ended",
            "outcome": outcome,
            "reason": "success" if outcome == "succeeded" else "login",
            "ended_at": _AT,
            "duration_s": 1.0,
            "cost_usd": 0.25,
        }
        if task in self.victims:
            fields |= {"branch": f"task-{task}", "worktree": str(self.victims[task])}
        return fields

    def _write_journal(self, paths: SessionPaths) -> None:
        """After a restart an agent would go on in a victim, in a checkout that nobody prepared."""
        lines = [
            {"event": "runner_started", "pid": os.getpid(), "host": "elsewhere"},
            {"event": "prepared", "task_id": "skipped", "checkout": self._checkout("whole")},
        ]
        Path(paths.journal).write_bytes(b"".join(dump(line) + b"\n" for line in lines))

    def _checkout(self, task: str) -> dict[str, Any]:
        folder = str(self.victims[task])
        names = {"cwd": folder, "worktree": folder, "branch": f"task-{task}"}
        return {"ok": True, **names, "base_commit": self.base_commit, "common_dir": "", "env": {}}

    def _worktree_record(self, task: str) -> dict[str, Any]:
        folder = str(self.victims[task])
        admin = self.trap.path / ".git" / "worktrees" / task
        return {
            "schema_version": 1,
            "common_dir": str(self.trap.path / ".git"),
            "branch": f"task-{task}",
            "base_commit": self.base_commit,
            "start_commit": self.base_commit,
            "stage": "harvested",
            "worktree": folder,
            "admin_dir": str(admin) if task == "whole" else "",
            "from_setup": {},
            "since_ns": 0,
            "harvest": {"branch": f"task-{task}", "worktree": folder, "rescued_branch": None},
        }


def make_trap(place: Place) -> Checkout:
    """A repository that a stranger has configured, with records that agree with the forged ones.

    Its filter runs as soon as git compares a file, and its records say that a folder of the user's
    (which holds the same file) is a worktree of a session in the results directory.
    """
    trap = Checkout.new(place.folder / "trap")
    base_commit = trap.commit("begin", {_FILE: _TEXT})
    git_dir = trap.path / ".git"
    for task in TASKS[:2]:
        trap.git("branch", f"task-{task}")
        owner = Owner(ENDED, task, f"{place.results}/session-{ENDED}")
        write_branch(str(git_dir), BranchRecord(f"task-{task}", base_commit, (owner,)))
    admin = git_dir / "worktrees" / "whole"
    admin.mkdir(parents=True)
    victim = place.folder / "victim-whole"
    texts = {"HEAD": "ref: refs/heads/task-whole", "commondir": "../..", "gitdir": f"{victim}/.git"}
    for name, text in texts.items():
        (admin / name).write_text(f"{text}\n")
    (admin / "index").write_bytes((git_dir / "index").read_bytes())
    mark = {"session_id": ENDED, "task_id": "whole", "session_folder": "", "port": 0}
    _write(str(admin / "cpr"), mark)
    program = place.program("filter")
    trap.git("config", "filter.trap.clean", f"{program} --pass")
    trap.git("config", "filter.trap.smudge", f"{program} --pass")
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text("* filter=trap\n")
    os.utime(trap.path / _FILE, (1, 1))  # git must read it to know that it is unchanged
    return trap


def _conversation_id(task: str) -> str:
    return f"00000000-0000-4000-8000-{TASKS.index(task):012}"


def _stream(task: str) -> str:
    events = [
        {"type": "system", "subtype": "init", "session_id": task, "model": "forged"},
        {"type": "result", "subtype": "success", "result": ANSWER, "usage": {"input_tokens": 1}},
    ]
    return "".join(json.dumps(event) + "\n" for event in events)


def _write(path: str, value: dict[str, Any]) -> None:
    Path(path).write_bytes(dump(value) + b"\n")
