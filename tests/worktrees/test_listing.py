"""What is listed of worktrees, and which branches would conflict."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner

from cpr_nb.cli.commands.clean import report_lines
from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import conflicts as conflicts_module
from cpr_nb.worktrees.cleaning import clean
from cpr_nb.worktrees.conflicts import conflicts
from cpr_nb.worktrees.listing import branches_left, worktrees
from cpr_nb.worktrees.merging import merge

NewRunner = Callable[[], Runner]


def done(runner: Runner, task_id: str, files: dict[str, str], **options: bool) -> str:
    """A task that has ended after it wrote these files; returns its branch."""
    made = runner.prepare(task_id)
    made.write(files)
    runner.harvest(task_id, **options)
    return made.branch


@pytest.mark.slow
def test_a_row_has_branch_worktree_size_and_distance_from_the_target(
    repo: Checkout, runner: Runner
) -> None:
    done(runner, "gone", {"a.txt": "changed\n"})
    done(runner, "kept", {"c.txt": "x" * 1000}, keep_worktrees=True)
    made = runner.prepare("busy", setup="echo x > from-setup.txt")
    made.commit("one", {"d.txt": "d"})
    repo.commit("by the user", {"later.txt": "later\n"})
    repo.git("merge", "-q", "-m", "merge", "main-task-gone")
    rows = {row.task_id: row for row in worktrees([str(runner.folder)])}
    gone, kept, busy = rows["gone"], rows["kept"], rows["busy"]
    assert (gone.branch, gone.path, gone.size_bytes, gone.dirty) == (
        "main-task-gone",
        None,
        0,
        None,
    )
    assert (gone.ahead, gone.behind, gone.merged, gone.into) == (0, 2, True, "main")
    assert (kept.ahead, kept.behind, kept.merged, kept.dirty) == (1, 3, False, False)
    assert kept.path == f"{repo.path}-worktrees/main-task-kept"
    assert 1000 < kept.size_bytes < 2000
    assert busy.dirty is False
    made.write({"d.txt": "changed"})
    repo.git("branch", "-q", "-D", "main-task-gone")
    rows = {row.task_id: row for row in worktrees([str(runner.folder)], into="main-task-kept")}
    assert rows["busy"].dirty is True
    assert (rows["kept"].ahead, rows["kept"].into) == (0, "main-task-kept")
    assert (rows["gone"].ahead, rows["gone"].merged) == (None, None)


def test_rows_come_in_the_order_of_the_tasks(repo: Checkout, runner: Runner) -> None:
    for task_id in ("b", "c", "a"):
        done(runner, task_id, {})
    runner.task_ids = ["c", "a", "b"]
    runner.end()
    assert [row.task_id for row in worktrees([str(runner.folder)])] == ["c", "a", "b"]


def test_a_branch_of_several_sessions_is_listed_once_for_the_latest(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    done(runner, "docs", {"c.txt": "c"})
    again = new_runner()
    again.prepare("docs", parent={**runner.parent, "task_id": "docs"})
    for folders in ([runner.folder, again.folder], [again.folder, runner.folder]):
        (row,) = worktrees(map(str, folders))
        assert row.session_id == again.session_id
        assert row.path


def test_a_target_that_is_not_there_is_an_error(repo: Checkout, runner: Runner) -> None:
    done(runner, "docs", {})
    with pytest.raises(WorktreeError, match="there is no branch nowhere"):
        worktrees([str(runner.folder)], into="nowhere")


def test_of_a_foreign_session_only_what_is_written_down_is_shown(
    repo: Checkout, runner: Runner
) -> None:
    done(runner, "docs", {"c.txt": "c"}, keep_worktrees=True)
    runner.end()
    (runner.folder / "session.json").unlink()
    (row,) = worktrees([str(runner.folder)])
    path = f"{repo.path}-worktrees/main-task-docs"
    assert (row.branch, row.path, row.not_seen) == ("main-task-docs", path, "foreign")
    assert {row.size_bytes, row.dirty, row.ahead, row.behind, row.merged, row.into} == {None}
    assert branches_left(str(runner.folder)) == (frozenset(), "foreign")
    report = clean([str(runner.folder)], ["docs"])
    assert [one.why for one in report.kept] == ["not looked at: foreign"]
    assert report_lines(report.without_foreign()) == [
        "clean: 1 foreign session left alone   (cpr clean SESSION asks)"
    ]
    with pytest.raises(WorktreeError, match="git was not run here: foreign"):
        merge([str(runner.folder)])
    assert Path(path).is_dir()


# -- conflicts ------------------------------------------------------------------------------


def objects(repo: Checkout) -> set[str]:
    return {str(path) for path in (repo.path / ".git").rglob("*")}


@pytest.mark.slow
def test_conflicts_are_predicted_between_pairs_and_with_the_target_and_nothing_is_touched(
    repo: Checkout, runner: Runner
) -> None:
    a = done(runner, "a", {"a.txt": "one\nA\nthree\n"})
    b = done(runner, "b", {"a.txt": "one\nB\nthree\n", "sub/b.txt": "B\n"})
    c = done(runner, "c", {"sub/b.txt": "C\n", "ö x.txt": "new\n"})
    d = done(runner, "d", {"d.txt": "new\n"})
    e = done(runner, "e", {"ö x.txt": "other\n"})
    repo.commit("by the user", {"a.txt": "one\nuser\nthree\n"})
    repo.write({"a.txt": "not committed\n"})
    before = repo.state(), repo.git("for-each-ref"), objects(repo)
    told = conflicts([str(runner.folder)])
    assert (repo.state(), repo.git("for-each-ref"), objects(repo)) == before
    assert (told.into, set(told.branches)) == ("main", {a, b, c, d, e})
    assert set(told.against_target) == {(a, "main", ("a.txt",)), (b, "main", ("a.txt",))}
    assert set(told.between) == {
        (a, b, ("a.txt",)),
        (b, c, ("sub/b.txt",)),
        (c, e, ("ö x.txt",)),
    }
    assert [told.n_conflicts(branch) for branch in (a, b, c, d, e)] == [2, 3, 2, 0, 1]


def test_conflicts_of_some_tasks_and_with_another_target(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    done(runner, "b", {"a.txt": "B\n"})
    repo.git("branch", "calm")
    repo.commit("by the user", {"a.txt": "user\n"})
    told = conflicts([str(runner.folder)], ["b"], into="calm")
    assert told == conflicts_module.Forecast("calm", ("main-task-b",), (), ())
    with pytest.raises(WorktreeError, match="no worktree was ever made for x"):
        conflicts([str(runner.folder)], ["b", "x"])


def test_conflicts_need_branches_of_one_repository(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    with pytest.raises(WorktreeError, match="no branch of a task"):
        conflicts([str(runner.folder)])
    other = Checkout.new(tmp_path / "other")
    other.commit("first", {"o.txt": "o\n"})
    done(runner, "a", {"a.txt": "A\n"})
    runner.prepare("b", cwd=other.path)
    with pytest.raises(WorktreeError, match="several repositories"):
        conflicts([str(runner.folder)])


def test_a_git_that_is_too_old_says_so(
    repo: Checkout, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    old = tmp_path / "old"
    old.mkdir()
    script = '#!/bin/sh\n[ "$1" = version ] && echo "git version 2.37.1" && exit\n'
    (old / "git").write_text(f'{script}PATH=${{PATH#*:}} exec git "$@"\n')
    (old / "git").chmod((old / "git").stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{old}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(WorktreeError, match=r"needs git 2\.38 or newer .*, not 2\.37\.1"):
        conflicts([str(runner.folder)])


def test_variables_of_a_git_that_launched_us_do_not_count(
    repo: Checkout, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = done(runner, "a", {"a.txt": "A\n"})
    repo.commit("by the user", {"a.txt": "user\n"})
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, "/nowhere")
    told = conflicts([str(runner.folder)])
    assert told.against_target == ((branch, "main", ("a.txt",)),)
    assert os.environ["GIT_DIR"] == "/nowhere"
