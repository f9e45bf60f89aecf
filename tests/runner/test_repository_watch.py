"""What a session tells of its repository, which it compares with what it was at the beginning."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import plan

from cpr_nb.runner import repository_state
from cpr_nb.runner.repository_watch import RepositoryWatch
from cpr_nb.store.git_files import branch_record

START = "the repository changed while the session ran: "


@pytest.fixture
def repo(tmp_path: Path) -> Checkout:
    """A repository on main, with the branches side and old, a tag, a task's branch, and a hook."""
    repo = Checkout.new(tmp_path / "shop")
    repo.commit("first", {"a.txt": "a\n"})
    for name in ("side", "old", "main-task-a"):
        repo.git("branch", name)
    repo.git("tag", "v1")
    repo.commit("second", {"a.txt": "b\n"})
    repo.write({".git/hooks/post-merge": "#!/bin/sh\n"})
    write_record(repo, "main-task-a")
    return repo


def write_record(repo: Checkout, branch: str, base: str = "", *, tip: str = "") -> Path:
    """Our record of a branch, and that of its task in its session's folder."""
    folder = repo.path.parent / "results/session-1"
    folder.mkdir(parents=True, exist_ok=True)
    base = base or repo.git("rev-parse", "side")
    task = {"branch": branch, "base_commit": base, "harvest": {"tip_commit": tip}}
    (folder / "task-a.worktree.json").write_text(json.dumps(task))
    owners = [["1", "a", str(folder)]]
    path = Path(branch_record(str(repo.path / ".git"), branch))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"branch": branch, "base_commit": base, "owners": owners}))
    return path


def watch_of(folder: Path, permissions: str = "edits") -> RepositoryWatch:
    """The watch of a session whose first task is about to begin."""
    watch = RepositoryWatch({"options": {"permissions": permissions}, "cwd": str(folder)})
    watch.begin({"options": {}})
    return watch


def _commit(repo: Checkout) -> None:
    repo.commit("third", {"a.txt": "c\n"})


def _move(name: str) -> Callable[[Checkout], None]:
    return lambda repo: repo.git("update-ref", name, "main") and None


def _git(*words: str) -> Callable[[Checkout], object]:
    return lambda repo: repo.git(*words)


def _write(name: str, text: str = "x\n") -> Callable[[Checkout], object]:
    return lambda repo: repo.write({f".git/{name}": text})


def _both(*actions: Callable[[Checkout], object]) -> Callable[[Checkout], object]:
    return lambda repo: [action(repo) for action in actions]


def _clean(repo: Checkout) -> None:
    repo.git("branch", "-D", "main-task-a")
    Path(branch_record(str(repo.path / ".git"), "main-task-a")).unlink()


def _harvest(repo: Checkout) -> None:
    _move("refs/heads/main-task-a")(repo)
    write_record(repo, "main-task-a", tip=repo.head)


def _change_base(repo: Checkout) -> None:
    path = Path(branch_record(str(repo.path / ".git"), "main-task-a"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_commit": repo.head}))


def _follow(repo: Checkout) -> None:
    repo.git("worktree", "add", "-q", "../side", "side")
    Checkout(repo.path.parent / "side").commit("there", {"s.txt": "s\n"})


TRACKING = '[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n'
ID = "ID"  # the first characters of a commit
QUIET: dict[str, Callable[[Checkout], object]] = {
    "nothing": lambda repo: None,
    "a commit": _commit,
    "an amended commit": _git("commit", "-q", "--amend", "-m", "again"),
    "a commit in another worktree": _follow,
    "a new branch and a new tag": _both(_git("branch", "new"), _git("tag", "v2")),
    "a fetch": _write("refs/remotes/origin/main", "a" * 40),
    "refs that are packed": _git("pack-refs", "--all"),
    "a gc": _git("gc", "-q", "--prune=now"),
    "what the CLI leaves": _both(
        _write("config.worktree", ""), _write("objects/info/alternates", ""), _write("refs/x/y", "")
    ),
    "tracking": lambda repo: (repo.path / ".git/config").open("a").write(TRACKING),
    "a submodule": _git("config", "submodule.lib.url", "../lib"),
    "a sample of a hook": _write("hooks/pre-push.sample"),
    "a harvest": _harvest,
    "a branch that is cleaned away": _clean,
    "a record of another task's branch": lambda repo: write_record(repo, "main-task-b"),
}
ALWAYS: dict[str, tuple[Callable[[Checkout], object], str]] = {
    "a new hook": (_write("hooks/pre-commit"), "hooks/pre-commit is new"),
    "another hook": (_write("hooks/post-merge"), "hooks/post-merge changed"),
    "no hook": (lambda r: (r.path / ".git/hooks/post-merge").unlink(), "hooks/post-merge is gone"),
    "a hook that runs now": (
        lambda repo: (repo.path / ".git/hooks/post-merge").chmod(0o755),
        "hooks/post-merge changed",
    ),
    "a setting": (_git("config", "alias.x", "status"), "config changed"),
    "an odd key of a branch": (_git("config", "branch.main.mergeOptions", "x"), "config changed"),
    "an odd remote of a branch": (_git("config", "branch.main.remote", "x::y"), "config changed"),
    "a setting beside tracking": (
        _both(QUIET["tracking"], _git("config", "alias.x", "status")),
        "config changed",
    ),
    "attributes": (_write("info/attributes"), "info/attributes is new"),
    "other objects": (_write("objects/info/alternates"), "objects/info/alternates is new"),
    "another repository": (_write("commondir", ".\n"), "commondir is new"),
    "a branch that is gone": (_git("branch", "-D", "old"), "branch old is gone"),
    "a tag that is gone": (_git("tag", "-d", "v1"), "tag v1 is gone"),
    "a replaced commit": (
        _git("replace", "main", "side"),
        "refs/replace/ID is new",
    ),
    "a commit and a hook": (
        _both(_commit, _write("hooks/pre-commit")),
        "HEAD main ID → ID; hooks/pre-commit is new",
    ),
    "another base": (_change_base, "cpr's record of main-task-a changed"),
    "no record": (
        lambda r: Path(branch_record(str(r.path / ".git"), "main-task-a")).unlink(),
        "cpr's record of main-task-a is gone",
    ),
}
SANDBOXED: dict[str, tuple[Callable[[Checkout], object], str]] = {
    "another branch": (_git("checkout", "-q", "side"), "HEAD main → side"),
    "a detached HEAD": (_git("checkout", "-q", "--detach"), "HEAD main → ID"),
    "a branch that moved": (_move("refs/heads/side"), "branch side ID → ID"),
    "a tag that moved": (_git("tag", "-f", "v1", "main"), "tag v1 ID → ID"),
    "moved and packed": (
        _both(_move("refs/heads/side"), _git("pack-refs", "--all")),
        "branch side ID → ID",
    ),
    "a task's branch": (_move("refs/heads/main-task-a"), "branch main-task-a ID → ID"),
}


def _words(warnings: list[str]) -> str:
    """Their text, with ids as ID; empty for none."""
    assert len(warnings) < 2
    text = "".join(warnings).removeprefix(START)
    return re.sub(r"\b[0-9a-f]{7,40}\b", ID, text)


@pytest.mark.parametrize("permissions", ["edits", "sandbox"])
@pytest.mark.parametrize("kind", QUIET)
def test_normal_life_is_no_news(repo: Checkout, kind: str, permissions: str) -> None:
    watch = watch_of(repo.path, permissions)
    QUIET[kind](repo)
    assert watch.changes() == []


@pytest.mark.parametrize("permissions", ["edits", "sandbox"])
@pytest.mark.parametrize("kind", ALWAYS)
def test_what_can_do_harm_is_told_once(repo: Checkout, kind: str, permissions: str) -> None:
    watch = watch_of(repo.path, permissions)
    change, words = ALWAYS[kind]
    change(repo)
    assert _words(watch.changes()) == words
    assert watch.changes() == []


@pytest.mark.parametrize("kind", SANDBOXED)
def test_what_sandboxed_agents_can_not_do_is_told_there(repo: Checkout, kind: str) -> None:
    usual, sandboxed = watch_of(repo.path), watch_of(repo.path, "sandbox")
    change, words = SANDBOXED[kind]
    change(repo)
    assert usual.changes() == []
    assert _words(sandboxed.changes()) == words


def test_of_very_many_refs_only_the_names_are_compared(
    repo: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_state, "MOST_READ", 2)
    usual, sandboxed = watch_of(repo.path), watch_of(repo.path, "sandbox")
    _move("refs/heads/side")(repo)
    assert sandboxed.changes() == []
    repo.git("pack-refs", "--all")
    assert _words(sandboxed.changes()) == "packed-refs changed"
    repo.git("branch", "-D", "old")
    for watch in (usual, sandboxed):
        assert _words(watch.changes()) == "branch old is gone"


def test_every_repository_that_tasks_work_in_is_compared(repo: Checkout, tmp_path: Path) -> None:
    other = Checkout.new(tmp_path / "other")
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "linked", str(linked))
    watch = watch_of(repo.path)
    for folder in (other.path, linked, tmp_path):
        watch.begin({"options": {"cwd": str(folder)}})
    other.write({".git/hooks/pre-commit": "x"})
    repo.write({".git/hooks/pre-commit": "x"})
    assert sorted(watch.changes()) == [
        f"the repository {other.path} changed while the session ran: hooks/pre-commit is new",
        f"{START}hooks/pre-commit is new",
    ]


def test_a_session_warns_of_it_in_every_interface(stub_cpr: Cpr, work: Path) -> None:
    """Here the user's own check makes a hook, as an agent could that may do anything."""
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    done = stub_cpr.launch(prompts(plan()), "--check", "echo >.git/hooks/pre-commit").wait(LIMIT_S)
    assert done.warnings == [f"{START}hooks/pre-commit is new"]
    assert f"Warning: {START}hooks/pre-commit is new" in stub_cpr.good("status", done.id)


def test_a_harvest_comes_after_the_comparison(stub_cpr: Cpr, work: Path) -> None:
    """The warning is written down before any git of ours runs there."""
    repo = Checkout(work)
    repo.git("init", "-q", "-b", "main")
    repo.commit("first", {"a.txt": "a\n"})
    hook = work / ".git/hooks/pre-commit"
    done = stub_cpr.launch(prompts(plan()), "--worktree", "--check", f"echo >{hook}").wait(LIMIT_S)
    events = [json.loads(line) for line in (done.path / "journal.jsonl").read_text().splitlines()]
    names = [event["event"] for event in events]
    assert done.warnings == [f"{START}hooks/pre-commit is new"]
    assert names.index("warning") < names.index("harvest_started")
    assert hook.exists()
