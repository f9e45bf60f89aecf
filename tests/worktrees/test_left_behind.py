"""Commits that only a worktree's own git directory names get a branch before it is removed."""

from __future__ import annotations

from pathlib import Path

from testkit.repository import Checkout, Prepared, Runner

from cpr_nb.worktrees.saving import save
from cpr_nb.worktrees.worktree import Worktree

SAVED = "commits that were on no branch are saved: main-task-docs-rescued"


def _commit_detached(made: Prepared, name: str) -> None:
    made.git("checkout", "-q", "--detach", made.base)
    made.commit(name, {f"{name}.txt": "work\n"})


def test_a_detached_commit_that_was_left_is_saved(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    _commit_detached(made, "detached")
    made.git("checkout", "-q", made.branch)
    told = runner.harvest("docs")
    assert repo.files("main-task-docs-rescued")["detached.txt"] == "work"
    assert (told["notes"], told["rescued_branch"]) == ([SAVED], "main-task-docs-rescued")
    assert (told["n_commits"], told["worktree"]) == (0, None)


def test_each_of_them_is_saved_beside_what_can_not_follow_from_the_branch(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.commit("mine", {"a.txt": "mine\n"})
    _commit_detached(made, "own")
    made.git("update-ref", "refs/worktree/own", "HEAD")
    made.git("reset", "-q", "--hard", made.base)
    made.commit("theirs", {"a.txt": "theirs\n"})
    made.git("branch", "theirs")
    made.git("checkout", "-q", made.branch)
    made.write({"sub/b.txt": "aside\n"})
    made.git("rebase", "-q", "--autostash", "theirs", ok=False)
    told = runner.harvest("docs")
    names = [f"main-task-docs-rescued{number}" for number in ("", "-2", "-3")]
    assert [name for name in repo.branches() if "rescued" in name] == names
    saved = [repo.files(name) for name in names]
    assert "own.txt" in saved[1] and saved[2]["sub/b.txt"] == "aside"
    assert told["notes"][-1] == f"commits that were on no branch are saved: {', '.join(names[1:])}"
    assert told["rescued_branch"] == names[0]


def test_what_a_branch_or_a_tag_has_or_was_undone_is_left_alone(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    _commit_detached(made, "kept")
    made.git("tag", "kept")
    made.git("checkout", "-q", made.branch)
    made.commit("first try", {"c.txt": "c\n"})
    made.git("commit", "-q", "--amend", "-m", "second try")
    made.commit("not that", {"d.txt": "d\n"})
    made.git("reset", "-q", "--hard", "HEAD~1")
    made.git("checkout", "-q", "-b", "experiment")
    made.commit("no good", {"e.txt": "e\n"})
    made.git("checkout", "-q", made.branch)
    made.git("branch", "-q", "-D", "experiment")
    told = runner.harvest("docs")
    assert (told["notes"], told["rescued_branch"], told["n_commits"]) == ([], None, 1)


def test_a_second_try_says_the_same(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    """The first one may have been killed before it wrote down what it had done."""
    made = runner.prepare("docs")
    _commit_detached(made, "detached")
    made.git("checkout", "-q", made.branch)
    common = str(repo.path / ".git")
    worktree = Worktree(common, str(made.path), str(made.admin), made.branch, made.base)
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        saved = save(worktree, str(folder), runner.session_id, "docs", {}, 0)
        assert (saved.notes, saved.rescued_branch) == ([SAVED], "main-task-docs-rescued")
