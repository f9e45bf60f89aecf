"""Runs tasks in shared processes and in processes of their own, and compares all that is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from testkit.command import LIMIT_S, Cpr, prompts

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
#: In the environment, so that a lasting failure takes seconds.
IMPATIENT = {"CLAUDE_CODE_MAX_RETRIES": "1"}


def differences(cpr: Cpr, names: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    """Runs scenarios both ways.

    Returns:
        Scenario → what differs: field → (in a process of its own, in a shared one).
    """
    text = prompts(*_elements(names))
    (cpr.cwd / "given.txt").write_text("x\n")
    sessions = []
    for options in (("-j4",), ("-j2", "--share-process")):
        (cpr.cwd / "written.txt").unlink(missing_ok=True)
        session = cpr.launch(text, *options, env=IMPATIENT)
        sessions.append(session.wait(3 * LIMIT_S))
    own, shared = sessions
    assert all("process" in task.fields for task in shared), "each began in a shared process"
    return {
        one.id: changed
        for one, other in zip(own, shared, strict=True)
        if (changed := _changed(known(one), known(other)))
    }


def _elements(names: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        scenario = SCENARIOS[name]
        yield {"id": name.replace(" ", "-").replace(",", ""), "prompt": scenario.prompt} | dict(
            scenario.options
        )


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
    plain: dict[str, Any] = json.loads(json.dumps(fields | more))
    return plain


def _changed(own: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (own.get(name), shared.get(name))
        for name in sorted({*own, *shared})
        if own.get(name) != shared.get(name)
    }
