"""``cpr logs``: what the agents do, one line per step."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from cpr_nb.cli import render
from cpr_nb.cli.common import open_session, print_text
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.handles.task import Task
from cpr_nb.handles.waiting import poll_delays_s
from cpr_nb.model import states
from cpr_nb.model.activity import denial_text, result_text, retry_text, tool_target
from cpr_nb.model.events import content_blocks, parse_line
from cpr_nb.model.json_values import text_or_none
from cpr_nb.model.merged_result import is_good
from cpr_nb.model.text import one_line
from cpr_nb.model.turns import WAKE_TEXT, TurnCounter, subagent_mark
from cpr_nb.store.tail import Follower
from cpr_nb.views import formatting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser, optional=True)
    parser.add_argument("--task", metavar="TASK", help="only this task: its number or id")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="keep printing until the session ends"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the steps of a session's tasks."""
    session = open_session(args)
    tasks = session.tasks if args.task is None else [session.task(args.task)]
    followers: dict[int, _Followed] = {}
    for delay_s in poll_delays_s():
        live = session.refresh().snapshot.is_live
        has_open_task = any(task.state != states.ENDED for task in tasks)
        for task in tasks:
            for step in _new_steps(task, followers):
                print_text(json.dumps(step._asdict()) if args.json else step.to_text())
        sys.stdout.flush()
        if not (args.follow and live and has_open_task):
            return 0
        time.sleep(delay_s)
    return 0


class _Followed:
    """The stream of a task's newest attempt."""

    def __init__(self, path: str) -> None:
        self.path, self.follower, self.turns = path, Follower(path), TurnCounter()
        self.denied: set[str] = set()


class _Step(NamedTuple):
    """A step, as ``--json`` prints it: one object a line, since more may come."""

    task_id: str
    task_num: int
    at: str | None
    text: str

    def to_text(self) -> str:
        """Returns it as a person reads it."""
        return f"{render.local_clock(self.at) or ' ' * 8} [{self.task_num}] {self.text}"


def _new_steps(task: Task, followers: dict[int, _Followed]) -> Iterator[_Step]:
    path = str(task.stream_path)
    if task.num not in followers or followers[task.num].path != path:
        followers[task.num] = _Followed(path)
    followed = followers[task.num]
    for line in followed.follower.each_new_line():
        event = parse_line(line)
        if event is None:
            continue
        at = text_or_none(event.get("timestamp"))
        if followed.turns.begins(event):
            yield _Step(task.id, task.num, at, f"── {WAKE_TEXT} ──")
        if event.get("subtype") == "permission_denied":
            followed.denied.add(str(event.get("tool_use_id")))
        for step in steps(event, followed.denied):
            yield _Step(task.id, task.num, at, step)


def steps(event: dict[str, Any], denied: Collection[str] = ()) -> list[str]:
    """Returns what one event of a stream says to a person; nothing for most types.

    Args:
        event: The event.
        denied: The calls of which it was said before that they were denied.

    Example:
        >>> steps({"type": "system", "subtype": "api_retry", "error_status": 429, "attempt": 1})
        ['API answered 429, retry 1']
    """
    kind = event.get("type")
    mark = subagent_mark(event)
    if kind == "assistant":
        return [mark + step for block in content_blocks(event) if (step := _agent_step(block))]
    if kind == "user":
        blocks = [b for b in content_blocks(event) if str(b.get("tool_use_id")) not in denied]
        return [mark + step for block in blocks if (step := _tool_result(block))]
    if kind == "system":
        return _system_steps(event)
    return [_result_step(event)] if kind == "result" else []


def _system_steps(event: dict[str, Any]) -> list[str]:
    subtype = event.get("subtype")
    if subtype == "api_retry":
        return [retry_text(event)]
    if subtype == "permission_denied":
        return [f"denied {denial_text(event)}"]
    return []


def _result_step(event: dict[str, Any]) -> str:
    n_turns = event.get("num_turns")
    turns = "1 turn" if n_turns == 1 else f"{n_turns} turns"
    figures = [turns, formatting.usd(event.get("total_cost_usd"))]
    subtype = str(event.get("subtype"))
    if is_good(event):
        figures = [f"done: {subtype}", *figures]
    elif subtype == "success":  # the CLI writes this into an error, too
        figures[0] = f"error: {turns}"
    else:
        figures = [f"error: {subtype}", *figures]
    return one_line(", ".join(filter(None, figures)))


def _agent_step(block: dict[str, Any]) -> str:
    if block.get("type") == "text":
        return str(block.get("text", "")).strip()
    if block.get("type") == "tool_use":
        return one_line(f"▸ {block.get('name')} {tool_target(block.get('input'))}")
    return ""


def _tool_result(block: dict[str, Any]) -> str:
    if block.get("type") != "tool_result":
        return ""
    mark = "✕" if block.get("is_error") else "◂"
    return f"  {mark} {one_line(result_text(block), 160)}"
