"""A session's folder and its copies: one of them is at work, and nothing of it runs twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.executors.copies import check_copies
from cpr_nb.executors.local import stopped_runner
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.runner import process
from cpr_nb.store.files import hold_lock, share_lock
from cpr_nb.store.folder_id import folder_id
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.request_folder import make_folder

ID = "0a1b2c3d-0000-4000-8000-000000000002"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CPR_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def write_runner(root: Path, **fields: Any) -> None:
    told = {"pid": 1, "folder": str(root), "folder_id": folder_id(str(root))}
    (root / "runner.json").write_text(json.dumps({**told, **fields}))


@pytest.fixture
def original(tmp_path: Path) -> Path:
    root = tmp_path / "results" / f"session-{ID}"
    root.mkdir(parents=True)
    (root / "runner.lock").touch()
    (root / "task-a.jsonl").touch()
    write_runner(root)
    return root


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> SessionPaths:
    return SessionPaths(str(shutil.copytree(original, tmp_path / "copy" / original.name)))


def refusal(paths: SessionPaths, verb: str) -> str:
    """Why it is refused; empty if it is not."""
    try:
        check_copies(paths, ID, verb)
    except SessionNotUsable as error:
        return str(error)
    return ""


def lock_runner(root: Path) -> int:
    return hold_lock(f"{root}/runner.lock", new=False)


def open_stream(root: Path) -> int:
    """What an agent has that can't be seen: its runner's descriptor, inherited."""
    fd = os.open(root / "task-a.jsonl", os.O_WRONLY)
    share_lock(fd)
    agents = os.dup(fd)
    os.close(fd)
    return agents


@pytest.mark.parametrize("verb", ["resume", "cancel"])
@pytest.mark.parametrize("hold", [lock_runner, open_stream])
def test_a_copy_is_refused_while_its_original_is_at_work(
    original: Path, copy: SessionPaths, verb: str, hold: Callable[[Path], int]
) -> None:
    fd = hold(original)
    try:
        assert refusal(copy, verb) == (
            f"can't {verb} {ID}: it is at work in another folder: {original}, and one of the two "
            "is a copy; wait for its end there, or cancel it there first"
        )
        assert refusal(SessionPaths(str(original)), verb) == ""
    finally:
        os.close(fd)


def test_a_copy_is_not_resumed_beside_its_original(original: Path, copy: SessionPaths) -> None:
    assert refusal(copy, "resume") == (
        f"can't resume {ID}: this folder is a copy of {original}, which is still there; "
        "resume that one, or remove it first"
    )
    assert refusal(copy, "cancel") == ""
    shutil.rmtree(original)
    assert refusal(copy, "resume") == ""


def test_a_folder_that_was_renamed_is_no_copy(original: Path) -> None:
    renamed = original.parent.rename(original.parent.with_name("renamed"))
    assert refusal(SessionPaths(f"{renamed}/{original.name}"), "resume") == ""


def test_a_folder_that_another_machine_numbers_otherwise_is_no_copy(original: Path) -> None:
    write_runner(original, folder_id="77-1")
    assert refusal(SessionPaths(str(original)), "resume") == ""


@pytest.mark.parametrize("renamed", [False, True])
def test_whichever_folder_has_a_runner_the_other_one_is_refused(
    original: Path, copy: SessionPaths, renamed: bool
) -> None:
    if renamed:
        original = original.rename(original.with_name("elsewhere"))
    paths = SessionPaths(str(original))
    folders = [make_folder(one, ID)[0] for one in (paths, copy)]
    assert folders[0] != folders[1], "requests to one never reach the other"
    code = (
        f"from cpr_nb.store.requests import show_reader as s; s({folders[1]!r}); print(); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as runner:
        assert runner.stdin is not None and runner.stdout is not None
        runner.stdout.readline()
        assert "it is at work in another folder, and one of" in refusal(paths, "resume")
        runner.stdin.write(b"\n")
    assert refusal(paths, "resume") == ""


@pytest.mark.parametrize(
    "forged",
    [
        {"folder": 7},
        {"folder": "a\0b"},
        {"folder": "relative"},
        {"folder": "/no/such/folder"},
        {"folder": None, "folder_id": ["x"]},
        {"folder_id": "../../x"},
        {"folder": "/"},
    ],
)
def test_a_forged_runner_json_refuses_nothing_that_is_no_copy(
    original: Path, forged: dict[str, Any]
) -> None:
    write_runner(original, **forged)
    assert refusal(SessionPaths(str(original)), "resume") == ""


def test_agents_of_another_folder_are_seen(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that the version before has started, whose tokens have no identity."""
    paths, own = SessionPaths(str(original)), folder_id(str(original))
    for token, is_refused in ((f"{ID}/{own}/a@1", False), (f"{ID}/77-1/a@1", True)):
        monkeypatch.setattr("cpr_nb.executors.copies.find_marked", lambda _, t=token: {t: [77]})
        assert ("(process 77)" in refusal(paths, "resume")) == is_refused


def test_a_pid_of_another_namespace_is_no_runner_of_ours(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cpr_nb.executors.local.is_stopped", lambda *_: True)
    paths = SessionPaths(str(original))
    for namespace, pid in ((process.pid_namespace(), 1), ("pid:[1]", None)):
        write_runner(original, start_time="1", boot_id="b", pid_namespace=namespace)
        assert stopped_runner(paths) == pid
