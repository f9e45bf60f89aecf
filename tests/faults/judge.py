"""Judges the scripted API's log: was a task at work twice, or was an answer paid for twice?

It imports nothing of the package and trusts only the log's own order. A *life* is one process of
the CLI for one task. A wrapper in front of the CLI marks the path of each of its requests with the
task, the attempt and the process: ``/at/SESSION.TASK/ATTEMPT/HOST.PID/v1/messages``.

What is wrong:

- ``twice at work``: a life sent a request, or received the whole answer to one, after a later
  life of the same task had begun.
- ``out of order``: a life began after one with a greater attempt number.
- ``same attempt``: two lives have the same attempt number.
- ``paid again``: a life asked for an answer that an earlier life had received, unless it was the
  last one: that answer may have died with its process, before it was written down. Where the disk
  of an earlier life is lost, more than that is lost, and this is no fault.

What is wrong with a journal, if it is judged, too:

- ``ended twice``: an attempt has two ends.
- ``ordered twice``: an attempt number of a task was used again.

A process that serves several tasks has the mark ``SESSION.process-K`` instead, and a life is one
conversation in it. Whose that is, its prompt says: ``ran-TASK`` is what its first command writes.

A life that is silent while another works is not seen. Therefore scripts should have many short
steps.

Usage: python tests/faults/judge.py judge LOG.jsonl [--tasks N] [--disks-lost] [--journal FILE]…
       python tests/faults/judge.py wrapper CLI
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MARK = re.compile(r"/at/(?P<task>[^/]+)/(?P<attempt>\d+)/(?P<process>[^/]+)/v1/messages$")
_SHARED = re.compile(r"\.process-\d+$")
_TASK = re.compile(r"\bran-([\w-]+)")
_WRAPPER = """#!/bin/sh
# Marks the requests of a task's process; then it is the real CLI, with the same pid.
if [ -n "$CPR_TASK_TOKEN" ]; then
  case "$CPR_TASK_TOKEN" in
    *@*) number=${{CPR_TASK_TOKEN##*@}} ;;
    *) number=0 ;;  # a shared process
  esac
  number=${{number%%[!0-9]*}}
  session=$(printf %.36s "$CPR_TASK_TOKEN")
  task=${{CPR_TASK_ID:-${{CPR_TASK_TOKEN##*/}}}}
  life="$session.$task/${{number:-0}}/$(uname -n).$$"
  export ANTHROPIC_BASE_URL="$ANTHROPIC_BASE_URL/at/$life"
fi
exec {cli} "$@"
"""


@dataclass
class Life:
    """One process of one task.

    Args:
        attempt: The number of its attempt; 0 if unknown.
        process: Its host and pid.
        moments: Where in the log it showed itself.
        asked: The steps of the script that it asked for.
        received: The steps that it received, in this order.
    """

    attempt: int
    process: str
    moments: list[int] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    received: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return f"attempt {self.attempt} ({self.process})"


def wrapper(cli: str) -> str:
    """A shell script that marks the requests of a CLI.

    Args:
        cli: The path of the CLI.
    """
    return _WRAPPER.format(cli=shlex.quote(cli))


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line without an end is still being written."""
    *lines, _ = Path(path).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines]


def lives_of(log: list[dict[str, Any]]) -> dict[str, list[Life]]:
    """The lives of each task, in the order in which they began."""
    lives: dict[str, dict[tuple[str, str], Life]] = defaultdict(dict)
    requests: dict[int, tuple[Life, dict[str, Any]]] = {}
    tasks = _tasks_of_conversations(log)
    for moment, line in enumerate(log):
        if "end_of" in line:
            life, request = requests.get(line["end_of"], (None, {}))
            if life is not None and line["delivered"]:
                life.moments.append(moment)
                life.received.append(request["step"])
        elif mark := _MARK.search(line["path"]):
            task, process = mark["task"], mark["process"]
            if _SHARED.search(task):
                conversation_id = line["conversation_id"]
                if conversation_id not in tasks:
                    continue  # the CLI's own
                task = _SHARED.sub(f".{tasks[conversation_id]}", task)
                process = f"{process}/{conversation_id}"
            key = mark["attempt"], process
            life = lives[task].setdefault(key, Life(int(mark["attempt"]), process))
            life.moments.append(moment)
            requests[line["seq"]] = life, line
            if line["step"] >= 0 and line["status"] == 200:
                life.asked.add(line["step"])
    return {task: list(of_task.values()) for task, of_task in lives.items()}


def _tasks_of_conversations(log: list[dict[str, Any]]) -> dict[str, str]:
    """The task of each conversation, as its first prompt says it."""
    tasks: dict[str, str] = {}
    for line in log:
        found = _TASK.search("".join(line.get("last_user_blocks", ())))
        if found is not None:
            tasks.setdefault(line["conversation_id"], found[1])
    return tasks


def judge(
    log: list[dict[str, Any]], n_tasks: int | None = None, *, disks_lost: bool = False
) -> list[str]:
    """What is wrong, one line each; empty if nothing is.

    Args:
        log: The lines of the log.
        n_tasks: How many tasks must have sent requests; None for any number.
        disks_lost: Whether what a life has received may be lost with its disk.
    """
    tasks = lives_of(log)
    wrong = [
        f"{task}: {words}"
        for task, lives in sorted(tasks.items())
        for number, later in enumerate(lives)
        for earlier in lives[:number]
        for words in _compare(earlier, later)
        if not (disks_lost and words.startswith("paid again"))
    ]
    if n_tasks is not None and len(tasks) != n_tasks:
        wrong.append(f"{len(tasks)} tasks sent requests, not {n_tasks}")
    return wrong


def _compare(earlier: Life, later: Life) -> list[str]:
    """What is wrong with two lives of one task."""
    wrong = []
    n_late = sum(moment > later.moments[0] for moment in earlier.moments)
    if n_late:
        wrong.append(f"twice at work: {n_late} signs of {earlier} after {later} began")
    if earlier.attempt > later.attempt > 0:
        wrong.append(f"out of order: {later} began after {earlier}")
    if earlier.attempt == later.attempt > 0:
        wrong.append(f"same attempt: {earlier} and {later}")
    again = sorted(later.asked & set(earlier.received[:-1]))
    if again:
        wrong.append(f"paid again: {later} asked again for steps {again} of {earlier}")
    return wrong


def judge_journal(journal: list[dict[str, Any]]) -> list[str]:
    """What is wrong with a session's journal, one line each; no task of it has a worktree.

    Args:
        journal: Its lines.
    """
    wrong, ordered, has_ended = [], set[tuple[str, int]](), dict[str, bool]()
    for line in journal:
        task = line.get("task_id", "")
        if line["event"] == "intent":
            if (task, line["attempt"]) in ordered:
                wrong.append(f"{task}: ordered twice: attempt {line['attempt']}")
            ordered.add((task, line["attempt"]))
            has_ended[task] = False
        elif line["event"] in ("attempt_ended", "ended"):
            if has_ended.get(task):
                wrong.append(f"{task}: ended twice: {line.get('outcome')} at {line.get('at')}")
            has_ended[task] = True
    return wrong


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("Usage: ")[1])
    commands = parser.add_subparsers(dest="command", required=True)
    judging = commands.add_parser("judge")
    judging.add_argument("log")
    judging.add_argument("--tasks", type=int)
    judging.add_argument("--disks-lost", action="store_true")
    judging.add_argument("--journal", action="append", default=[])
    commands.add_parser("wrapper").add_argument("cli")
    args = parser.parse_args(argv)
    if args.command == "wrapper":
        print(wrapper(args.cli), end="")
        return 0
    log = read_log(args.log)
    wrong = judge(log, args.tasks, disks_lost=args.disks_lost)
    for journal in args.journal:
        wrong += judge_journal(read_log(journal))
    tasks = lives_of(log)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(tasks)} tasks, {sum(map(len, tasks.values()))} lives: {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
