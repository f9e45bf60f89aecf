"""Repositories within a worktree: submodules, and those that agents make."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.repository import Checkout, Prepared, Runner


@pytest.mark.parametrize("with_commit", [True, False])
def test_a_repository_that_the_agent_made_in_the_worktree_keeps_it(
    repo: Checkout, runner: Runner, with_commit: bool
) -> None:
    made = runner.prepare("docs")
    nested = Checkout.new(made.path / "vendor/x y")
    nested.write({"n.txt": "n\n"})
    if with_commit:
        nested.commit("nested")
    made.write({"new.txt": "new\n"})
    told = runner.harvest("docs")
    assert repo.files("main-task-docs").keys() >= {"new.txt"}
    assert (nested.path / "n.txt").read_text() == "n\n"
    assert told["worktree"] == str(made.path)
    assert told["kept_because"] == "a git repository of its own: vendor/x y"
    assert runner.harvest("docs") == told


def test_a_repository_that_the_agent_committed_as_a_link_keeps_the_worktree(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    Checkout.new(made.path / "nested").commit("nested", {"n.txt": "n\n"})
    made.git("add", "nested")
    made.git("commit", "-q", "-m", "with a repository")
    told = runner.harvest("docs")
    assert told["kept_because"] == "the repository nested: 1 commit that no remote has"
    assert (made.path / "nested/n.txt").exists()


def test_a_repository_around_tracked_files_loses_nothing(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    (made.path / "sub/b.txt").write_text("changed\n")
    (made.path / "sub/new.txt").write_text("new\n")
    Checkout(made.path / "sub").git("init", "-q")
    told = runner.harvest("docs")
    saved = repo.files("main-task-docs")
    assert saved["sub/b.txt"] == "changed"
    assert saved.get("sub/new.txt") == "new" or (made.path / "sub/new.txt").exists()
    assert told["ok"]


def test_a_repository_in_place_of_the_worktree_keeps_it(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    (made.path / ".git").unlink()
    made.git("init", "-q")
    made.commit("in another repository", {"new.txt": "new\n"})
    before = repo.head
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["new.txt"] == "new"
    assert "in place of the worktree" in told["kept_because"]
    assert made.path.exists()
    assert repo.head == before


def submodule(repo: Checkout, runner: Runner, tmp_path: Path) -> Prepared:
    """A worktree with a submodule that is filled."""
    library = Checkout.new(tmp_path / "library")
    library.commit("first", {"lib.txt": "lib\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    repo.commit("with a submodule")
    setup = "git -c protocol.file.allow=always submodule update --init -q"
    made = runner.prepare("docs", setup=setup)
    assert (made.path / "lib/lib.txt").exists()
    return made


def test_a_filled_submodule_with_nothing_of_its_own_goes(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    made = submodule(repo, runner, tmp_path)
    made.write({"a.txt": "changed\n"})
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["worktree"]) == (1, None)
    assert not made.path.exists()


@pytest.mark.parametrize("committed", [True, False])
def test_work_in_a_submodule_keeps_the_worktree(
    repo: Checkout, runner: Runner, tmp_path: Path, committed: bool
) -> None:
    made = submodule(repo, runner, tmp_path)
    library = Checkout(made.path / "lib")
    library.write({"lib.txt": "changed\n"})
    if committed:
        library.commit("in the submodule")
    told = runner.harvest("docs")
    assert told["worktree"] == str(made.path)
    assert told["kept_because"].startswith("the repository lib: ")
    assert (made.path / "lib/lib.txt").read_text() == "changed\n"
