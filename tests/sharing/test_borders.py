"""Where one task of a shared process ends and the next one begins, with the real CLI."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli


def bash(command: str, **more: Any) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "run it", **more}}


def element(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "prompt": script(*steps, say=f"Do {name}.")}


def served(session: cpr.Session) -> dict[str, int]:
    """The number of the process that each task was given to, by its last attempt."""
    journal = (session.path / "journal.jsonl").read_text("utf-8").splitlines()
    entries = map(json.loads, journal)
    return {
        e["task_id"]: e["process"] for e in entries if e["event"] == "intent" and "process" in e
    }


def asked_once(api: ScriptedApi, session: cpr.Session) -> bool:
    """Whether each task was asked once, in its own conversation, with its own words."""
    by_conversation = {task.conversation_id: f"Do {task.id}." for task in session}
    asked = [record for record in api.requests if record.step == 0 and record.tools]
    counts = Counter(record.conversation_id for record in asked)
    words = [by_conversation.get(r.conversation_id, "nobody's") in r.last_user_text for r in asked]
    others = [r.last_user_text.count("SCRIPT=") for r in asked]
    return all(words) and counts == Counter(by_conversation.keys()) and {*others} == {1}


@pytest.mark.slow
def test_what_a_task_has_left_never_speaks_into_the_next_one(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    # A job that ends while the last answer streams; a subagent that lives at the result.
    lasting = {"text": "done " * 9, "delay_s": 0.2}
    agent = {
        "description": "help",
        "prompt": script({"text": "the agent's words", "wait": "agent"}),
        "subagent_type": "general-purpose",
        "run_in_background": True,
    }
    steps: dict[str, list[dict[str, Any]]] = {
        "first": [{"text": "one"}],
        "job": [bash("sleep 0.4", run_in_background=True), lasting],
        "second": [{"text": "two"}],
        "agent": [
            {"tool": "Agent", "input": agent},
            {"text": "mine", "release": "agent"},
            {"text": "", "notification": 1},
        ],
        "third": [{"text": "three"}],
    }
    elements = [
        {"id": name, "prompt": script(*own, say=f"Do {name}.")} for name, own in steps.items()
    ]
    options = ("-j1", "--share-process", "--permissions", "all")
    session = real_cpr.launch(prompts(*elements), *options).wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"] * 5
    assert [task.text.split()[0] for task in session] == ["one", "done", "two", "mine", "three"]
    processes = served(session)
    assert [*processes] == [*steps]
    assert processes["job"] < processes["second"] and processes["agent"] < processes["third"]
    for task in session:
        lines = [json.loads(line) for line in task.stream_path.read_text("utf-8").splitlines()]
        ids = {line.get("session_id") for line in lines if line["type"] != "control_response"}
        assert ids == {task.conversation_id}


def test_a_cli_whose_clear_is_refused_runs_a_process_a_task_and_says_so(
    real_cpr: Cpr, api: ScriptedApi, claude: str, tmp_path: Path
) -> None:
    wrapper = tmp_path / "claude"
    wrapper.write_text(f"#!/bin/sh\nexec '{claude}' --disable-slash-commands \"$@\"\n")
    wrapper.chmod(0o755)
    elements = [
        {"id": f"t{n}", "prompt": script({"text": f"{n}"}, say=f"Do t{n}.")} for n in (1, 2)
    ]
    options = ("-j2", "--share-process", "--claude-path", str(wrapper))
    session = real_cpr.launch(prompts(*elements), *options).wait(LIMIT_S)
    assert [(task.outcome, task.text, task.attempts) for task in session] == [
        ("succeeded", "1", 1),
        ("succeeded", "2", 1),
    ]
    assert served(session) == {} and asked_once(api, session)
    assert [w for w in session.warnings if "tasks do not share processes" in w]
    assert not [*session.path.glob("process-*")]


def test_the_file_of_a_served_task_grows_while_it_runs(real_cpr: Cpr, api: ScriptedApi) -> None:
    steps = ({"text": "seen early", **bash("true")}, {"text": "done", "wait": "seen"})
    session = real_cpr.launch(
        prompts(element("one", *steps)), "--share-process", "--permissions", "all"
    )
    (task,) = session
    api.wait_for(lambda record: record.step == 1, LIMIT_S)  # it runs, and has no answer yet
    path = task.stream_path
    session.wait_until(
        lambda: path.exists() and "seen early" in path.read_text("utf-8"), LIMIT_S, "its lines"
    )
    assert not task.done()
    api.release("seen")
    assert session.wait(LIMIT_S)[0].ok and served(session) == {"one": 1}
