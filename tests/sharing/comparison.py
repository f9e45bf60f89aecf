"""Runs tasks in shared processes and in processes of their own, and compares all that is known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from testkit.command import LIMIT_S, Cpr, prompts

import cpr_nb as cpr
from cpr_nb.handles.task import Task
from sharing.scenarios import SCENARIOS

#: What is another's in each session, or depends on the moment or the process.
_OWN = {
    "api_duration_s",
    "conversation_id",
    "duration",
    "duration_s",
    "ended_at",
    "exit_code",
    "peak_rss_bytes",
    "process",
    "started_at",
}
#: Numbers of a request, and a length that counts the text of ``/clear``, in the CLI's own words.
_NUMBERS = re.compile(r"\b(req|msg)_\d+|only ~\d+ tokens")
#: In the environment, so that a lasting failure takes seconds.
IMPATIENT = {"CLAUDE_CODE_MAX_RETRIES": "1"}


def differences(command: Cpr, names: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    """Runs scenarios both ways.

    Args:
        command: The command, with the real CLI.
        names: Which scenarios.

    Returns:
        Scenario → what differs: field → (in a process of its own, in a shared one).
    """
    text = prompts(*[SCENARIOS[name].element(name) for name in names])
    (command.cwd / "given.txt").write_text("x\n")
    sessions = []
    for options in (("-j4",), ("-j2", "--share-process")):
        (command.cwd / "written.txt").unlink(missing_ok=True)
        session = command.launch(text, *options, env=IMPATIENT)
        sessions.append(session.wait(3 * LIMIT_S))
    own, shared = sessions
    not_served = {task.id for task in shared} - {*_served(shared)}
    assert not not_served, "each begins in a shared process"
    return {
        one.id: changed
        for one, other in zip(own, shared, strict=True)
        if (changed := _changed(known(one), known(other)))
    }


def _served(session: cpr.Session) -> Iterator[str]:
    """The ids of the tasks with an attempt in a shared process."""
    for line in (session.path / "journal.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["event"] == "intent" and "process" in entry:
            yield entry["task_id"]


def known(task: Task) -> dict[str, Any]:
    """What is known about a task that has ended."""
    fields = {name: value for name, value in task.fields.items() if name not in _OWN}
    more = {
        "outcome": task.outcome,
        "text": task.text,
        "structured": task.structured,
        "denials": [(one.get("tool_name"), one.get("tool_input")) for one in task.denials],
        "note": task.note,
    }
    plain: dict[str, Any] = json.loads(_NUMBERS.sub("N", json.dumps(fields | more)))
    return plain


def _changed(own: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (own.get(name), shared.get(name))
        for name in sorted({*own, *shared})
        if own.get(name) != shared.get(name)
    }
