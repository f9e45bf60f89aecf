"""Which tasks share a process: what is refused, what is told, what session.json holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.stub import Stub

from cpr_nb.launching.cli_cache import SMALLEST_PROGRAM_BYTES
from cpr_nb.launching.from_frame import plan_map
from cpr_nb.launching.plan import LaunchPlan, plan_launch, plan_variants
from cpr_nb.model.digest import sha256_of_file
from cpr_nb.model.errors import InputError
from cpr_nb.runner.session_spec import SessionSpec

EnterEnv = Callable[[dict[str, str]], None]
ENV = {"prompt": "b", "env": {"A": "1"}}


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def planned(*prompts: Any, **options: Any) -> LaunchPlan:
    return plan_launch(prompts, {"share_process": True, **options})


def sharing_lines(plan: LaunchPlan) -> list[str]:
    return [line for line in plan.warnings if line.startswith("share_process")]


def test_tasks_that_can_share_do_so_without_a_word() -> None:
    plan = planned("a", {"prompt": "b", "model": "opus"}, safe_mode=True)
    assert plan.options["share_process"]
    assert sharing_lines(plan) == []


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        (ENV, "env of a task"),
        ("/compact", "prompt that begins with '/'"),
        ({"prompt": "b", "claude_args": ["--disable-slash-commands"]}, "--disable-slash-commands"),
        (
            {"prompt": "b", "claude_args": ["--permission-prompt-tool=mcp__a__b"]},
            "--permission-prompt-tool",
        ),
    ],
)
def test_a_task_that_cannot_share_is_told_in_one_line(prompt: Any, why: str) -> None:
    plan = planned("a", " /compact", prompt)
    assert plan.options["share_process"]
    one = f"share_process: 1 of 3 tasks have a process of their own, because of: {why} (1)"
    assert sharing_lines(plan) == [one]


def test_where_no_task_can_share_the_session_is_one_without_shared_processes() -> None:
    plan = planned("/a", "/b", ENV)
    assert "share_process" not in plan.options
    reasons = "prompt that begins with '/' (2), env of a task (1)"
    assert sharing_lines(plan) == [
        f"share_process: each task has a process of its own, because of: {reasons}"
    ]


@pytest.mark.parametrize("factors", [{"vary": {"model": ["a", "b"]}}, {"repeats": 2}])
def test_what_is_to_be_compared_shares_no_process(factors: dict[str, Any]) -> None:
    asked = {"vary": None, "repeats": 1, **factors}
    with pytest.raises(InputError, match=r"^share_process: can't be combined with vary or rep"):
        plan_variants(["a"], options={"share_process": True}, **asked)
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(InputError, match=r"^share_process: can't be combined with vary or rep"):
        plan_map("{a}", frame, asked["vary"], asked["repeats"], {"share_process": True})
    assert plan_variants(["a"], options={"share_process": False}, **asked).tasks


def test_share_process_is_a_word_for_the_session_as_a_whole() -> None:
    with pytest.raises(InputError, match="share_process"):
        plan_launch([{"prompt": "a", "share_process": True}], {})


def mentions(prompts: list[Any], **options: Any) -> list[str]:
    return [line for line in plan_launch(prompts, options).warnings if "--share-process" in line]


def grow(stub: Stub) -> None:
    """Makes the CLI a program, about which a launch keeps what it knows."""
    with stub.path.open("a") as file:
        file.write("#" * SMALLEST_PROGRAM_BYTES)


def test_many_tasks_that_could_share_are_mentioned_once(stub: Stub) -> None:
    grow(stub)
    many = [str(number) for number in range(120)]
    assert mentions(many[:99]) == []
    assert mentions(["/a", *many[:99]]) == []
    assert mentions(many, share_process=False) == []
    assert mentions(many, share_process=True) == []
    assert plan_variants(many, None, 2, {}).warnings == []
    (line,) = mentions(many)
    assert line.startswith("💡 120 tasks could share CLI processes: --share-process ")
    assert mentions(many) == []


def test_a_cli_that_cannot_share_is_no_reason_to_mention_it(stub: Stub) -> None:
    grow(stub)
    stub.set_version("2.1.167 (Claude Code)")
    assert mentions([str(number) for number in range(120)]) == []


def test_what_could_not_be_remembered_is_not_mentioned_at_each_launch() -> None:
    assert mentions([str(number) for number in range(120)]) == []  # the stub is a small script


def read_plans(path: Path, options: dict[str, Any], tasks: list[dict[str, Any]]) -> Iterator[bool]:
    """Whether each task may share, as a runner reads it."""
    lines = [json.dumps({"options": options})[:-1] + ',\n"tasks":[\n']
    lines += [json.dumps(task) + ",\n" for task in tasks[:-1]] + [json.dumps(tasks[-1]) + "\n]}\n"]
    content = "".join(lines).encode()
    path.write_bytes(content)
    spec = SessionSpec(str(path), sha256_of_file(content).hexdigest())
    assert len(list(spec.read_tasks())) == len(tasks)
    return (plan.shares for plan in spec.plans)


def test_the_runner_knows_which_tasks_share(tmp_path: Path) -> None:
    tasks: list[dict[str, Any]] = [
        {"id": "a", "prompt": "do"},
        {"id": "b", "prompt": "/do"},
        {"id": "c", "prompt": "do", "env_names": ["A"]},
        {"id": "d", "prompt": "do", "follows": "c-1"},
        {"id": "e", "prompt": "do", "options": {"worktree": True}},
        {"id": "f", "prompt": "do", "options": {"model": "opus"}},
    ]
    path = tmp_path / "session.json"
    shared = read_plans(path, {"share_process": True}, tasks)
    assert list(shared) == [True, False, False, False, False, True]
    assert not any(read_plans(path, {"share_process": False}, tasks))
    assert not any(read_plans(path, {}, tasks))
