"""The net before a worktree is removed: real git, real submodules, every kind of hidden work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from testkit.repository import SUBMODULE_SETUP, Checkout, Prepared, Runner

from cpr_nb.worktrees.fingerprints import fingerprint
from cpr_nb.worktrees.unsaved import unsaved_work
from cpr_nb.worktrees.worktree import Worktree

WORK = "the agent's work\n"


class Desk(NamedTuple):
    """A worktree, made by git alone, and the moment after its set-up."""

    outer: Checkout
    path: Path
    since_ns: int
    from_setup: Mapping[str, str]

    @property
    def lib(self) -> Checkout:
        """Its submodule."""
        return Checkout(self.path / "lib")

    def write(self, *names: str) -> None:
        """The agent writes files."""
        Checkout(self.path).write(dict.fromkeys(names, WORK))

    def git(self, *words: str) -> None:
        """The agent runs git."""
        Checkout(self.path).git(*words)

    def lost(self) -> list[str]:
        """What would be lost, once git has added all that it can."""
        inside = Checkout(self.path)
        admin = inside.git("rev-parse", "--absolute-git-dir")
        inside.git("add", "-A", "--", ".", ":(exclude)lib", ":(exclude)vendor", ok=False)
        common = str(self.outer.path / ".git")
        worktree = Worktree(common, str(self.path), admin, "w", inside.head)
        inside.git("rm", "-q", "--cached", "--ignore-unmatch", "--", *self.from_setup, ok=False)
        return unsaved_work(worktree, worktree.git(), self.from_setup, self.since_ns)


def _desk(repo: Checkout, setup: str = "true") -> Desk:
    """A worktree in which the command has run as set-up; the clock has ticked since."""
    path = repo.path.with_name("desk")
    repo.git("worktree", "add", "-q", "-b", "w", str(path))
    inside = Checkout(path)
    inside.git("-c", f"alias.setup=!{setup}", "setup")
    new = inside.git("ls-files", "-o", "--exclude-standard").splitlines()
    files = {name: fingerprint(f"{path}/{name}") for name in new if not name.endswith("/")}
    os.utime(path)
    since_ns = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == since_ns:
        os.utime(path)
    return Desk(repo, path, since_ns, files)


@pytest.fixture
def empty(library: Checkout, repo: Checkout) -> Desk:
    """A worktree whose submodule is empty."""
    return _desk(repo)


@pytest.fixture
def filled(library: Checkout, repo: Checkout) -> Desk:
    """A worktree whose submodule set-up has filled."""
    return _desk(repo, SUBMODULE_SETUP)


def _nested(desk: Desk, name: str, *, commit: bool = True) -> None:
    inner = Checkout.new(desk.path / name)
    inner.write({"n.txt": WORK})
    if commit:
        inner.commit("nested")


def _renamed(desk: Desk, old: str, new: str) -> None:
    (desk.path / new).parent.mkdir(parents=True, exist_ok=True)
    (desk.path / old).rename(desk.path / new)


NO_COMMIT = "files that are in no commit: "
IN_EMPTY: dict[str, tuple[Callable[[Desk], object], str]] = {
    "a new file in an empty submodule": (
        lambda desk: desk.write("lib/x.txt"),
        "the repository lib: files without a repository: x.txt",
    ),
    "one that the outer repository ignores": (
        lambda desk: desk.write("lib/x.log"),
        "the repository lib: files without a repository: x.log",
    ),
    "a file named .git in an empty submodule": (
        lambda desk: desk.write("lib/.git"),
        "the repository lib: its .git leads elsewhere",
    ),
    "a file named .git": (lambda desk: desk.write("notes/.git"), f"{NO_COMMIT}notes/.git"),
    "one beside tracked files": (lambda desk: desk.write("sub/.git"), f"{NO_COMMIT}sub/.git"),
    "one beside new files": (
        lambda desk: desk.write("notes/.git", "notes/a.txt"),
        f"{NO_COMMIT}notes/.git",
    ),
    "one above new files": (
        lambda desk: desk.write("notes/.git", "notes/deep/a.txt"),
        f"{NO_COMMIT}notes/.git",
    ),
    "one beside ignored files": (
        lambda desk: desk.write("notes/.git", "notes/a.log"),
        f"{NO_COMMIT}notes/.git",
    ),
    "a tracked file, renamed so": (
        lambda desk: _renamed(desk, "a.txt", "notes/.git"),
        f"{NO_COMMIT}notes/.git",
    ),
    "a folder named .git": (
        lambda desk: desk.write("notes/.git/x.txt", "notes/deep/a.txt"),
        f"{NO_COMMIT}notes/.git/x.txt",
    ),
    "a link named .git": (
        lambda desk: (desk.write("notes/a.txt"), (desk.path / "notes/.git").symlink_to("a.txt")),
        f"{NO_COMMIT}notes/.git",
    ),
    "a repository": (
        lambda desk: _nested(desk, "vendor/x"),
        "a git repository of its own: vendor/x",
    ),
    "a repository that is ignored": (
        lambda desk: _nested(desk, "out/x"),
        "the repository out/x: it is ignored, but has commits of its own",
    ),
    "a worktree that is ignored": (
        lambda desk: desk.git("worktree", "add", "-q", "-b", "more", "out/more"),
        "the repository out/more: it is another worktree of the repository",
    ),
}


@pytest.mark.parametrize("kind", IN_EMPTY)
def test_what_git_does_not_see_is_named(empty: Desk, kind: str) -> None:
    change, line = IN_EMPTY[kind]
    change(empty)
    assert empty.lost() == [line]


def _commit_on_a_tag(inner: Checkout) -> None:
    inner.commit("in between", {"lib.txt": WORK})
    inner.git("tag", "kept")
    inner.git("checkout", "-q", "HEAD~1")


def _stash(inner: Checkout) -> None:
    inner.write({"lib.txt": WORK})
    inner.git("stash", "-q")


INSTEAD: dict[str, Callable[[Desk], object]] = {
    "removed": lambda desk: shutil.rmtree(desk.path / "lib"),
    "deinit": lambda desk: desk.git("submodule", "--quiet", "deinit", "-f", "lib"),
    "git rm": lambda desk: desk.git("rm", "-q", "-f", "lib"),
    "a file": lambda desk: (shutil.rmtree(desk.path / "lib"), desk.write("lib")),
    "no .git, no files": lambda desk: (
        shutil.rmtree(desk.path / "lib"),
        (desk.path / "lib").mkdir(),
    ),
}


@pytest.mark.parametrize("change", [_commit_on_a_tag, _stash])
@pytest.mark.parametrize("instead", INSTEAD)
def test_work_of_a_submodule_whose_folder_is_gone(
    filled: Desk, instead: str, change: Callable[[Checkout], None]
) -> None:
    change(filled.lib)
    INSTEAD[instead](filled)
    assert [line.partition(": ")[0] for line in filled.lost()] == [
        "the git directory of submodule lib"
    ]


@pytest.mark.parametrize("instead", INSTEAD)
def test_a_submodule_without_work_may_be_gone(filled: Desk, instead: str) -> None:
    INSTEAD[instead](filled)
    assert filled.lost() == []


def test_a_branch_of_a_submodule_may_be_named_as_what_is_no_work(filled: Desk) -> None:
    filled.lib.git("update-ref", "refs/heads/index", "HEAD~1")
    assert filled.lost() == ["the repository lib: .git/refs/heads/index is newer than set-up"]


NOTHING: dict[str, Callable[[Desk], object]] = {
    "an empty file named .git, as the CLI's sandbox leaves it": lambda desk: (
        desk.path / "sub/.git"
    ).touch(),
    "an empty folder": lambda desk: (desk.path / "empty/.git").mkdir(parents=True),
    "ignored files": lambda desk: desk.write("x.log", "out/deep/y.txt"),
    "all that is ignored, also what git can't save": lambda desk: desk.write("out/n/.git"),
    "new files": lambda desk: desk.write("new/new.txt", "a.txt"),
    "a clone in an ignored folder": lambda desk: desk.git(
        "clone", "-q", str(desk.outer.path), "out/c"
    ),
    "nothing at all": lambda desk: None,
    "a named pipe": lambda desk: os.mkfifo(desk.path / "pipe"),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_is_no_work_holds_nothing_up(empty: Desk, kind: str) -> None:
    NOTHING[kind](empty)
    assert empty.lost() == []


def test_what_set_up_left_may_go_until_it_is_changed(repo: Checkout) -> None:
    clone = f"git clone -q --no-hardlinks {repo.path} vendor"
    desk = _desk(repo, f"{clone}; echo 1 > gen.txt; mkdir k; echo 2 > k/.git")
    assert desk.lost() == []
    desk.git("-C", "vendor", "status")
    _renamed(desk, "gen.txt", "gen2.txt")
    _renamed(desk, "gen2.txt", "gen.txt")
    assert desk.lost() == []
    desk.write("gen.txt", "k/.git", "vendor/a.txt")
    assert desk.lost() == [
        "the repository vendor: a.txt is newer than set-up",
        f"{NO_COMMIT}k/.git, gen.txt",
    ]


def test_all_of_them_keep_the_worktree_and_are_named(
    made: Prepared, runner: Runner, repo: Checkout
) -> None:
    """What keeps a worktree also keeps it when the session is cleaned, and is told there."""
    made.write({"notes/.git": WORK, "new.txt": WORK, "lib/new.txt": WORK})
    Checkout.new(made.path / "out/x").commit("nested", {"n.txt": WORK})
    told = runner.harvest("docs")
    assert told["kept_because"].split("; ") == [
        "the repository lib: new.txt is newer than set-up",
        "the repository out/x: it is ignored, but has commits of its own",
        "files that are in no commit: notes/.git",
    ]
    assert repo.git("show", "main-task-docs:new.txt") == WORK.strip()
    assert (made.path / "notes/.git").read_text() == WORK


def test_a_submodule_outlives_the_folder_of_the_worktree(made: Prepared, runner: Runner) -> None:
    """Its git directory is in that of the worktree, which git would remove."""
    admin = made.admin
    commit = Checkout(made.path / "lib").commit("mine", {"lib.txt": WORK})
    shutil.rmtree(made.path)
    told = runner.harvest("docs")
    assert told["kept_because"].startswith("the git directory of submodule lib: ")
    assert commit == (admin / "modules/lib/HEAD").read_text().strip()


def test_an_edit_is_saved_though_git_is_set_to_trust_times(repo: Checkout, runner: Runner) -> None:
    """Its size is the same, its time is set back, and the index is newer than both."""
    repo.git("config", "core.trustctime", "false")
    repo.git("config", "core.checkStat", "minimal")
    made = runner.prepare("docs", setup="touch -d @1000000000 a.txt && git update-index --refresh")
    file = made.path / "a.txt"
    changed_s = int(file.stat().st_ctime)
    while int(file.stat().st_ctime) == changed_s:  # git may know no more than the second
        file.write_text("ONE\ntwo\nthree\n")
        os.utime(file, (1_000_000_000, 1_000_000_000))
    assert made.git("status", "--porcelain") == "", "git itself sees nothing"
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["worktree"]) == (1, None)
    assert repo.files("main-task-docs")["a.txt"].startswith("ONE")
