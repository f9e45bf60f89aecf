"""A record in a session's folder is believed only if its repository says the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from testkit.forgeries import BRANCH, FORGERIES, Forgery, Scene
from testkit.repository import Checkout, Runner

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import confirm_steps, records, removing
from cpr_nb.worktrees.confirm_steps import check_registered
from cpr_nb.worktrees.confirming import confirm_worktree
from cpr_nb.worktrees.own_repository import OwnRepository, confirm_repository
from cpr_nb.worktrees.records import BranchRecord, Owner, WorktreeRecord


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def confirm(scene: Scene) -> OwnRepository:
    """Every step, in order."""
    worktree, cwd = scene.worktree, str(scene.cwd)
    repository = confirm_repository(worktree.common_dir, cwd, str(scene.session))
    confirm_worktree(scene.claim, repository)
    check_registered(worktree, repository)
    return repository


@pytest.mark.parametrize("forgery", [pytest.param(f, id=f.make.__name__) for f in FORGERIES])
def test_a_record_that_does_not_fit_is_refused(scene: Scene, forgery: Forgery) -> None:
    forgery.make(scene)
    with pytest.raises(WorktreeError) as refusal:
        confirm(scene)
    assert forgery.words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_repository_of_another_user_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the user has told git that it is safe, as containers need it."""
    uid = os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: uid + 1)
        patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        with pytest.raises(WorktreeError, match="belongs to another user"):
            confirm_repository(scene.worktree.common_dir, str(scene.cwd), str(scene.session))
        with (Path.home() / ".gitconfig").open("a") as config:
            config.write(f"[safe]\n\tdirectory = {scene.repo.path}\n")
        confirm_repository(scene.worktree.common_dir, str(scene.cwd), str(scene.session))
    confirm(scene)


def test_a_folder_that_the_user_no_longer_owns_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, uid = confirm(scene), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(WorktreeError, match="is no folder of yours"):
        confirm_worktree(scene.claim, repository)


# -- what fits ------------------------------------------------------------------------------


def test_what_fits_is_confirmed(scene: Scene) -> None:
    assert confirm(scene).common_dir == str(scene.git_dir)


def test_the_folder_of_the_launch_may_be_deep_or_linked_to(scene: Scene) -> None:
    scene.cwd = scene.repo.path / "sub"
    confirm(scene)
    scene.cwd = scene.folder / "link"
    scene.cwd.symlink_to(scene.repo.path / "sub")
    confirm(scene)


def test_the_launch_may_have_been_in_a_worktree_of_the_user_s(scene: Scene) -> None:
    scene.repo.git("worktree", "add", "-q", "-b", "side", str(scene.folder / "far" / "side"))
    scene.cwd = scene.folder / "far" / "side"
    assert confirm(scene).common_dir == str(scene.git_dir)


def test_a_git_directory_may_be_elsewhere(scene: Scene) -> None:
    """As `git init --separate-git-dir` makes it, and, with a link, other tools."""
    own = scene.folder / "own.git"
    scene.git_dir.rename(own)
    scene.git_dir.symlink_to(own)
    assert confirm(scene).common_dir == str(own)
    scene.git_dir.unlink()
    (scene.repo.path / ".git").write_text("gitdir: ../own.git\n")
    scene.forge(common_dir=own, admin_dir=own / "worktrees" / BRANCH)
    scene.repo.git("worktree", "repair", str(scene.path))
    assert confirm(scene).common_dir == str(own)


def test_relative_links_are_links(scene: Scene) -> None:
    """As newer gits write them if they are asked to; older ones do not read them."""
    (scene.path / ".git").write_text(f"gitdir: ../../shop/.git/worktrees/{BRANCH}\n")
    (scene.admin / "gitdir").write_text(f"../../../../shop-worktrees/{BRANCH}/.git\n")
    repository = confirm_repository(str(scene.git_dir), str(scene.cwd), str(scene.session))
    confirm_worktree(scene.claim, repository)


def test_a_results_directory_may_have_moved(scene: Scene) -> None:
    moved = scene.folder / "elsewhere"
    scene.session.parent.rename(moved)
    scene.session = moved / scene.session.name
    scene.owner = scene.owner._replace(session_folder=str(scene.session))
    confirm(scene)


def test_a_branch_may_have_had_earlier_tasks(scene: Scene) -> None:
    earlier = Owner("s-0", "first", "/gone")
    record = BranchRecord(BRANCH, scene.repo.head, (earlier, scene.owner))
    records.write_branch(str(scene.git_dir), record)
    confirm(scene)


def test_the_folder_of_the_worktree_may_be_gone(scene: Scene) -> None:
    shutil.rmtree(scene.path)
    confirm(scene)


def test_a_folder_of_the_launch_that_is_gone_leaves_the_one_in_which_the_user_stands(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.cwd = scene.folder / "side" / "sub"
    with pytest.raises(WorktreeError, match="is in no git repository"):
        confirm(scene)
    monkeypatch.chdir(scene.repo.path / "sub")
    confirm(scene)


def test_a_subfolder_that_is_gone_still_has_its_repository(scene: Scene) -> None:
    scene.cwd = scene.repo.path / "gone" / "too"
    confirm(scene)


# -- what the helper does with a record that was forged ---------------------------------------


def forge_record(runner: Runner, **fields: object) -> None:
    """Another record of the task `docs`."""
    WorktreeRecord.read(str(runner.folder), "docs").write(**fields)


def test_a_harvest_saves_nothing_of_a_folder_that_only_its_record_names(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    made = runner.prepare("docs")
    made.write({"new.txt": "new\n"})
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "secret.txt").write_text("secret\n")
    forge_record(runner, worktree=str(secret))
    answer = runner.ask("harvest", "docs")
    assert not answer["ok"] and "git has this worktree in" in answer["error"]
    forge_record(runner, worktree=str(secret), admin_dir="")
    assert not runner.ask("harvest", "docs")["ok"]
    assert "secret.txt" not in repo.files("main-task-docs") and (secret / "secret.txt").exists()
    forge_record(runner, worktree=str(made.path), admin_dir=str(made.admin))
    assert runner.harvest("docs")["n_files_changed"] == 1


def test_a_harvest_runs_no_git_in_a_repository_that_only_its_record_names(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    runner.prepare("docs")
    other = Scene(tmp_path / "other")
    forge_record(runner, common_dir=str(other.git_dir))
    answer = runner.ask("harvest", "docs")
    assert not answer["ok"] and "its record names" in answer["error"]


def test_a_removal_that_goes_on_deletes_nothing_else(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    """A runner was killed in the middle of a removal, and the record was forged since."""
    made = runner.prepare("docs")
    runner.harvest("docs", keep_worktrees=True)
    precious = tmp_path / ".precious.removing"
    for folder in (tmp_path / "precious", precious):
        folder.mkdir()
        (folder / "own.txt").write_text("mine\n")
    forge_record(runner, worktree=str(tmp_path / "precious"), stage="removing")
    runner.harvest("docs")
    forge_record(runner, admin_dir="", stage="removing")
    assert "holds" not in str(runner.harvest("docs")["kept_because"])
    assert (precious / "own.txt").exists() and (tmp_path / "precious/own.txt").exists()
    assert made.path.exists()


def test_an_agent_never_starts_in_a_folder_that_only_its_record_names(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    runner.prepare("docs")
    other = Scene(tmp_path / "other")
    records.write_mark(str(other.admin), Owner(runner.session_id, "docs", ""), 1)
    forge_record(runner, worktree=str(other.path), admin_dir=str(other.admin))
    assert "is no worktree of" in runner.refused("docs")
    assert other.repo.git("status", "--porcelain") == ""


def test_a_commit_in_a_record_is_no_option_of_git(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    runner.prepare("docs").write({"new.txt": "new\n"})
    forge_record(runner, base_commit=f"--output={tmp_path}/written")
    runner.ask("harvest", "docs")
    assert not (tmp_path / "written").exists()


def test_a_folder_that_was_moved_aside_is_confirmed_by_its_link(scene: Scene) -> None:
    repository = confirm(scene)
    removing.unregister(scene.claim, repository)
    aside = Path(removing.aside_path(scene.worktree))
    link = (aside / ".git").read_text()
    (aside / ".git").write_text("gitdir: /elsewhere/.git/worktrees/x\n")
    with pytest.raises(WorktreeError, match="is no worktree of"):
        removing.delete_aside(scene.worktree, repository)
    assert (aside / "a.txt").exists()
    (aside / ".git").write_text(link)
    removing.delete_aside(scene.worktree, repository)
    assert not aside.parent.exists()


def test_what_git_does_not_list_stays(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step: its own list, beside all that the files say."""
    repository = confirm(scene)
    monkeypatch.setattr(confirm_steps, "registered_worktrees", lambda _: iter(()))
    with pytest.raises(WorktreeError, match="git does not list"):
        removing.unregister(scene.claim, repository)
    assert (scene.path / "a.txt").exists()


def test_nothing_goes_that_is_not_confirmed(scene: Scene) -> None:
    """A removal takes each step itself: whoever calls it may have forgotten."""
    repository = confirm(scene)
    (scene.path / ".git").unlink()
    with pytest.raises(WorktreeError, match="is not linked"):
        removing.unregister(scene.claim, repository)
    assert (scene.path / "a.txt").exists()
