"""No git of ours runs a program that a repository inside of a worktree names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from testkit.repository import Checkout, Prepared, Runner

from cpr_nb.worktrees.cleaning import clean
from cpr_nb.worktrees.conflicts import conflicts
from cpr_nb.worktrees.listing import worktrees
from cpr_nb.worktrees.merging import merge


def arm(inner: Checkout, marker: Path) -> None:
    """Has a repository name a program that only leaves a mark, for every file that git compares."""
    inner.write({".gitattributes": "* filter=mark\n"})
    inner.git("config", "filter.mark.clean", f"touch {marker}; cat")
    inner.git("config", "core.fsmonitor", f"touch {marker}; false")
    for file in inner.path.iterdir():
        if file.is_file():
            os.utime(file, ns=(0, 0))
    marker.unlink(missing_ok=True)


def _everything(runner: Runner, task_id: str = "docs") -> dict[str, Any]:
    """A harvest, and what every interface does afterwards."""
    told = runner.harvest(task_id)
    runner.end()
    folder = str(runner.folder)
    worktrees([folder])
    conflicts([folder])
    clean([folder], dry_run=True)
    merge([folder], dry_run=True)
    merge([folder])
    clean([folder])
    return told


@pytest.mark.parametrize("unreadable", [False, True])
def test_no_program_of_a_repository_inside_runs(
    made: Prepared, runner: Runner, tmp_path: Path, unreadable: bool
) -> None:
    kinds = {"submodule": "lib", "around tracked files": "sub", "linked": "l", "untracked": "u"}
    for kind, name in kinds.items():
        inner = Checkout(made.path / name)
        if kind != "submodule":
            inner.path.mkdir(exist_ok=True)
            inner.git("init", "-q")
            inner.commit("inner", {"n.txt": "n\n"})
        if kind == "linked":
            made.git("add", name)
            inner.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
            inner.git("symbolic-ref", "HEAD", "refs/heads/alias")
            inner.commit("second, found by git alone", {"n.txt": "second\n"})
    made.write({".gitmodules": GITMODULES, "new.txt": "new\n"})
    made.git("config", "submodule.linked.ignore", "none")
    if unreadable:  # git can't add everything at once then
        made.write({"broken.txt": "x\n", ".gitattributes": "broken.txt filter=broken\n"})
        made.git("config", "filter.broken.clean", "false")
        made.git("config", "filter.broken.required", "true")
    markers = {kind: tmp_path / f"ran-{name}" for kind, name in kinds.items()}
    for kind, name in kinds.items():
        arm(Checkout(made.path / name), markers[kind])
    told = _everything(runner)
    assert [kind for kind, marker in markers.items() if marker.exists()] == []
    assert told["worktree"] == str(made.path)
    assert [name for name in kinds.values() if not (made.path / name).exists()] == []


GITMODULES = """[submodule "lib"]
\tpath = lib
\turl = ../library
\tignore = none
[submodule "linked"]
\tpath = l
\turl = ../linked
\tignore = none
"""


def test_no_program_of_a_repository_runs_that_is_in_place_of_another_worktree(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    """The agent made a worktree, and then led it to a repository of its own."""
    made = runner.prepare("docs")
    other = Checkout(tmp_path / "other")
    made.git("worktree", "add", "-q", "-b", "extra", str(other.path))
    (other.path / ".git").unlink()
    other.git("init", "-q")
    other.commit("its own", {"n.txt": "n\n"})
    marker = tmp_path / "ran"
    arm(other, marker)
    said = {"type": "assistant", "message": {"content": f"see {other.path} and extra"}}
    (runner.folder / "task-docs.jsonl").write_text(json.dumps(said) + "\n")
    told = _everything(runner)
    assert not marker.exists()
    assert str(other.path) in "".join(told["elsewhere"])
