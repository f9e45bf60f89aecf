"""Repositories within a worktree: submodules, and those that agents make."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from testkit.repository import Checkout, Prepared, Runner

from cpr_nb.worktrees.cleaning import clean
from cpr_nb.worktrees.listing import worktrees
from cpr_nb.worktrees.nested import work_in


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
    assert told["kept_because"] == "the repository nested: .git is newer than set-up"
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


def test_a_repository_around_tracked_files_keeps_the_worktree(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    inner = Checkout(made.path / "sub")
    inner.git("init", "-q")
    inner.commit("only here", {"b.txt": "b\n"})
    told = runner.harvest("docs")
    assert told["kept_because"] == "a git repository of its own: sub"
    assert inner.log("HEAD") == ["only here"]


def test_work_in_a_submodule_keeps_the_worktree(made: Prepared, runner: Runner) -> None:
    made.write({"lib/lib.txt": "changed\n"})
    told = runner.harvest("docs")
    assert told["worktree"] == str(made.path)
    assert told["kept_because"] == "the repository lib: lib.txt is newer than set-up"
    assert (made.path / "lib/lib.txt").read_text() == "changed\n"


def test_a_submodule_without_work_of_its_own_goes(made: Prepared, runner: Runner) -> None:
    made.write({"a.txt": "changed\n"})
    Checkout(made.path / "lib").git("status")
    made.git("status")
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["kept_because"], told["worktree"]) == (1, None, None)
    assert not made.path.exists()


class Filled(NamedTuple):
    """A repository with a submodule that set-up has filled, and the moment after that."""

    outer: Checkout
    inner: Checkout
    since_ns: int

    @property
    def work(self) -> str:
        """Why the submodule may hold work."""
        return work_in(str(self.inner.path), str(self.outer.path / ".git"), self.since_ns)


@pytest.fixture
def filled(library: Checkout, repo: Checkout) -> Filled:
    """The submodule of the main checkout, just filled."""
    os.utime(repo.path)
    since_ns = repo.path.stat().st_ctime_ns
    while repo.path.stat().st_ctime_ns == since_ns:  # the clock of the file system has ticked
        os.utime(repo.path)
    return Filled(repo, Checkout(repo.path / "lib"), since_ns)


def _edit_and_set_the_time_back(inner: Checkout) -> None:
    file = inner.path / "lib.txt"
    times = file.stat()
    file.write_text("LIBRARY\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _stash(inner: Checkout) -> None:
    inner.write({"lib.txt": "changed\n"})
    inner.git("stash", "-q")


def _commit_on_a_tag(inner: Checkout) -> None:
    was = inner.head
    inner.commit("in between", {"lib.txt": "changed\n"})
    inner.git("tag", "kept")
    inner.git("checkout", "-q", was)


def _new_files_instead_of_the_repository(inner: Checkout) -> None:
    (inner.path / ".git").unlink()
    inner.write({"new.txt": "new\n"})


def _lead_elsewhere(inner: Checkout) -> None:
    other = Checkout.new(inner.path.parent.parent / "other")
    other.commit("other", {"lib.txt": "lib\n"})
    inner.write({".git": f"gitdir: {other.path}/.git\n"})


NEWER = "is newer than set-up"
WORK: dict[str, tuple[Callable[[Checkout], object], str]] = {
    "edit": (lambda inner: inner.write({"lib.txt": "x\n"}), f"lib.txt {NEWER}"),
    "edit, time set back": (_edit_and_set_the_time_back, f"lib.txt {NEWER}"),
    "stash": (_stash, f"lib.txt {NEWER}"),
    "commit on a tag": (_commit_on_a_tag, f"lib.txt {NEWER}"),
    "ignored file": (lambda inner: inner.write({"x.tmp": "x"}), f"x.tmp {NEWER}"),
    "deletion": (lambda inner: (inner.path / "more/m.txt").unlink(), f"more/ {NEWER}"),
    "no repository": (_new_files_instead_of_the_repository, "files without a repository: "),
    "another one": (_lead_elsewhere, "its .git leads elsewhere"),
    "bytecode": (lambda inner: inner.write({"more/m.pyc": b"x"}), f"more/m.pyc {NEWER}"),
    "only a tag": (lambda inner: inner.git("tag", "mine"), f".git/refs/tags/mine {NEWER}"),
    "only an object": (
        lambda inner: inner.git("hash-object", "-w", "--stdin", feed=b"x"),
        ".git/objects/",
    ),
}


@pytest.mark.parametrize("kind", WORK)
def test_work_in_a_submodule_is_known_by_its_files(filled: Filled, kind: str) -> None:
    assert filled.work == ""
    change, reason = WORK[kind]
    change(filled.inner)
    assert filled.work.startswith(reason)


LOOKING: dict[str, list[tuple[str, ...]]] = {
    "status, log, diff": [("status",), ("log", "-p"), ("diff",), ("diff", "HEAD")],
    "fetch": [("-c", "protocol.file.allow=always", "fetch", "-q")],
    "an empty stash": [("stash", "-q")],
    "checkout of the same commit": [("checkout", "-q", "--detach"), ("checkout", "-q", ".")],
}


@pytest.mark.parametrize("kind", LOOKING)
def test_looking_at_a_submodule_is_no_work(filled: Filled, kind: str) -> None:
    if kind.startswith("checkout"):  # set-up leaves a submodule on a commit, not on a branch
        filled.inner.git("checkout", "-q", "--detach")
        os.utime(filled.outer.path)
        filled = filled._replace(since_ns=filled.outer.path.stat().st_ctime_ns)
    for words in LOOKING[kind]:
        filled.inner.git(*words)
        filled.outer.git("status")
    for file in filled.inner.path.rglob("*"):
        assert file.is_dir() or file.read_bytes() is not None
    assert filled.work == ""


def test_a_repository_that_set_up_made_goes_unless_something_in_it_changed(
    library: Checkout, runner: Runner
) -> None:
    setup = f"git clone -q {library.path} vendor"
    for task_id, kept in (("same", None), ("other", "the repository vendor: lib.txt is newer")):
        made = runner.prepare(task_id, setup=setup)
        if kept:
            made.write({"vendor/lib.txt": "changed\n"})
        told = runner.harvest(task_id)
        assert str(told["kept_because"]).startswith(str(kept))
        assert made.path.exists() == bool(kept)


def test_a_submodule_that_the_agent_filled_stays_and_says_how_it_need_not(
    library: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.git("-c", "protocol.file.allow=always", "submodule", "update", "--init", "-q")
    assert runner.harvest("docs")["kept_because"] == (
        "the repository lib: filled after set-up; "
        "with setup='git submodule update --init' it need not stay"
    )


def test_work_from_before_a_retry_keeps_the_worktree_after_it(
    made: Prepared, runner: Runner, new_runner: Callable[[], Runner]
) -> None:
    """The retry has a set-up of its own, which is later than that work."""
    made.write({"lib/lib.txt": "changed\n"})
    assert runner.harvest("docs")["worktree"] == str(made.path)
    runner.end()
    parent = {**runner.parent, "task_id": "docs"}
    for task_id in ("again", "third"):
        retry = new_runner()
        assert retry.prepare(task_id, parent=parent).path == made.path
        told = retry.harvest(task_id)
        assert told["kept_because"] == "the repository lib: lib.txt is newer than set-up"
        retry.end()
        parent = {**retry.parent, "task_id": task_id}
    assert (made.path / "lib/lib.txt").read_text() == "changed\n"


def test_status_and_clean_judge_by_the_same_rule(made: Prepared, runner: Runner) -> None:
    runner.harvest("docs", keep_worktrees=True)
    runner.end()
    folder = str(runner.folder)
    assert [row.dirty for row in worktrees([folder])] == [False]
    made.write({"lib/lib.txt": "changed\n"})
    assert [row.dirty for row in worktrees([folder])] == [True]
    kept = clean([folder]).kept
    assert [entry.why for entry in kept] == ["the repository lib: lib.txt is newer than set-up"]
    assert (made.path / "lib/lib.txt").read_text() == "changed\n"


# -- the commit that the outer repository has of the inner one -------------------------------


def test_another_commit_of_a_submodule_is_saved(
    repo: Checkout, library: Checkout, made: Prepared, runner: Runner
) -> None:
    inner = Checkout(made.path / "lib")
    inner.git("checkout", "-q", "v1")
    told = runner.harvest("docs")
    assert repo.git("rev-parse", "main-task-docs:lib") == library.git("rev-parse", "v1")
    assert (told["n_files_changed"], told["n_commits"]) == (1, 1)
    assert "Subproject commit" in Path(told["patch"]).read_text()
    assert told["worktree"] == str(made.path)


@pytest.mark.parametrize("instead", ["nothing", "a file", "a link", "a link above"])
def test_what_the_agent_put_in_place_of_a_submodule_is_saved(
    repo: Checkout, made: Prepared, runner: Runner, tmp_path: Path, instead: str
) -> None:
    shutil.rmtree(made.path / "lib")
    elsewhere = Checkout.new(tmp_path / "elsewhere")
    elsewhere.commit("elsewhere", {"e.txt": "e\n"})
    if instead == "a file":
        made.write({"lib": "text\n"})
    elif instead.startswith("a link"):
        (made.path / "lib").symlink_to(elsewhere.path)
    told = runner.harvest("docs")
    expected = {"nothing": None, "a file": "text"}.get(instead, str(elsewhere.path))
    assert repo.files("main-task-docs").get("lib") == expected
    assert (told["n_commits"], told["worktree"]) == (1, None)


def test_a_conflict_about_a_submodule_is_no_obstacle(
    repo: Checkout, library: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    ours, theirs = library.git("rev-parse", "v1"), "b" * 40
    zeros = "0" * 40
    lines = f"0 {zeros}\tlib\n160000 {ours} 2\tlib\n160000 {theirs} 3\tlib\n"
    made.git("update-index", "--index-info", feed=lines.encode())
    told = runner.harvest("docs")
    assert repo.git("rev-parse", "main-task-docs:lib") == ours
    assert told["ok"]
