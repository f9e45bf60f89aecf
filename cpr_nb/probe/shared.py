"""The promise of shared processes: tasks that one process serves are apart from each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.session import Session
from cpr_nb.launching.plan import plan_launch
from cpr_nb.probe.scenarios import USAGE
from cpr_nb.probe.seen import PID_FILE, Finding, is_alive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cpr_nb.offline.scripted_api import RequestRecord

SHARING = "shared process"
PROMISE = "tasks of one process have their own conversations; one of them is cancelled alone"
_EXPECTED: Mapping[str, Any] = {
    "outcomes": ["succeeded", "succeeded", "cancelled", "succeeded"],
    "answers": ["one", "two", "four"],
    "one_process": True,
    "apart": True,
    "left": 0,
}
_WORDS = ("one", "two", "three", "four")
_LIMIT_S = 120.0


def start_sharing(folder: Path, options: Mapping[str, Any]) -> Session:
    """Starts four tasks that a process serves one after another; the third waits to be cancelled.

    Args:
        folder: The folder of the probe.
        options: The options of the session.

    Raises:
        CprError: cpr refuses to start them with this CLI.
    """
    work = folder / "work-sharing"
    work.mkdir()
    elements = [{"id": word, "prompt": _prompt(word)} for word in _WORDS]
    asked = {"share_process": True, "max_parallel": 1, "permissions": "all", "timeout_s": _LIMIT_S}
    plan = plan_launch(elements, {**options, **asked, "cwd": work})
    return Session.from_plan(plan, reuse=False)


def _prompt(word: str) -> str:
    steps: list[dict[str, Any]] = [{"text": word, "usage": USAGE}]
    if word == "three":
        place = f"../work-{word}"  # where the probe looks for who is to be cancelled
        command = f"mkdir {place}; echo $$ > {place}/{PID_FILE}; sleep 600"
        call = {"command": command, "description": "Wait"}
        steps.insert(0, {"tool": "Bash", "input": call, "usage": USAGE})
    return f"This is task {word}. SCRIPT={json.dumps(steps)}"


def judge_sharing(session: Session, requests: Sequence[RequestRecord], folder: Path) -> Finding:
    """What is to say of the session that has ended.

    Args:
        session: The session.
        requests: The requests that the scripted API got from it.
        folder: The folder of the probe.

    Returns:
        The row of the table; not tried if this CLI does not begin a conversation at ``/clear``.
    """
    processes = [task.fields.get("process") for task in session]
    seen = {
        "outcomes": [task.outcome for task in session],
        "answers": [task.text for task in session if task.ok],
        "one_process": processes[0] == processes[1],
        "apart": _are_apart(session, requests),
        "left": int(is_alive(folder / "work-three" / PID_FILE)),
    }
    wrong = {name: value for name, value in seen.items() if value != _EXPECTED[name]}
    verdict = "broken" if wrong else "kept"
    if processes[0] is None:
        why = "its /clear begins no conversation: with share_process, each task has its own process"
        return Finding(SHARING, PROMISE, {}, {}, {}, "not tried", why)
    return Finding(SHARING, PROMISE, dict(_EXPECTED), seen, wrong, verdict)


def _are_apart(session: Session, requests: Sequence[RequestRecord]) -> bool:
    """Whether each request has the prompt of one task, in the conversation of that task."""
    by_conversation = {task.conversation_id: task.id for task in session}
    asked = [record for record in requests if record.step >= 0 and record.tools]
    said = [
        [word for word in _WORDS if f"This is task {word}." in record.last_user_text]
        for record in asked
        if record.step == 0
    ]
    owners = [[by_conversation.get(r.conversation_id)] for r in asked if r.step == 0]
    return len({task.conversation_id for task in session}) == len(_WORDS) and said == owners
