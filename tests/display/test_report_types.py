"""A report of a session whose files hold values of other types than a runner writes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit.ran import Ran

from cpr_nb.display.report.page import session_report
from cpr_nb.store.read import read_session

ODD: list[Any] = [None, [], {}, "x", -1, 2.5, 1e308, True, [None], {"a": [1]}, [{"a": 1}], 10**30]
OPTIONS = {
    "schema": {"properties": {"bugs": {"type": "integer"}}},
    "allow": ["Bash"],
    "env": ["A"],
    "settings": {"a": 1},
    "claude_args": ["x"],
    "silence_s": 75.0,
    "budget_usd": 2.0,
    "worktree": True,
}
RESULT = {
    "type": "result",
    "permission_denials": [{"tool_name": "Bash", "tool_input": {"command": "pytest"}}],
    "structured_output": {"bugs": 1},
}


def places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a value of JSON another one can stand."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in pairs:
        yield (*where, name)
        if isinstance(one, dict | list):
            yield from places(one, (*where, name))


def changed(value: Any, where: tuple[Any, ...], odd: Any) -> Any:
    """The value with another one somewhere."""
    value = copy.deepcopy(value)
    place = value
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = odd
    return value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ran = Ran(tmp_path, 2)
    figures = {"lines_added": 1, "n_files_changed": 1, "n_denials": 1, "attempts": 1, "branch": "b"}
    ran.task(0, (0.0, 9.0, "succeeded", 0.5), model="opus", input_tokens=5, **figures)
    ran.task(1, (0.0, 9.0, "failed", 0.5), reason="check_failed", error="no", **figures)
    question = {"tool": "Bash", "wants": "wants to run", "target": "ls", "rules": ["Bash(ls)"]}
    ran.tasks[1]["questions"] = [question]
    (ran.path / "task-t1.jsonl").write_text(json.dumps(RESULT) + "\n")
    reused = [{"position": 2, "session_id": "x", "task_id": "a", "row": 0}]
    checkout = {"current_branch": "main"}
    tasks = [{"id": f"t{n}", "prompt": "p", "options": {}, "checkout": checkout} for n in (1, 2)]
    spec = {"options": OPTIONS, "tasks": tasks, "reused": reused}
    (ran.path / "session.json").write_text(json.dumps(spec))
    (ran.path / "runner.json").write_text(json.dumps({"git_commit": "c", "claude_version": "2"}))
    ran.write(warnings=["w"], started_at="2026-11-28T23:48:06Z", permissions="edits", n_reused=1)
    return ran.path


@pytest.mark.parametrize("name", ["status.json", "session.json", "runner.json", "task-t1.jsonl"])
def test_any_value_anywhere_is_shown_or_left_out(folder: Path, name: str) -> None:
    draw, whole = random.Random(3), json.loads((folder / name).read_text())
    for where in places(whole):
        odd = draw.choice(ODD)
        (folder / name).write_text(json.dumps(changed(whole, where, odd)))
        for redact in (False, True):
            html = session_report(read_session(str(folder)), redact=redact).html
            assert html.endswith("</html>"), (where, odd)
