"""The output of a task: steps with folded input and result, texts in pieces, following."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.display import output as module
from cpr_nb.display.output import PIECE, STEPS, Output, visible
from cpr_nb.store.read import Snapshot, read_session


def said(*blocks: dict[str, Any], at: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"type": "assistant", "timestamp": at, "message": {"content": list(blocks)}}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def call(name: str, number: int, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"t{number}", "name": name, "input": given}


def came_back(number: int, content: Any, *, is_error: bool = False) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": f"t{number}", "content": content}
    return {"type": "user", "message": {"content": [{**block, "is_error": is_error}]}}


class Made:
    """A session with one running task whose stream grows."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "session-1"
        self.root.mkdir()
        self.stream = self.root / "task-a.jsonl"
        asked = {"tasks": [{"id": "a", "prompt": "Do\nit \x1b[31mnow"}]}
        (self.root / "session.json").write_text(json.dumps(asked))
        self.status(state="running", status="running")
        self.output = Output(self.snapshot, 0, "3f2a")
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

    def look(self) -> None:
        self.take(self.output.look(self.snapshot))

    def take(self, messages: Any) -> None:
        """As viewer.js does."""
        for message in json.loads(json.dumps(list(messages))):
            if "text" in message:
                text = message["text"]
                known = self.texts.get(text["name"], "")[: text["at"]]
                assert len(text["text"]) <= PIECE
                self.texts[text["name"]] = known + text["text"]
                self.totals[text["name"]] = text["total"]
            for step in message.get("steps", ()):
                self.steps[step["n"]] = step
            self.first = message.get("first", self.first)
            self.info = message.get("info", self.info)


def test_a_running_task_is_followed(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.look()
    assert made.texts["prompt"] == "Do\nit now" and made.steps == {}
    assert made.info["cancel"] == "cpr cancel 3f2a --task 1"
    made.write(said(words("I look"), call("Read", 1, file_path="/shop/a.py")))
    made.look()
    assert [(s["name"], s["target"], s["brief"]) for s in made.steps.values()] == [
        ("", "I look", ""),
        ("Read", "a.py", "◐ running"),
    ]
    made.write(came_back(1, "one\ntwo"), said(words("Done"), at="2026-01-01T00:00:05Z"))
    made.look()
    assert made.steps[1]["brief"] == "2 lines" and made.steps[1]["parts"] == ["input", "result"]
    assert made.steps[2]["at"] == 5.0
    assert made.texts["answer"] == "I look\n\nDone"
    made.take(made.output.more("step-1-result", 0))
    made.take(made.output.more("step-1-input", 0))
    assert made.texts["step-1-result"] == "one\ntwo"
    assert made.texts["step-1-input"] == "file_path: /shop/a.py"
    (made.root / "task-a.txt").write_text("The answer\n")
    made.status(state="ended", status="completed", outcome="failed", reason="x", error="broke")
    made.look()
    assert made.texts["answer"] == "The answer\n"
    assert made.texts["errors"] == "failed: x: broke"
    assert made.info["cancel"] == "" and made.info["tabs"]["errors"] == "!"


def test_an_error_a_refusal_and_a_retry_are_steps(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.write(
        said(call("Bash", 1, command="pytest")),
        came_back(1, [{"type": "text", "text": "1 failed\n2"}], is_error=True),
        {"type": "system", "subtype": "api_retry", "error_status": 529, "attempt": 2},
        {"type": "system", "subtype": "permission_denied", "tool_name": "Bash", "message": "no"},
        {"type": "result", "is_error": True, "subtype": "error_max_turns"},
    )
    made.look()
    told = [(s["name"], s["brief"], s["tone"]) for s in made.steps.values()]
    assert told == [
        ("Bash", "1 failed 2", "bad"),
        ("Retry", "API answered 529, retry 2", "warn"),
        ("Denied", "Bash: no", "warn"),
        ("Error", "error_max_turns", "bad"),
    ]


def test_long_texts_come_in_pieces_and_a_growing_one_is_not_pushed(tmp_path: Path) -> None:
    made = Made(tmp_path)
    long = "x" * (2 * PIECE + 5)
    made.write(said(words(long)))
    made.look()
    assert (len(made.texts["answer"]), made.totals["answer"]) == (PIECE, len(long))
    made.write(said(words("more")))
    made.look()
    assert (len(made.texts["answer"]), made.totals["answer"]) == (PIECE, len(long) + 6)
    while len(made.texts["answer"]) < made.totals["answer"]:
        made.take(made.output.more("answer", len(made.texts["answer"])))
    assert made.texts["answer"] == f"{long}\n\nmore"
    made.write(said(words("and more")))
    made.look()
    assert made.texts["answer"] == f"{long}\n\nmore\n\nand more"


def test_of_many_steps_the_last_come_first(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.write(*(said(words(f"step {n}")) for n in range(2 * STEPS + 7)))
    made.look()
    assert (len(made.steps), made.first) == (STEPS, STEPS + 7)
    made.take(made.output.earlier())
    made.take(made.output.earlier())
    assert (sorted(made.steps), made.first) == (list(range(2 * STEPS + 7)), 0)


def test_another_attempt_has_a_stream_of_its_own(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.write(said(words("first")))
    made.look()
    (made.root / "task-a@2.jsonl").write_text(json.dumps(said(words("second"))) + "\n")
    made.status(state="running", status="running", attempts=2)
    made.look()
    assert made.texts["answer"] == "second" and made.steps[0]["target"] == "second"


def test_denials_and_logs_stand_among_the_errors(tmp_path: Path) -> None:
    made = Made(tmp_path)
    denial = {"tool_name": "Bash", "tool_input": {"command": "git push"}}
    made.write({"type": "result", "permission_denials": [denial]})
    (made.root / "task-a.err").write_text("\x1b[31moops")
    (made.root / "task-a.patch").write_text("+one\n")
    made.status(state="ended", status="completed", outcome="succeeded", n_denials=1, lines_added=1)
    made.look()
    assert "s.retry(allow=['Bash(git push:*)'])" in made.texts["errors"]
    assert made.texts["errors"].endswith("oops")
    assert (made.texts["diff"], made.info["tabs"]["diff"]) == ("+one\n", "+1 −0")


def test_what_nobody_offered_is_not_given(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.write(said(words("one")))
    made.look()
    for name in ("step-9-input", "step-0-result", "nothing", "step-0-", "../status"):
        assert list(made.output.more(name, 0)) == []
    assert list(made.output.more("answer", -1)) == []


@given(st.text())
def test_what_is_shown_drives_no_terminal_and_hides_nothing(text: str) -> None:
    shown = visible(text)
    assert not module._HIDDEN.search(shown)
    assert all(c in "\t\n" or ord(c) >= 32 for c in shown)
