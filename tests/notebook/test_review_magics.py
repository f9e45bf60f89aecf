"""In a notebook, a review returns objects: changes, the session of a follow-up, pull requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from testkit.command import LIMIT_S
from testkit.repository import Checkout
from testkit.stub import plan

import cpr_nb as cpr

if TYPE_CHECKING:
    from conftest import Shell


def test_changes_are_shown_commented_and_followed_up(
    shell: Shell, work: Path, transcript: Callable[[str], Path]
) -> None:
    repo = Checkout(work)
    repo.git("init", "-q", "-b", "main")
    repo.commit("first", {"code.py": "old\n", ".gitignore": "results/\n"})
    edit = {"id": "a", "prompt": plan(write={"code.py": "new\n"})}
    first = cpr.launch([edit], worktree=True, name="mine").wait(LIMIT_S)
    transcript(str(first[0].conversation_id))
    _, out, _ = shell("%cpr diff mine --task 1")
    assert "+new" in out
    value, _, err = shell("%cpr diff mine --task 1 --comment 'code.py:7:Why?'")
    assert isinstance(value, BaseException) and "does not show line 7" in err
    commented = shell.good("%cpr diff mine --task 1 --comment 'code.py:1:Why?' -o s")
    assert commented.wait(LIMIT_S)[0].prompt.endswith("-old\n+new\n```\nWhy?")
    assert shell["s"].id == commented.id
    followed = shell.good("%cpr follow-up mine 'And now?'").wait(LIMIT_S)
    assert [task.prompt for task in followed] == ["And now?"]
    planned, out, _ = shell(f"%cpr pr {first.id} --dry-run")
    assert planned[0]["state"] == "planned" and "main-task-a: would be opened" in out
    assert "body" not in out, "a line a branch"
