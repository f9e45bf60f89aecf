"""What a run waits for after a turn: events as versions of the CLI write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.text import visible_line
from cpr_nb.runner.background import BackgroundWork

RESULT = {"type": "result", "is_error": False}
INIT = {"type": "system", "subtype": "init"}
COMMAND = "npm run dev"
RUNS = f"a background command still runs ({COMMAND})"


def system(subtype: str, **fields: Any) -> dict[str, Any]:
    return {"type": "system", "subtype": subtype, **fields}


def call(tool_id: str, name: str = "Bash", **tool_input: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": tool_id, "name": name, "input": tool_input}
    return {"type": "assistant", "message": {"content": [block]}}


def returned(tool_id: str, **fields: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": tool_id, **fields}
    return {"type": "user", "message": {"content": [block]}}


def told(text: str, parent: str | None = None) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"type": "assistant", "parent_tool_use_id": parent, "message": {"content": content}}


def task(task_id: str, kind: str = "local_bash", **fields: Any) -> dict[str, Any]:
    return {"task_id": task_id, "task_type": kind, "description": f"start {task_id}", **fields}


def listed(*tasks: dict[str, Any]) -> dict[str, Any]:
    return system("background_tasks_changed", tasks=list(tasks))


def started(task_id: str, kind: str = "local_bash", **fields: Any) -> dict[str, Any]:
    return system("task_started", **task(task_id, kind, **fields))


def ended(task_id: str, status: str = "completed") -> dict[str, Any]:
    return system("task_notification", task_id=task_id, status=status)


#: A command in the background, from its call to the result line.
NEW = [call("t1", command=COMMAND), listed(task("b1")), started("b1", tool_use_id="t1"),
       returned("t1"), told("It runs."), RESULT]  # fmt: skip
OLD = [event for event in NEW if event.get("subtype") != "background_tasks_changed"]


def work_of(*events: dict[str, Any]) -> BackgroundWork:
    work = BackgroundWork()
    for event in events:
        work.feed(event)
    return work


def state(*events: dict[str, Any]) -> tuple[bool, str]:
    work = work_of(*events)
    return work.lingers, work.now


@pytest.mark.parametrize("events", [NEW, OLD], ids=["2.1.332", "2.1.126"])
def test_a_command_is_named_by_its_text_until_it_has_ended(events: list[dict[str, Any]]) -> None:
    assert state(*events[:-1]) == (False, RUNS)
    assert state(*events) == (True, RUNS)
    assert work_of(*events).past == f"a background command still ran: {COMMAND}"
    assert state(*events, ended("b1", "stopped")) == (True, "")
    assert state(*events, system("task_updated", task_id="b1", patch={"status": "killed"}))[1] == ""
    assert state(*events, system("task_updated", task_id="b1", patch={"output": 3}))[1] == RUNS


def test_what_the_cli_lists_is_what_counts() -> None:
    assert state(*NEW, listed()) == (True, "")
    assert state(*NEW, listed(), started("b2")) == (True, ""), "it is listed before it is started"
    both = state(*NEW, listed(task("b2"), task("b1")))
    assert both == (True, f"2 background commands still run (start b2, {COMMAND})")
    assert state(*NEW, listed(task("b1", ambient=True))) == (True, "")


def test_another_turn_is_no_lingering() -> None:
    assert state(*NEW, INIT) == (False, RUNS)
    assert state(*NEW, told("I look again.")) == (False, RUNS)
    assert state(*NEW, INIT, told("I look again."), RESULT) == (True, RUNS)


@pytest.mark.parametrize(
    "kind", ["local_agent", "remote_agent", "in_process_teammate", "local_workflow"]
)
def test_while_a_model_works_it_does_not_linger(kind: str) -> None:
    agent = [started("a1", kind), RESULT]
    assert state(*agent) == (False, "a subagent still works (start a1)")
    assert state(*agent, told("words of a subagent", "t1"))[0] is False
    assert state(*agent, ended("a1")) == (True, "")
    two = state(started("a1", kind), started("a2", kind), started("b1"), RESULT)
    assert two == (False, "2 subagents still work (start a1, start a2)")


def test_words_of_a_subagent_begin_no_turn() -> None:
    assert work_of(*NEW, told("words of a subagent", "t1")).turn_ended


def test_what_runs_in_the_foreground_is_not_waited_for() -> None:
    agent = [call("t1", "Task"), started("a1", "local_agent", tool_use_id="t1")]
    assert state(*agent, ended("a1"), returned("t1"), told("Done."), RESULT) == (True, "")
    assert state(started("b1", is_backgrounded=False), RESULT) == (True, "")


def test_a_wakeup_is_waited_for_until_it_comes() -> None:
    wakeup = [call("t1", "ScheduleWakeup", delaySeconds=60), returned("t1"), RESULT]
    assert state(*wakeup) == (True, "it waits for a wakeup")
    assert work_of(*wakeup).past == "it waited for a wakeup"
    assert state(*wakeup, INIT, RESULT) == (True, "")
    assert state(wakeup[0], returned("t1", is_error=True), RESULT) == (True, "")


def test_a_process_that_does_not_end_for_no_known_reason_lingers_too() -> None:
    assert state(INIT, told("Hello."), RESULT) == (True, "")
    assert work_of(RESULT).past == "its process had not ended"


def test_many_long_commands_are_one_short_line() -> None:
    tasks = [task(f"b{n}", description=f"{n}\n" + "x" * 500) for n in range(50)]
    now = work_of(listed(*tasks), RESULT).now
    assert now.startswith("50 background commands still run (0 xxx") and now.endswith("…, …)")
    assert len(now) < 330 and now.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = [
    "tasks",
    "task_id",
    "task_type",
    "patch",
    "status",
    "tool_use_id",
    "message",
    "description",
]
ODD = st.builds(
    lambda kind, subtype, fields: {"type": kind, "subtype": subtype, **fields},
    st.sampled_from(["system", "assistant", "user", "result"]),
    st.sampled_from(["background_tasks_changed", "task_started", "task_updated", "init"]),
    st.dictionaries(st.sampled_from(NAMES), JSON),
)


@given(st.lists(ODD | st.sampled_from(NEW), max_size=12))
def test_events_of_any_form_are_read(events: list[dict[str, Any]]) -> None:
    work = work_of(*events)
    assert [visible_line(work.now), visible_line(work.past)] == [work.now, work.past]
