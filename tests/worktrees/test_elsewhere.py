"""Work that an agent leaves outside its branch is found, and shown beside the task's outcome."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.repository import Checkout, Prepared, Runner


def says(runner: Runner, *texts: str, attempt: str = "") -> None:
    """The agent's stream, in which these texts occur."""
    stream = runner.folder / f"task-docs{attempt}.jsonl"
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    stream.write_text("".join(line + "\n" for line in lines))


def other(made: Prepared, path: Path, *args: str) -> Checkout:
    made.git("worktree", "add", "-q", *args, str(path))
    return Checkout(path)


def test_a_worktree_that_the_agent_made_is_found(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    made = runner.prepare("docs")
    path = repo.path / ".claude/worktrees/ö fix"
    elsewhere = other(made, path, "-b", "worktree-fix")
    elsewhere.git("worktree", "lock", "--reason", "claude session fix (pid 1)", str(path))
    elsewhere.commit("theirs", {"new.txt": "new\n"})
    elsewhere.write({"more.txt": "more\n", "a.txt": "changed\n"})
    says(runner, f"Created worktree at “{path}”. The session now works there.")
    told = runner.harvest("docs")
    where = f"worktree {path}, branch worktree-fix: 1 commit, 2 uncommitted files"
    assert (told["elsewhere"], told["n_commits"]) == ([where], 0)
    assert (path / "more.txt").exists(), "nothing there is touched"
    assert runner.harvest("docs")["elsewhere"] == [where], "a second harvest says the same"


def test_a_branch_that_the_agent_made_is_found(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.git("switch", "-q", "-c", "theirs")
    made.commit("theirs", {"new.txt": "new\n"})
    made.commit("more", {"new.txt": "newer\n"})
    made.git("switch", "-q", made.branch)
    says(runner, "nothing of it here")
    says(runner, "new branch:\ntheirs", attempt="@2")
    assert runner.harvest("docs")["elsewhere"] == ["branch theirs: 2 commits"]


def test_a_tag_and_stashes_of_the_task_are_found(repo: Checkout, runner: Runner) -> None:
    """All worktrees share them, so they stay, where nobody looks for them."""
    repo.write({"a.txt": "by its user\n"})
    repo.git("stash", "-q")
    repo.git("tag", "older")
    made = runner.prepare("docs")
    for words in ((), ("-m", "for later")):
        made.write({"a.txt": f"aside {words}\n"})
        made.git("stash", "push", "-q", *words)
    made.git("checkout", "-q", "--detach")
    made.commit("theirs", {"new.txt": "new\n"})
    made.git("tag", "done")
    made.git("checkout", "-q", made.branch)
    made.git("tag", "empty")
    says(runner, "done, older and empty")
    told = runner.harvest("docs")
    assert told["elsewhere"] == ["tag done: 1 commit", "git stash list: 2 stashes"]
    assert repo.git("stash", "list").count("\n") == 2


def test_what_is_not_this_tasks_or_holds_nothing_is_not_named(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    repo.git("switch", "-q", "-c", "older")
    repo.commit("by its user", {"older.txt": "o\n"})
    repo.git("switch", "-q", "main")
    reflog = repo.path / ".git/logs/refs/heads/older"
    reflog.write_text(re.sub(r"> \d+ ", "> 1000000000 ", reflog.read_text()))
    earlier = other(Prepared({"worktree": repo.path, "branch": "", "base_commit": "", "cwd": ""}),
                    tmp_path / "earlier", "-b", "earlier")  # fmt: skip
    made = runner.prepare("docs")
    colleague = runner.prepare("code")
    colleague.commit("by another task", {"c.txt": "c\n"})
    earlier.commit("by its user", {"e.txt": "e\n"})
    unnamed = other(made, tmp_path / "unnamed", "-b", "unnamed")
    unnamed.commit("by somebody", {"u.txt": "u\n"})
    empty = other(made, tmp_path / "empty", "-b", "empty")
    merged = other(made, tmp_path / "merged", "-b", "merged")
    merged.commit("taken over", {"m.txt": "m\n"})
    made.git("merge", "-q", "merged")
    detached = other(made, tmp_path / "detached", "--detach")
    detached.write({"d.txt": "d\n"})
    places = (earlier, colleague, empty, merged, detached)
    says(runner, *(str(place.path) for place in places), "unnamed-2 older earlier", "x/unnamed")
    told = runner.harvest("docs")
    assert told["elsewhere"] == [f"worktree {detached.path}: 1 uncommitted file"]


@pytest.mark.real_cli
def test_a_task_that_enters_another_worktree_is_shown_with_it(
    real_cpr: Cpr, work: Path, tmp_path: Path
) -> None:
    work.rmdir()
    repo = Checkout.new(work)
    repo.commit("first", {"a.txt": "one\n", ".gitignore": "results/\n"})
    # The scripted API's {cwd} may still be the folder in which the run began.
    shell = {"command": "echo new >new.txt && git add . && git commit -qm made", "description": "d"}
    steps = ({"tool": "EnterWorktree", "input": {"name": "fix"}}, {"tool": "Bash", "input": shell})
    prompt = {"id": "docs", "prompt": script(*steps, {"text": "done"})}
    options = ("--worktree", "--permissions", "all", "--tools", "Bash,EnterWorktree")
    session = real_cpr.launch(prompts(prompt), *options).wait(LIMIT_S)
    (task,) = session
    assert task.ok and task.fields["n_commits"] == 0
    place = f"worktree {repo.path}/.claude/worktrees/fix, branch worktree-fix: 1 commit"
    assert task.note == f"work lies outside its branch: {place}"
    assert place in real_cpr.good("status", session.id)
