"""The judge of the scripted API's log, on made logs and on the log of the real CLI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit.cli import Cli
from testkit.client import LIMIT_S
from testkit.command import script

from cpr_nb.offline.scripted_api import ScriptedApi
from faults.judge import judge, judge_journal, lives_of, main, read_log, wrapper

FIRST, SECOND, THIRD = (1, "h.7"), (2, "h.9"), (3, "h.11")
Line = dict[str, Any]


def asked(life: tuple[int, str], step: int, status: int = 200, task: str = "a") -> Line:
    path = f"/at/s.{task}/{life[0]}/{life[1]}/v1/messages"
    return {"path": path, "step": step, "status": status}


def log(*lines: Line | int) -> list[Line]:
    """A log: requests get their numbers; n is the end of the n-th one's answer, -n if lost."""
    made: list[Line] = []
    for line in lines:
        if isinstance(line, int):
            made.append({"end_of": abs(line), "delivered": line > 0})
        else:
            made.append({"seq": sum("seq" in other for other in made) + 1, **line})
    return made


def served(process: int, conversation: str, step: int, *texts: str) -> Line:
    path = f"/at/s.process-{process}/0/h.{process}/v1/messages"
    line = {"path": path, "step": step, "status": 200, "conversation_id": conversation}
    return {**line, "last_user_blocks": texts}


PROMPT = "SCRIPT= echo x >> {cwd}/ran-a"


@pytest.mark.parametrize(
    ("lines", "verdicts"),
    [
        pytest.param([asked(FIRST, 0), 1, asked(FIRST, 1), 2], [], id="one life"),
        pytest.param(
            [served(1, "c", 0, PROMPT), 1, served(1, "c", 1), 2, served(1, "d", 0, "ran-b"), 3],
            [],
            id="two served tasks",
        ),
        pytest.param(
            [served(1, "c", 0, PROMPT), 1, served(1, "c", 1), asked((2, "h.9"), 1), -2, 3],
            [],
            id="a served task goes on by itself",
        ),
        pytest.param(
            [served(1, "c", 0, PROMPT), served(2, "d", 0, PROMPT), 1, 2],
            ["twice at work"],
            id="served twice",
        ),
        pytest.param(
            [asked(FIRST, 0), 1, asked(FIRST, 1), 2, asked(SECOND, 1), 3], [], id="the last again"
        ),
        pytest.param(
            [asked(FIRST, 0), 1, asked(FIRST, 1), asked(SECOND, 1), -2, 3], [], id="ends unheard"
        ),
        pytest.param(
            [asked(FIRST, 0), asked(SECOND, 0), 1, 2], ["twice at work"], id="an answer comes late"
        ),
        pytest.param(
            [asked(FIRST, 0), 1, asked(SECOND, 1), asked(FIRST, 1)],
            ["twice at work"],
            id="a request comes late",
        ),
        pytest.param(
            [asked(FIRST, 0), 1, asked(SECOND, 1), 2, asked(FIRST, 1, 429)],
            ["twice at work"],
            id="a refused request comes late",
        ),
        pytest.param(
            [asked(FIRST, 0), 1, asked(FIRST, 1), 2, asked(SECOND, 0)],
            ["paid again"],
            id="from the start again",
        ),
        pytest.param([asked(FIRST, 0, 500), -1, asked(SECOND, 0), 2], [], id="refused, then again"),
        pytest.param(
            [asked(FIRST, 0), asked((1, "h.8"), 1)],
            ["same attempt"],
            id="one number, two processes",
        ),
        pytest.param([asked(SECOND, 0), asked(FIRST, 1)], ["out of order"], id="backwards"),
        pytest.param(
            [asked(FIRST, 0), asked(SECOND, 1), asked(THIRD, 2), asked(FIRST, 3)],
            ["twice at work", "twice at work"],
            id="three lives",
        ),
        pytest.param([asked(FIRST, 0), asked(FIRST, 0, task="b"), 1, 2], [], id="two tasks"),
    ],
)
def test_the_judge_sees_what_is_wrong(lines: list[Line | int], verdicts: list[str]) -> None:
    assert [words.split(": ")[1] for words in judge(log(*lines))] == verdicts


def test_what_was_lost_with_a_disk_may_be_asked_for_again() -> None:
    lines = log(asked(FIRST, 0), 1, asked(FIRST, 1), 2, asked(SECOND, 0), asked(FIRST, 2))
    assert [words.split(": ")[1] for words in judge(lines, disks_lost=True)] == ["twice at work"]


@pytest.mark.parametrize(
    ("events", "wrong"),
    [
        pytest.param(["1", "attempt_ended", "2", "ended"], [], id="two attempts"),
        pytest.param(["1", "2", "ended"], [], id="the first one's end is not known"),
        pytest.param(["ended"], [], id="it never began"),
        pytest.param(["1", "attempt_ended", "ended"], ["ended twice"], id="two ends"),
        pytest.param(["1", "ended", "ended"], ["ended twice"], id="two last ends"),
        pytest.param(["1", "attempt_ended", "1"], ["ordered twice"], id="one number again"),
    ],
)
def test_the_judge_sees_what_is_wrong_with_a_journal(events: list[str], wrong: list[str]) -> None:
    intent = {"task_id": "a", "event": "intent"}
    lines = [
        {**intent, "attempt": int(event)} if event.isdigit() else {"task_id": "a", "event": event}
        for event in events
    ]
    # Another task doesn't matter.
    lines.insert(1, {"task_id": "b", "event": "ended", "outcome": "succeeded"})
    assert [words.split(": ")[1] for words in judge_journal(lines)] == wrong


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "api.jsonl"
    lines = log(asked(FIRST, 0), asked(SECOND, 0), 1)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"end_of"')
    assert main(["judge", str(path), "--tasks", "2"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "s.a: twice at work: 1 signs of attempt 1 (h.7) after attempt 2 (h.9) began",
        "1 tasks sent requests, not 2",
        "1 tasks, 2 lives: 2 faults",
    ]


@pytest.mark.real_cli
def test_two_processes_of_the_real_cli_for_one_task_are_seen(claude: str, tmp_path: Path) -> None:
    marking = tmp_path / "claude"
    marking.write_text(wrapper(claude))
    marking.chmod(0o755)
    path, cli = tmp_path / "api.jsonl", Cli(str(marking), tmp_path)
    with ScriptedApi(log_path=path) as api:
        runs = []
        for number in (1, 2):
            own = {"CPR_TASK_ID": "a", "CPR_TASK_TOKEN": f"{'5' * 36}/a@{number}"}
            runs.append(cli(api, script({"text": "done", "wait": "go"}), env=own))
            api.wait_for(lambda record, n=number: record.seq >= n, LIMIT_S)
        api.release("go")
        assert [run.result()["result"] for run in runs] == ["done", "done"]
    log = read_log(path)
    assert list(lives_of(log)) == [f"{'5' * 36}.a"]
    assert [words.split(": ")[1] for words in judge(log)] == ["twice at work"]
