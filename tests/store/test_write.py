"""Writing a session's folder: whole, durable and private, or not at all."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.model.errors import ResultsDirError
from cpr_nb.model.record import first_head
from cpr_nb.runner.session_spec import SessionSpec
from cpr_nb.store import create as store_create
from cpr_nb.store.create import NewSession
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.write import open_append, write_new

ASKED: dict[str, Any] = {
    "session_id": "s-1",
    "name": "é \ud800 name",
    "created_at": "2026-01-01T00:00:00.000Z",
    "start_time": 1767225600,
    "cwd": "/tmp",
    "options": {"timeout_s": 5.0, "schema": {"type": "object"}},
    "env_names": [],
    "max_parallel": 2,
    "claude_path": "/bin/true",
    "executor": "local",
    "parent_session_id": None,
}
TASKS: list[dict[str, Any]] = [
    {"id": "a", "prompt": "first\nprompt \u2028 é", "options": {}},
    {"id": "b", "prompt": "x" * 60, "options": {"timeout_s": 9.0}},
]


def create(
    results: Path, session_id: str = "s-1", tasks: list[dict[str, Any]] = TASKS
) -> tuple[SessionPaths, str]:
    """Makes a session's folder, and releases its lock."""
    head = first_head({**ASKED, "session_id": session_id}, len(tasks))
    with NewSession(str(results), session_id) as new:
        return new.paths, new.complete(ASKED, tasks, head)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def names_in(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


# -- a new session ----------------------------------------------------------------------------


def test_a_new_session_is_complete_and_only_its_owner_may_look(tmp_path: Path) -> None:
    paths, _ = create(tmp_path / "r")
    assert paths.root == f"{tmp_path}/r/session-s-1"
    found = {path.name: mode(path) for path in Path(paths.root).iterdir()}
    assert found == {
        "status.json": 0o600,
        "session.json": 0o600,
        "runner.lock": 0o600,
    }
    assert mode(paths.root) == 0o700


def test_a_loose_umask_opens_nothing_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        paths, _ = create(tmp_path / "r")
        append_fd = open_append(paths.journal)
        os.close(append_fd)
    finally:
        os.umask(before)
    folder = Path(paths.root)
    for path in [folder.parent, folder, *folder.iterdir()]:
        assert mode(path) & 0o077 == 0, path


def test_a_new_results_directory_never_makes_a_checkout_dirty(tmp_path: Path) -> None:
    create(tmp_path / "deep" / "r")
    assert (tmp_path / "deep" / "r" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("umask", "expected"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644), (0, 0o644)]
)
def test_its_gitignore_honours_the_umask_and_only_its_owner_may_write_it(
    tmp_path: Path, umask: int, expected: int
) -> None:
    before = os.umask(umask)
    try:
        create(tmp_path / "r")
    finally:
        os.umask(before)
    assert mode(tmp_path / "r" / ".gitignore") == expected


def test_a_results_directory_that_was_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    create(tmp_path)
    assert names_in(tmp_path) == ["session-s-1"]
    assert mode(tmp_path) == 0o755


def test_the_lock_is_held_from_the_first_moment_and_not_inherited(tmp_path: Path) -> None:
    def is_held(path: str) -> bool:
        with Path(path).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    with NewSession(str(tmp_path), "s-1") as new:
        assert not os.get_inheritable(new.lock_fd)
        assert is_held(f"{tmp_path}/.new-session-s-1/runner.lock")
        new.complete(ASKED, TASKS, first_head({**ASKED, "session_id": "s-1"}, len(TASKS)))
        assert is_held(new.paths.lock)
    assert not is_held(new.paths.lock)


def test_the_runner_reads_back_what_was_asked_to_the_letter(tmp_path: Path) -> None:
    paths, sha256 = create(tmp_path)
    asked = SessionSpec(paths.session, sha256)
    bases = list(asked.read_tasks())
    assert asked.session == ASKED
    assert [asked.task(number) for number in (1, 0, 1)] == [TASKS[1], TASKS[0], TASKS[1]]
    assert [base["transaction_id"] for base in bases] == ["a", "b"]
    assert [plan.timeout_s for plan in asked.plans] == [5.0, 9.0]
    assert all(plan.schema for plan in asked.plans)
    with Path(paths.session).open("rb") as file:
        assert json.load(file) == {**ASKED, "tasks": TASKS, "seal": None}


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
@example(["a\u2028b\u0085c\r\nd", "]}", ',\n"tasks":[\n', '"', "\\"])
def test_the_runner_reads_back_any_prompts(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[str]
) -> None:
    tasks = [{"id": f"t{n}", "prompt": prompt, "options": {}} for n, prompt in enumerate(prompts)]
    results = tmp_path_factory.mktemp("r")
    paths, sha256 = create(results, "s-1", tasks)
    asked = SessionSpec(paths.session, sha256)
    assert len(list(asked.read_tasks())) == len(tasks)
    assert [asked.task(number) for number in range(len(tasks))] == tasks


# -- or nothing -------------------------------------------------------------------------------


def left_behind(results: Path) -> list[str]:
    return [name for name in names_in(results) if name != ".gitignore"]


def open_descriptors() -> int:
    return len(names_in("/proc/self/fd"))


def test_a_results_directory_below_a_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsDirError, match=r"file/r: Not a directory"):
        create(tmp_path / "file" / "r")
    with pytest.raises(ResultsDirError, match="can't write to the results directory"):
        create(tmp_path / "file")


def test_a_session_that_cannot_get_its_name_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "session-s-1" / "theirs").mkdir(parents=True)
    before = open_descriptors()
    with pytest.raises(ResultsDirError, match="Directory not empty"):
        create(tmp_path)
    assert left_behind(tmp_path) == ["session-s-1"]
    assert names_in(tmp_path / "session-s-1") == ["theirs"]
    assert open_descriptors() == before, "the lock is still open"


@pytest.mark.parametrize("limit", [0, 1, 200, 400, 700])
def test_a_disk_that_is_full_in_the_middle_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """A limit of the size of files fails like a full disk, after so many bytes of a file."""
    code = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from cpr_nb.model.errors import ResultsDirError
from cpr_nb.store.create import NewSession
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
tasks = [{{"id": "a", "prompt": "x" * 900, "options": {{}}}}]
try:
    with NewSession({str(tmp_path)!r}, "s-1") as new:
        new.complete({{"a": 1}}, tasks, {{"session_id": "x" * 500}})
except ResultsDirError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"can't write to the results directory {tmp_path}: File too large\n"
    assert done.stderr == ""
    assert left_behind(tmp_path) == []


def test_a_disk_that_fails_at_the_very_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store_create, "_sync_dir", fail)
    before = open_descriptors()
    with pytest.raises(ResultsDirError, match="Input/output error"):
        create(tmp_path)
    assert left_behind(tmp_path) == []
    assert open_descriptors() == before


def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    class CtrlC(list[dict[str, Any]]):
        def __iter__(self) -> Any:
            raise KeyboardInterrupt

    before = open_descriptors()
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path, "s-1", CtrlC(TASKS))
    assert left_behind(tmp_path) == []
    assert open_descriptors() == before, "the lock is still open"


def test_sessions_that_are_created_at_once_in_a_new_directory_all_succeed(tmp_path: Path) -> None:
    """Each process waits at a pipe until all are ready, then all rush off together."""
    code = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from cpr_nb.store.create import NewSession
print("ready", flush=True)
for line in sys.stdin:
    results, session_id = line.split()
    with NewSession(results, session_id) as new:
        new.complete({{"a": 1}}, [], {{"overall_status": "running"}})
    print("created", flush=True)
"""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        assert [racer.stdout.readline() for racer in racers if racer.stdout] == ["ready\n"] * 2
        for turn in range(100):
            for number, racer in enumerate(racers):
                assert racer.stdin is not None
                racer.stdin.write(f"{tmp_path}/{turn} {number}\n")
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.flush()
            for racer in racers:
                assert racer.stdout is not None and racer.stderr is not None
                assert racer.stdout.readline() == "created\n", racer.stderr.read()
            assert (tmp_path / str(turn) / ".gitignore").read_text() == "*\n"
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def test_removing_a_session_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    with NewSession(str(tmp_path), "s-1") as new:
        new.complete(ASKED, TASKS, first_head({**ASKED, "session_id": "s-1"}, len(TASKS)))
    new.abandon()
    new.abandon()
    assert left_behind(tmp_path) == []


# -- durable ----------------------------------------------------------------------------------


def test_everything_is_on_the_disk_before_the_session_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        events.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        real_fsync(fd)

    def rename(old: str, new: str) -> None:
        events.append("renamed")
        real_rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    create(tmp_path / "r")
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    assert {"session.json.tmp", "status.json.tmp"} <= set(before)
    assert ".new-session-s-1" in before, "the folder's own entries may be lost with the power"
    assert after == ["r"]


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_new(str(path), b"old")
    with path.open("rb") as reader:
        write_new(str(path), b"new", durable=True)
        assert reader.read() == b"old", "who had it open reads the old one to its end"
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["f"]
    assert mode(path) == 0o600
