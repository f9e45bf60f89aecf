"""Included files and set-up."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner


def test_untracked_files_that_worktreeinclude_names_are_copied(
    repo: Checkout, runner: Runner
) -> None:
    patterns = "# secrets\n.env*\n!.env.example\n/config/*.json\nöl/\n*.log\n"
    repo.commit("include", {".worktreeinclude": patterns, ".gitignore": ".env\n*.log\n"})
    repo.write(
        {
            ".env": "KEY=1",
            "sub/.env.local": "KEY=2",
            ".env.example": "no",
            "config/a.json": "{}",
            "config/deep/b.json": "no",
            "öl/x y.txt": "oil",
            "debug.log": "log",
            "other.txt": "no",
        }
    )
    (repo.path / ".env").chmod(0o700)
    (repo.path / "sub/.env.link").symlink_to("../.env")
    (repo.path / "out.log").write_bytes(b"\0\xff")
    before = repo.state()
    made = runner.prepare("docs")
    there = {str(p.relative_to(made.path)) for p in made.path.rglob("*") if not p.is_dir()}
    tracked = {"a.txt", "sub/b.txt", ".gitignore", ".worktreeinclude", ".git"}
    copied = {".env", "sub/.env.local", "sub/.env.link", "config/a.json", "öl/x y.txt"}
    assert there - tracked == copied | {"debug.log", "out.log"}
    assert (made.path / ".env").stat().st_mode & 0o777 == 0o700
    assert (made.path / "sub/.env.link").readlink() == Path("../.env")
    assert repo.state() == before


def test_included_files_that_nobody_changed_are_not_committed(
    repo: Checkout, runner: Runner
) -> None:
    repo.commit("include", {".worktreeinclude": "*.env\n"})
    repo.write({"one.env": "KEY=1\n", "two.env": "KEY=2\n"})
    made = runner.prepare("docs")
    made.write({"two.env": "KEY=3\n"})
    told = runner.harvest("docs")
    assert told["n_files_changed"] == 1
    assert "one.env" not in repo.files("main-task-docs")
    assert repo.files("main-task-docs")["two.env"] == "KEY=3"
    assert not made.path.exists()


def test_results_are_never_included(repo: Checkout) -> None:
    repo.commit("include", {".worktreeinclude": "*\n", ".gitignore": "results/\n"})
    repo.write(
        {".env": "K=1", "old/session-1/status.json": "{}", "old/session-1/a": "", "old/n": ""}
    )
    runner = Runner(repo.path / "results", repo.path)
    (repo.path / "link").symlink_to("results")
    made = runner.prepare("docs")
    assert {path.name for path in made.path.iterdir()} == {
        ".env", ".git", ".gitignore", ".worktreeinclude", "a.txt", "old", "sub",
    }  # fmt: skip
    assert [path.name for path in (made.path / "old").rglob("*")] == ["n"]


def test_an_included_file_never_leaves_the_worktree(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo.path / "data").symlink_to(outside)
    link = repo.commit("a link", {".worktreeinclude": "data/\n"})
    (repo.path / "data").unlink()
    repo.commit("a folder", {"data/tracked": "x"})
    repo.write({"data/secret": "s"})
    assert "outside the worktree" in runner.refused("docs", base=link)
    assert list(outside.iterdir()) == []


def test_a_tracked_file_is_not_replaced_by_an_included_one(repo: Checkout, runner: Runner) -> None:
    base = repo.commit("one", {"c.txt": "of the base\n", ".worktreeinclude": "c.txt\n"})
    repo.git("rm", "-q", "--cached", "c.txt")
    repo.git("commit", "-q", "-m", "untracked now")
    repo.write({"c.txt": "of the user\n"})
    made = runner.prepare("docs", base=base)
    assert (made.path / "c.txt").read_text() == "of the base\n"


def test_setup_runs_in_the_folder_of_the_task_with_its_variables(
    repo: Checkout, runner: Runner
) -> None:
    runner.env = {"GIT_DIR": "/nowhere", "KEPT": "kept"}
    told = "$CPR_SESSION_ID $CPR_TASK_ID $CPR_BRANCH $CPR_PORT $KEPT ${GIT_DIR-none}"
    made = runner.prepare("docs", cwd=repo.path / "sub", setup=f'echo "{told}"; pwd; echo e >&2')
    log = (runner.folder / "task-docs.setup.log").read_text()
    words = f"{runner.session_id} docs main-task-docs {made.answer['port']} kept none"
    assert log == f"{words}\n{made.path}/sub\ne\n"
    assert (runner.folder / "task-docs.setup.log").stat().st_mode & 0o777 == 0o600
    env = {"CPR_BRANCH": "main-task-docs", "CPR_PORT": str(made.answer["port"])}
    assert made.answer["env"] == env


def test_a_setup_that_fails_fails_the_task(repo: Checkout, runner: Runner) -> None:
    before = repo.state()
    told = runner.ask("prepare", "docs", setup="echo no such package; false")
    assert (told["ok"], told["reason"]) == (False, "setup_failed")
    assert told["error"] == "set-up failed (exit code 1): no such package"
    assert (runner.folder / "task-docs.setup.log").read_text() == "no such package\n"
    told = runner.harvest("docs")
    assert (told["branch"], told["worktree"], told["n_commits"]) == (None, None, None)
    assert repo.worktrees() == [str(repo.path)]
    assert repo.branches() == ["main"]
    assert not Path(f"{repo.path}-worktrees").exists()
    assert repo.state() == before


def test_a_setup_that_removes_the_worktree_is_reported(repo: Checkout, runner: Runner) -> None:
    assert "after set-up" in runner.refused("docs", setup='rm -rf "$PWD"')
    runner.harvest("docs")
    assert repo.worktrees() == [str(repo.path)]


def test_a_setup_that_is_killed_is_reported_and_runs_again(repo: Checkout, runner: Runner) -> None:
    told = runner.ask("prepare", "docs", setup="touch half; kill -9 $$")
    assert (told["reason"], told["error"]) == (
        "setup_failed",
        "set-up failed (signal 9): no output",
    )
    made = runner.prepare("docs", setup="test -e half && touch whole")
    assert (made.path / "whole").exists()
    assert runner.harvest("docs")["n_files_changed"] == 0


def test_what_setup_left_is_not_the_agents_work(repo: Checkout, runner: Runner) -> None:
    setup = "echo x >> a.txt; echo x >> sub/b.txt; mkdir gen; echo 1 > gen/one; echo 2 > gen/two"
    made = runner.prepare("docs", setup=f"{setup}; rm .gitignore")
    made.write({"sub/b.txt": "the agent's\n", "gen/two": "the agent's\n"})
    told = runner.harvest("docs")
    assert told["n_files_changed"] == 2
    files = repo.files("main-task-docs")
    assert (files["sub/b.txt"], files["gen/two"]) == ("the agent's", "the agent's")
    assert "gen/one" not in files and ".gitignore" in files
    assert files["a.txt"] == "one\ntwo\nthree"
    assert (told["worktree"], made.path.exists()) == (None, False)


def test_a_task_that_does_nothing_after_setup_has_no_commit(repo: Checkout, runner: Runner) -> None:
    runner.prepare("docs", setup="echo x >> a.txt; touch new; ln -s new link; chmod +x sub/b.txt")
    told = runner.harvest("docs")
    assert (told["n_commits"], told["n_files_changed"], told["patch"]) == (0, 0, None)
    assert told["tip_commit"] == repo.head
    assert told["worktree"] is None
    assert not (runner.folder / "task-docs.patch").exists()


def test_files_that_git_takes_as_changed_right_after_a_checkout_are_not_committed(
    repo: Checkout, runner: Runner
) -> None:
    """As in a repository with line ends that its .gitattributes does not have."""
    repo.commit("line ends", {"dos.txt": "a\r\nb\r\n"})
    repo.write({".gitattributes": "*.txt text eol=lf\n"})
    repo.git("add", ".gitattributes")
    repo.git("commit", "-q", "-m", "attributes")
    runner.prepare("docs")
    told = runner.harvest("docs")
    assert (told["n_files_changed"], told["worktree"]) == (0, None)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["chmod +x new", "ln -sf a.txt new", "rm new", "echo y > new"])
def test_what_the_agent_did_to_a_file_of_setup_counts(
    repo: Checkout, runner: Runner, change: str
) -> None:
    made = runner.prepare("docs", setup="echo x > new; git add new; git commit -qm setup")
    made.git("-c", f"alias.do=!{change}", "do")
    assert runner.harvest("docs")["committed"] is True


def test_ignored_files_that_the_task_made_are_listed(repo: Checkout, runner: Runner) -> None:
    setup = "mkdir -p out/old; touch out/old/1 before.log; echo old > changed.log"
    made = runner.prepare("docs", setup=setup)
    made.write({"after.log": "1", "changed.log": "new", "out/new/2": "2", "sub/out/3": "3"})
    told = runner.harvest("docs")
    expected = ["after.log", "changed.log", "out/new/2", "sub/out/"]
    assert (told["ignored_files"], told["n_ignored_files"]) == (expected, 4)
    assert told["worktree"] is None


@pytest.mark.slow
def test_of_many_ignored_files_some_are_listed_and_all_are_counted(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.write({f"{number}.log": "x" for number in range(150)})
    told = runner.harvest("docs")
    assert (len(told["ignored_files"]), told["n_ignored_files"]) == (100, 150)


@pytest.mark.slow
def test_ports_are_free_and_no_two_worktrees_have_the_same(repo: Checkout, runner: Runner) -> None:
    first = runner.prepare("docs").answer["port"]
    ports = [runner.prepare(f"t{number}").answer["port"] for number in range(4)]
    assert len({first, *ports}) == 5
    runner.harvest("docs")
    with socket.create_server(("127.0.0.1", first)):
        again = runner.prepare("docs").answer["port"]
        assert again not in {first, *ports}
