"""A task's branch and worktree, before the agent starts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner, answer_of, start_helper

NewRunner = Callable[[], Runner]


def test_a_task_gets_a_branch_and_a_worktree_beside_the_repository(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    assert made.branch == "main-task-docs"
    assert made.path == Path(f"{repo.path}-worktrees/main-task-docs")
    assert made.cwd == made.path
    assert made.base == made.answer["start_commit"] == made.head == repo.head
    assert made.git("symbolic-ref", "HEAD") == "refs/heads/main-task-docs"
    assert made.git("status", "--porcelain") == ""
    assert (made.path / "sub/b.txt").read_text() == "b\n"


def test_the_main_checkout_is_not_touched(repo: Checkout, runner: Runner) -> None:
    repo.write({"a.txt": "stashed\n"})
    repo.git("stash")
    repo.write({"a.txt": "changed\n", "staged.txt": "staged\n", "own.txt": "mine\n"})
    repo.git("add", "staged.txt")
    os.utime(repo.path / "sub/b.txt")  # a git that refreshes the index would write it
    before = repo.state()
    made = runner.prepare("docs")
    assert repo.state() == before
    assert not (made.path / "own.txt").exists()
    made.commit("work", {"c.txt": "c\n"})
    made.write({"d.txt": "d\n"})
    runner.harvest("docs")
    assert repo.state() == before


def test_the_branch_is_named_after_the_current_one(repo: Checkout, runner: Runner) -> None:
    repo.git("switch", "-q", "-c", "feature/x")
    made = runner.prepare("docs")
    assert made.branch == "feature/x-task-docs"
    assert made.path.name == "feature-x-task-docs"


def test_the_runner_may_say_what_the_current_branch_was(repo: Checkout, runner: Runner) -> None:
    repo.git("switch", "-q", "-c", "later")
    assert runner.prepare("docs", current_branch="main").branch == "main-task-docs"


def test_base_is_where_the_branch_begins(repo: Checkout, runner: Runner) -> None:
    first = repo.head
    repo.git("tag", "-a", "-m", "v1", "v1")
    repo.commit("second", {"later.txt": "later\n"})
    made = runner.prepare("docs", base="v1")
    assert (made.base, made.head) == (first, first)
    assert not (made.path / "later.txt").exists()
    assert made.branch == "main-task-docs"


@pytest.mark.parametrize("base", ["nowhere", "--detach", "HEAD:a.txt"])
def test_a_base_that_is_no_commit_fails_the_task(repo: Checkout, runner: Runner, base: str) -> None:
    assert f"base={base!r} is not a commit" in runner.refused("docs", base=base)
    assert repo.branches() == ["main"]
    assert not Path(f"{repo.path}-worktrees").exists()


def test_a_task_in_a_subfolder_works_in_the_same_subfolder(repo: Checkout, runner: Runner) -> None:
    (repo.path / "sub/new").mkdir()
    link = repo.path.parent / "link"
    link.symlink_to(repo.path / "sub")
    assert runner.prepare("a", cwd=repo.path / "sub").cwd.parts[-2:] == ("main-task-a", "sub")
    assert runner.prepare("b", cwd=link).cwd.parts[-2:] == ("main-task-b", "sub")
    made = runner.prepare("c", cwd=repo.path / "sub/new")
    assert made.cwd == made.path / "sub/new"
    assert made.cwd.is_dir()


@pytest.mark.parametrize("given", ["{tmp}/elsewhere", "../elsewhere", "~/elsewhere"])
def test_worktree_dir_is_where_worktrees_go(
    repo: Checkout, runner: Runner, tmp_path: Path, given: str
) -> None:
    made = runner.prepare("docs", worktree_dir=given.replace("{tmp}", str(tmp_path)))
    parent = tmp_path / "home" if given.startswith("~") else tmp_path
    assert made.path == parent / "elsewhere" / "main-task-docs"
    runner.harvest("docs")
    assert not made.path.exists()


@pytest.mark.parametrize("given", [".", "sub", ".git/x", "../shop/deep/er"])
def test_a_worktree_never_goes_inside_of_the_repository(
    repo: Checkout, runner: Runner, given: str
) -> None:
    assert "must be outside" in runner.refused("docs", worktree_dir=given)
    assert repo.worktrees() == [str(repo.path)]


def test_a_folder_that_is_in_the_way_is_left_alone(repo: Checkout, runner: Runner) -> None:
    taken = Path(f"{repo.path}-worktrees/main-task-docs")
    taken.mkdir(parents=True)
    (taken / "own.txt").write_text("mine")
    made = runner.prepare("docs")
    assert made.path.name == "main-task-docs-2"
    runner.harvest("docs")
    assert (taken / "own.txt").read_text() == "mine"


def test_a_branch_that_is_not_ours_fails_the_task_and_stays(repo: Checkout, runner: Runner) -> None:
    repo.git("branch", "main-task-docs")
    repo.commit("second", {"later.txt": "later\n"})
    before = repo.git("for-each-ref")
    assert "was not made by cpr" in runner.refused("docs")
    assert "was not made by cpr" in runner.refused("docs")
    assert runner.harvest("docs")["branch"] is None
    assert repo.git("for-each-ref") == before
    assert repo.worktrees() == [str(repo.path)]


def test_a_branch_of_another_session_fails_the_task_and_stays(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    runner.prepare("docs").commit("mine", {"c.txt": "c\n"})
    runner.harvest("docs")
    before = repo.git("for-each-ref")
    told = new_runner().refused("docs")
    assert f"made for task docs of session {runner.session_id}" in told
    assert repo.git("for-each-ref") == before


def test_a_detached_head_gives_its_commit_as_the_name(repo: Checkout, runner: Runner) -> None:
    repo.git("checkout", "-q", "--detach")
    made = runner.prepare("docs")
    assert made.branch == f"{repo.git('rev-parse', '--short', 'HEAD')}-task-docs"
    assert made.base == repo.head


def test_a_bare_repository_is_an_error(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    assert "bare repository" in runner.refused("docs", cwd=tmp_path / "bare.git")


def test_a_worktree_of_a_bare_repository_is_a_checkout_like_any(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    Checkout(tmp_path / "bare.git").git("worktree", "add", "-q", str(tmp_path / "one"), "main")
    made = runner.prepare("docs", cwd=tmp_path / "one")
    assert made.path == tmp_path / "one-worktrees" / "main-task-docs"
    made.write({"new.txt": "new\n"})
    assert runner.harvest("docs")["n_files_changed"] == 1


def test_a_session_that_starts_from_a_worktree_uses_its_branch_and_the_same_place(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "far" / "side"))
    side = Checkout(tmp_path / "far" / "side")
    side.commit("on the side", {"side.txt": "side\n"})
    made = runner.prepare("docs", cwd=side.path)
    assert (made.branch, made.base) == ("side-task-docs", side.head)
    assert made.path.parent == Path(f"{repo.path}-worktrees")


def test_a_shallow_clone_will_do(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    repo.commit("second", {"later.txt": "later\n"})
    repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    made = runner.prepare("docs", cwd=tmp_path / "shallow")
    made.commit("work", {"c.txt": "c\n"})
    told = runner.harvest("docs")
    assert (told["n_commits"], told["n_files_changed"], told["worktree"]) == (1, 1, None)


def test_a_sparse_checkout_stays_sparse(repo: Checkout, runner: Runner) -> None:
    repo.commit("more", {"other/c.txt": "c\n"})
    repo.git("sparse-checkout", "set", "sub")
    made = runner.prepare("docs")
    assert not (made.path / "other").exists()
    made.write({"sub/new.txt": "new\n", "other/outside.txt": "outside\n"})
    assert runner.harvest("docs")["n_files_changed"] == 2
    files = repo.files("main-task-docs")
    assert files["other/c.txt"] == "c"
    assert files["other/outside.txt"] == "outside"


def test_a_repository_without_a_commit_is_an_error(runner: Runner, tmp_path: Path) -> None:
    empty = Checkout.new(tmp_path / "empty")
    assert "has no commit yet" in runner.refused("docs", cwd=empty.path)


def test_a_folder_in_no_repository_is_an_error(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert "is not in a git repository" in runner.refused("docs", cwd=tmp_path / "plain")
    assert "is not a folder" in runner.refused("docs", cwd=tmp_path / "missing")


def test_a_folder_in_the_git_directory_is_an_error(repo: Checkout, runner: Runner) -> None:
    assert "inside a git directory" in runner.refused("docs", cwd=repo.path / ".git/hooks")


def test_a_machine_without_git_is_reported(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    runner.env = {"PATH": str(tmp_path)}
    assert "git" in runner.refused("docs")


def test_a_submodule_stays_empty_and_is_reported(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    library = Checkout.new(tmp_path / "library")
    library.commit("first", {"lib.txt": "lib\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    repo.commit("with a submodule")
    before = repo.state()
    made = runner.prepare("docs")
    assert list((made.path / "lib").iterdir()) == []
    assert any("submodule" in note for note in made.answer["notes"])
    made.write({"a.txt": "mine\n"})
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["worktree"]) == (1, None)
    assert not made.path.exists()
    assert repo.state() == before


def test_a_task_in_a_submodule_works_beside_the_superproject(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    library = Checkout.new(tmp_path / "library")
    library.commit("first", {"lib.txt": "lib\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    repo.commit("with a submodule")
    made = runner.prepare("docs", cwd=repo.path / "lib")
    assert made.path.parent == Path(f"{repo.path}-worktrees")
    made.write({"lib.txt": "changed\n"})
    assert runner.harvest("docs")["n_files_changed"] == 1
    assert repo.git("status", "--porcelain") == ""


def test_a_second_time_changes_nothing(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs", setup="echo done >> ../times")
    made.write({"a.txt": "half an edit", "new.txt": "new\n"})
    made.git("add", "new.txt")
    index = (made.admin / "index").read_bytes()
    repo.commit("the user goes on", {"later.txt": "later\n"})
    again = runner.prepare("docs", setup="echo done >> ../times")
    assert again.answer == made.answer
    assert (made.path / "a.txt").read_text() == "half an edit"
    assert (made.admin / "index").read_bytes() == index
    assert (made.path.parent / "times").read_text() == "done\n"


def test_a_worktree_that_the_agent_has_removed_is_made_again_from_its_branch(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    commit = made.commit("work", {"c.txt": "c\n"})
    shutil.rmtree(made.path)
    again = runner.prepare("docs")
    assert (again.head, again.base) == (commit, made.base)
    assert (again.path / "c.txt").read_text() == "c\n"


def test_a_worktree_whose_link_is_broken_never_leads_to_another_repository(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs", worktree_dir="../nest")
    Checkout(made.path.parent).git("init", "-q")  # what git would find instead
    (made.path / ".git").unlink()
    made.write({"new.txt": "new\n"})
    again = runner.prepare("docs", worktree_dir="../nest")
    assert again.git("rev-parse", "--show-toplevel") == str(again.path)
    assert (again.path / "new.txt").read_text() == "new\n"  # saved on the branch


def test_a_task_never_starts_in_a_folder_that_is_no_worktree_of_its_own(
    repo: Checkout, runner: Runner
) -> None:
    nest = Checkout.new(repo.path.parent / "nest")  # what git finds instead
    told = runner.refused("docs", worktree_dir="../nest", setup="rm .git")
    assert f"git says {nest.path}" in told
    assert not (nest.path / ".git/index").exists()


def test_a_folder_that_came_to_a_place_that_was_chosen_is_left_alone(
    repo: Checkout, runner: Runner
) -> None:
    """The helper was killed when it had chosen the place, and somebody else came."""
    made = runner.prepare("docs")
    file = runner.folder / "task-docs.worktree.json"
    note = json.loads(file.read_text()) | {"stage": "making", "admin_dir": ""}
    repo.git("worktree", "remove", "--force", str(made.path))
    file.write_text(json.dumps(note))
    Checkout(made.path).write({"own.txt": "mine\n"})
    again = runner.prepare("docs")
    assert again.path.name == "main-task-docs-2"
    assert (made.path / "own.txt").read_text() == "mine\n"


def test_an_order_that_is_none_is_answered() -> None:
    helper = start_helper("prepare", {})
    told = answer_of(helper)
    assert (told["ok"], told["error"]) == (False, "'session_folder' is missing")
    done = subprocess.run(
        [sys.executable, "-m", "cpr_nb.worktrees", "prepare"], input=b"{", capture_output=True
    )
    assert not json.loads(done.stdout)["ok"]
    done = subprocess.run([sys.executable, "-m", "cpr_nb.worktrees", "x"], capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_place_that_cannot_be_written_is_reported(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert "Not a directory" in runner.refused("docs", worktree_dir=str(tmp_path / "file/x"))
    assert runner.harvest("docs")["branch"] is None


def test_a_name_that_git_refuses_is_reported(repo: Checkout, runner: Runner) -> None:
    repo.git("branch", "main-task-docs/deeper")
    assert "main-task-docs" in runner.refused("docs")
    assert repo.branches() == ["main", "main-task-docs/deeper"]
    assert not Path(f"{repo.path}-worktrees").exists()
