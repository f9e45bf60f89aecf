"""The output of a task: steps with folded input and result, texts in pieces, following."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testkit.hostile_text import ALL, forbidden

from cpr_nb.display.output import PIECE, STEPS, OutputFollower
from cpr_nb.store.read import Snapshot, read_session


def assistant(*blocks: dict[str, Any], timestamp: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"type": "assistant", "timestamp": timestamp, "message": {"content": list(blocks)}}


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def call(name: str, number: int, **tool_input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"t{number}", "name": name, "input": tool_input}


def tool_result(number: int, content: Any, *, is_error: bool = False) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": f"t{number}", "content": content}
    return {"type": "user", "message": {"content": [{**block, "is_error": is_error}]}}


class RunningTask:
    """A session with one running task whose stream grows."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "session-1"
        self.root.mkdir()
        self.stream = self.root / "task-a.jsonl"
        spec = {"tasks": [{"id": "a", "prompt": "Do\nit \x1b[31mnow"}]}
        (self.root / "session.json").write_text(json.dumps(spec))
        self.status(state="running", status="running")
        self.output = OutputFollower(self.snapshot, 0, "3f2a")
        self.texts: dict[str, str] = {}
        self.totals: dict[str, int] = {}
        self.steps: dict[int, dict[str, Any]] = {}
        self.first = 0
        self.info: dict[str, Any] = {}

    def status(self, **fields: Any) -> None:
        task = {"task_num": 1, "transaction_id": "a", "attempts": 1, **fields}
        status = {"schema_version": 1, "overall_status": "completed", "tasks": [task]}
        (self.root / "status.json").write_text(json.dumps({"cwd": "/shop", **status}))

    @property
    def snapshot(self) -> Snapshot:
        return read_session(str(self.root))

    def write(self, *events: dict[str, Any]) -> None:
        with self.stream.open("a") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)

    def poll(self) -> None:
        self.receive(self.output.poll(self.snapshot))

    def receive(self, messages: Any) -> None:
        """As viewer.js does."""
        for message in json.loads(json.dumps(list(messages))):
            if "text" in message:
                text = message["text"]
                before = self.texts.get(text["name"], "")[: text["offset"]]
                assert len(text["text"]) <= PIECE
                self.texts[text["name"]] = before + text["text"]
                self.totals[text["name"]] = text["total"]
            for step in message.get("steps", ()):
                self.steps[step["n"]] = step
            self.first = message.get("first", self.first)
            self.info = message.get("info", self.info)


def test_a_running_task_is_followed(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    task.poll()
    assert task.texts["prompt"] == "Do\nit \\x1b[31mnow" and task.steps == {}
    assert task.info["cancel"] == "cpr cancel 3f2a --task 1"
    task.write(assistant(text_block("I look"), call("Read", 1, file_path="/shop/a.py")))
    task.poll()
    assert [(s["name"], s["target"], s["brief"]) for s in task.steps.values()] == [
        ("", "I look", ""),
        ("Read", "a.py", "◐ running"),
    ]
    task.write(
        tool_result(1, "one\ntwo"), assistant(text_block("Done"), timestamp="2026-01-01T00:00:05Z")
    )
    task.poll()
    assert task.steps[1]["brief"] == "2 lines" and task.steps[1]["parts"] == ["input", "result"]
    assert task.steps[2]["time_s"] == 5.0
    assert task.texts["answer"] == "I look\n\nDone"
    task.receive(task.output.next_piece("step-1-result", 0))
    task.receive(task.output.next_piece("step-1-input", 0))
    assert task.texts["step-1-result"] == "one\ntwo"
    assert task.texts["step-1-input"] == "file_path: /shop/a.py"
    (task.root / "task-a.txt").write_text("The answer\n")
    task.status(state="ended", status="completed", outcome="failed", reason="x", error="broke")
    task.poll()
    assert task.texts["answer"] == "The answer\n"
    assert task.texts["errors"] == "failed: x: broke"
    assert task.info["cancel"] == "" and task.info["tabs"]["errors"] == "!"


def test_an_error_a_refusal_and_a_retry_are_steps(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    task.write(
        assistant(call("Bash", 1, command="pytest")),
        tool_result(1, [{"type": "text", "text": "1 failed\n2"}], is_error=True),
        {"type": "system", "subtype": "api_retry", "error_status": 529, "attempt": 2},
        {"type": "system", "subtype": "permission_denied", "tool_name": "Bash", "message": "no"},
        {"type": "result", "is_error": True, "subtype": "error_max_turns"},
    )
    task.poll()
    steps = [(s["name"], s["brief"], s["tone"]) for s in task.steps.values()]
    assert steps == [
        ("Bash", "1 failed 2", "bad"),
        ("Retry", "API answered 529, retry 2", "warn"),
        ("Denied", "Bash: no", "warn"),
        ("Error", "error_max_turns", "bad"),
    ]


def test_an_answer_comes_as_a_tree_too_if_it_comes_whole(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    trees = []

    def poll() -> None:
        for message in task.output.poll(task.snapshot):
            piece = message.get("text", {})
            if piece.get("name") == "answer":
                trees.append(json.loads(json.dumps(piece.get("tree"))))
            assert piece.get("name") == "answer" or "tree" not in piece

    task.write(assistant(text_block("**One**")))
    poll()
    task.write(assistant(text_block("two <b>")))
    poll()
    one = ["p", [["b", ["One"], 1]], 1]
    assert trees == [[one], [one, ["p", ["two <b>"], 1]]]
    task.write(assistant(text_block("x" * PIECE)))
    poll()
    assert trees[2:] == [None], "of a part nobody knows what it is"


def test_long_texts_come_in_pieces_and_a_growing_one_is_not_pushed(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    long = "x" * (2 * PIECE + 5)
    task.write(assistant(text_block(long)))
    task.poll()
    assert (len(task.texts["answer"]), task.totals["answer"]) == (PIECE, len(long))
    task.write(assistant(text_block("more")))
    task.poll()
    assert (len(task.texts["answer"]), task.totals["answer"]) == (PIECE, len(long) + 6)
    while len(task.texts["answer"]) < task.totals["answer"]:
        task.receive(task.output.next_piece("answer", len(task.texts["answer"])))
    assert task.texts["answer"] == f"{long}\n\nmore"
    task.write(assistant(text_block("and more")))
    task.poll()
    assert task.texts["answer"] == f"{long}\n\nmore\n\nand more"


def test_of_many_steps_the_last_come_first(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    task.write(*(assistant(text_block(f"step {n}")) for n in range(2 * STEPS + 7)))
    task.poll()
    assert (len(task.steps), task.first) == (STEPS, STEPS + 7)
    task.receive(task.output.earlier_steps())
    task.receive(task.output.earlier_steps())
    assert (sorted(task.steps), task.first) == (list(range(2 * STEPS + 7)), 0)


def test_another_attempt_has_a_stream_of_its_own(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    task.write(assistant(text_block("first")))
    task.poll()
    (task.root / "task-a@2.jsonl").write_text(json.dumps(assistant(text_block("second"))) + "\n")
    task.status(state="running", status="running", attempts=2)
    task.poll()
    assert task.texts["answer"] == "second" and task.steps[0]["target"] == "second"


def test_denials_and_logs_stand_among_the_errors(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    denial = {"tool_name": "Bash", "tool_input": {"command": "git push"}}
    task.write({"type": "result", "permission_denials": [denial]})
    (task.root / "task-a.err").write_text("\x1b[31moops")
    (task.root / "task-a.patch").write_text("+one\n")
    task.status(state="ended", status="completed", outcome="succeeded", n_denials=1, lines_added=1)
    task.poll()
    assert "s.retry(allow=['Bash(git push:*)'])" in task.texts["errors"]
    assert task.texts["errors"].endswith("\\x1b[31moops")
    assert (task.texts["diff"], task.info["tabs"]["diff"]) == ("+one\n", "+1 −0")


def test_what_nobody_offered_is_not_given(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    task.write(assistant(text_block("one")))
    task.poll()
    for name in ("step-9-input", "step-0-result", "nothing", "step-0-", "../status"):
        assert list(task.output.next_piece(name, 0)) == []
    assert list(task.output.next_piece("answer", -1)) == []


def test_whatever_is_shown_of_a_task_hides_nothing(tmp_path: Path) -> None:
    task = RunningTask(tmp_path)
    task.write(assistant(text_block(ALL), call(ALL, 1, command=ALL)))
    task.write(tool_result(1, ALL, is_error=True))
    (task.root / "task-a.err").write_bytes(ALL.encode("utf-8", "replace"))
    task.status(state="ended", status="completed", outcome="failed", error=ALL, note=ALL)
    task.poll()
    shown = json.dumps([task.texts, task.steps, task.info], ensure_ascii=False)
    assert forbidden(shown) == set() and "\\\\u202e" in shown
