"""What cpr says of a scenario's task, and what the scripted API and the folder say of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.probe.scenarios import USAGE, OneOf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.handles.task import Task
    from cpr_nb.offline.scripted_api import RequestRecord
    from cpr_nb.probe.scenarios import Scenario

#: A file in which a scenario's command leaves its process.
PID_FILE = "stop.pid"


class Finding(NamedTuple):
    """One row of the table.

    Attributes:
        name: The scenario.
        promise: Its promise.
        expected: Field → value, in words.
        seen: Likewise, for the same fields.
        verdict: ``kept``, ``broken``, ``refused`` (before anything was spent) or ``not tried``.
        refusal: Why it was refused, or not tried.
    """

    name: str
    promise: str
    expected: dict[str, Any]
    seen: dict[str, Any]
    verdict: str
    refusal: str = ""


def compare(scenario: Scenario, seen: dict[str, Any]) -> Finding:
    """Compares what was seen with what the scenario expects."""
    of_interest = {name: seen.get(name) for name in scenario.expected}
    is_kept = all(_fits(value, of_interest[name]) for name, value in scenario.expected.items())
    return Finding(
        scenario.name,
        scenario.promise,
        {name: _shown(value) for name, value in scenario.expected.items()},
        of_interest,
        "kept" if is_kept else "broken",
    )


def look(
    task: Task, folder: Path, requests: Sequence[RequestRecord], usd_per_request: float | None
) -> dict[str, Any]:
    """What there is to see of a task that has ended.

    Args:
        task: The task.
        folder: The folder that it worked in.
        requests: The requests that the scripted API got from it.
        usd_per_request: What one answered request costs; None if that is not known yet.

    Returns:
        ``cost`` and ``tokens``: what cpr counted, per answered request. ``requests``,
        ``knows_before``, ``files`` and ``left``: what the API and the machine say. Everything else
        is what cpr says.
    """
    answered = [record for record in requests if record.step >= 0 and record.status == 200]
    n_answered, fields = len(answered), task.fields
    usd = usd_per_request or (task.cost_usd and task.cost_usd / max(1, n_answered))
    return {
        "outcome": task.outcome,
        "reason": task.reason,
        "attempts": task.attempts,
        "turns": fields.get("num_turns"),
        "text": task.text,
        "structure": task.structured,
        "denied": sorted({str(denial.get("tool_name")) for denial in task.denials}),
        "note": bool(task.note),
        "warned": bool(task.session.warnings),
        "error": task.error,
        "tools": sorted(_tools(task)),
        "cost": _per_request(task.cost_usd, usd, n_answered),
        "tokens": _per_request(fields.get("output_tokens"), USAGE["output_tokens"], n_answered),
        "requests": n_answered,
        "knows_before": any(record.n_messages > 2 for record in answered),
        "files": sorted(path.name for path in folder.iterdir() if path.suffix == ".txt"),
        "left": int(_is_alive(folder / PID_FILE)),
    }


def _tools(task: Task) -> list[str]:
    init = task.facts().init or {}
    tools = init.get("tools")
    return [str(tool) for tool in tools] if isinstance(tools, list) else []


def _per_request(figure: Any, one: float | None, n_requests: int) -> float | None:
    if figure is None or not one or not n_requests:
        return None
    return round(float(figure) / one / n_requests, 2)


def _is_alive(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text("ascii"))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    try:  # one that has ended may still have its number, until its parent asks how it ended
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # a system without /proc


def _fits(expected: Any, seen: Any) -> bool:
    return seen in expected if isinstance(expected, OneOf) else bool(seen == expected)


def _shown(expected: Any) -> Any:
    """An expected value that JSON can hold."""
    if isinstance(expected, OneOf):
        return " or ".join(json.dumps(value) for value in expected)
    return expected
