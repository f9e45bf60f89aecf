"""What a runner does with the questions in its agents' streams, without a CLI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.runner.asking import Asking
from cpr_nb.runner.attempt import Attempt
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.message_pipe import MessagePipe, new_pipe
from cpr_nb.store.layout import SessionPaths
from cpr_nb.views.questions import questions_of

RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
BACKGROUND = {"type": "system", "subtype": "background_tasks_changed"}
SLEEP = {"task_id": "b", "task_type": "local_bash", "description": "sleep 9"}


class Recorder:
    """Keeps what is to be written down."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.open: dict[int, list[dict[str, Any]]] = {}
        self.warnings: list[str] = []

    def task_id(self, task: int) -> str:
        return f"t{task}"

    def journal(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    def asks(self, task: int, questions: list[dict[str, Any]]) -> None:
        self.open[task] = questions

    def warn(self, *warnings: str) -> None:
        self.warnings += warnings


class Processes(list[Attempt]):
    """The attempts that run."""

    @property
    def by_task(self) -> dict[int, Attempt]:
        return {attempt.task: attempt for attempt in self}


class Desk:
    """A runner's questions, with an attempt for each of two tasks and the other ends of stdin."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.recorder, self.processes = folder, Recorder(), Processes()
        self.stdins: list[int] = []
        for task in range(2):
            (folder / f"task-t{task}.jsonl").touch()
            read_fd, pipe = new_pipe()
            process = LocalProcess(0, "token", stdin=pipe)
            attempt = Attempt(process, task, f"t{task}", 1, SessionPaths(str(folder)))
            os.set_blocking(read_fd, False)
            self.stdins.append(read_fd)
            self.processes.append(attempt)
        spec: Any = type("Spec", (), {"session": {"options": {"ask": True, "ask_s": 10.0}}})
        self.asking = Asking(spec, self.processes, self.recorder)  # type: ignore[arg-type]

    def write(self, task: int, *lines: dict[str, Any], now: float = 0.0) -> None:
        """Adds lines to a task's stream, and has the runner read them."""
        with (self.folder / f"task-t{task}.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        self.processes[task].stream.poll(now)
        self.asking.turn(now)

    def ask(self, task: int, request_id: str = "r", command: str = "pytest") -> None:
        request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": command}}
        request |= {"permission_suggestions": [{}]}
        line = {"type": "control_request", "request_id": request_id, "request": request}
        self.write(task, line)

    def key(self, task: int) -> str:
        fields = {"transaction_id": f"t{task}", "state": "running", "task_num": task + 1}
        (question,) = questions_of({**fields, "questions": self.recorder.open[task]})
        return question.key

    def got(self, task: int) -> list[dict[str, Any]] | None:
        """What a CLI has got on stdin since; None if stdin is closed."""
        try:
            data = os.read(self.stdins[task], 1 << 16)
        except BlockingIOError:
            return []
        return [json.loads(line) for line in data.splitlines()] if data else None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    for attempt in desk.processes:
        desk.asking.ended(attempt)
        attempt.stream.close()
    for fd in desk.stdins:
        os.close(fd)


def test_each_decision_becomes_the_response_that_the_cli_understands(desk: Desk) -> None:
    desk.ask(0, "r1")
    desk.asking.answer(desk.key(0), "once\n")
    desk.ask(0, "r2")
    desk.asking.answer(desk.key(0), "deny\nNot é here.")
    desk.ask(0, "r3")
    desk.asking.answer(desk.key(0), "session\n")
    responses = [line["response"] for line in desk.got(0) or ()]
    assert [response["request_id"] for response in responses] == ["r1", "r2", "r3"]
    once, deny, session = (response["response"] for response in responses)
    assert once == {"behavior": "allow", "updatedInput": {"command": "pytest"}}
    assert deny == {"behavior": "deny", "message": "The user denied this. Not é here."}
    assert session["updatedPermissions"][0]["rules"] == [
        {"toolName": "Bash", "ruleContent": "pytest:*"}
    ]


def test_a_rule_of_the_session_answers_the_other_tasks_open_and_later_questions(desk: Desk) -> None:
    desk.ask(0)
    desk.ask(1, "r1")
    desk.asking.answer(desk.key(0), "session")
    desk.ask(1, "r2", "pytest -q")
    desk.ask(1, "r3", "pytest && rm -rf x")
    got = [line["response"]["request_id"] for line in desk.got(1) or ()]
    assert got == ["r1", "r2"] and len(desk.recorder.open[1]) == 1


@pytest.mark.parametrize("value", ["", "yes", "once please", "session"])
def test_what_is_no_answer_to_a_question_leaves_it_open(desk: Desk, value: str) -> None:
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "x"}}
    desk.write(0, {"type": "control_request", "request_id": "r", "request": request})
    desk.asking.answer(desk.key(0), value)  # no rule can allow it in the session
    assert desk.got(0) == [] and desk.key(0)


def test_a_question_that_the_cli_takes_back_is_gone(desk: Desk) -> None:
    desk.ask(0)
    key = desk.key(0)
    desk.write(0, {"type": "control_cancel_request", "request_id": "r"})
    assert desk.recorder.open[0] == []
    desk.asking.answer(key, "once")
    assert desk.got(0) == []


def test_the_end_of_an_attempt_is_the_end_of_its_questions(desk: Desk) -> None:
    desk.ask(0)
    attempt = desk.processes.pop(0)
    desk.asking.ended(attempt)
    assert desk.recorder.open[0] == [] and desk.got(0) is None
    desk.asking.turn(99.0)
    assert [event for event, _ in desk.recorder.events] == ["asked"]
    attempt.stream.close()


def test_stdin_is_closed_once_nothing_is_left_that_could_ask(desk: Desk) -> None:
    desk.write(0, {**BACKGROUND, "tasks": [SLEEP]}, RESULT)
    assert desk.got(0) == [], "a command still runs, whose end may start another turn"
    desk.write(0, {**BACKGROUND, "tasks": []})
    assert desk.got(0) is None


def test_an_agent_whose_runner_was_another_one_is_not_answered(desk: Desk) -> None:
    desk.processes[0].process.stdin = None
    desk.ask(0)
    desk.asking.pass_on(0, "Hello.")
    assert desk.recorder.open == {} and desk.got(0) is None
    assert desk.recorder.warnings == ["task 1: too late, it did not get: Hello."]


def test_a_prompt_larger_than_the_pipe_arrives_as_the_cli_reads_it() -> None:
    read_fd, write_fd = os.pipe()
    pipe = MessagePipe(write_fd)
    pipe.send_message("x" * 300_000)
    read, data = True, b""
    while read:
        pipe.flush()
        if not pipe.has_unsent:
            pipe.close()
        read = bool(chunk := os.read(read_fd, 65536))
        data += chunk
    os.close(read_fd)
    assert json.loads(data)["message"]["content"] == "x" * 300_000
