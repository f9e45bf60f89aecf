"""What cpr says of a scenario's task, and what the scripted API and the folder say of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.model.tools import offered_tools
from cpr_nb.probe.scenarios import STATE, USAGE, Contains, OneOf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cpr_nb.handles.task import Task
    from cpr_nb.offline.scripted_api import RequestRecord
    from cpr_nb.probe.scenarios import Scenario

#: A file in which the command of a scenario that is to be cancelled leaves its process.
PID_FILE = "stop.pid"
#: Of a figure per request: older CLIs count the small model's requests, too.
_TOLERANCE = 0.15
#: Tools that every version has.
_KNOWN_TOOLS = {"Read", "Edit", "Write", "Bash", "Grep", "Glob"}


class Finding(NamedTuple):
    """One row of the table.

    Attributes:
        name: The scenario.
        promise: Its promise.
        expected: Field → value, in words.
        seen: Likewise, for the same fields.
        wrong: Those of them that are not as expected.
        verdict: ``kept``, ``broken``, ``refused`` (before anything was spent) or ``not tried``.
        refusal: Why it was refused, or not tried.
    """

    name: str
    promise: str
    expected: dict[str, Any]
    seen: dict[str, Any]
    wrong: dict[str, Any]
    verdict: str
    refusal: str = ""


def compare(scenario: Scenario, seen: dict[str, Any]) -> Finding:
    """Compares what was seen with what the scenario expects."""
    of_interest = {name: seen.get(name) for name in scenario.expected}
    expected = scenario.expected.items()
    wrong = {k: of_interest[k] for k, value in expected if not _fits(value, of_interest[k])}
    return Finding(
        scenario.name,
        scenario.promise,
        {name: _shown(value) for name, value in expected},
        of_interest,
        wrong,
        "broken" if wrong else "kept",
    )


def look(
    scenario: Scenario,
    task: Task,
    folder: Path,
    requests: Sequence[RequestRecord],
    usd_per_request: float | None,
) -> dict[str, Any]:
    """What there is to see of a task that has ended.

    Args:
        scenario: The scenario.
        task: Its task.
        folder: The folder that it worked in.
        requests: The requests that the scripted API got from it.
        usd_per_request: What one answered request costs; None if that is not known yet.

    Returns:
        ``cost`` and ``tokens``: what cpr counted, per answered request. ``requests``,
        ``knows_before``, ``files``, ``reached`` and ``left``: what the API and the machine say.
        Everything else is what cpr says.
    """
    # Older CLIs also ask a small model, without tools, what a command is: that is not the agent.
    asked = [record for record in requests if record.step >= 0 and record.tools]
    answered = [record for record in asked if record.status == 200]
    n_answered, fields = len(answered), task.fields
    usd = usd_per_request or (task.cost_usd and task.cost_usd / max(1, n_answered))
    return {
        "outcome": task.outcome,
        "reason": task.reason,
        "attempts": task.attempts,
        "turns": fields.get("num_turns"),
        "text": task.text,
        "structure": task.structured,
        "why": "; ".join(str(denial.get("message")) for denial in task.denials),
        "denied": sorted({str(denial.get("tool_name")) for denial in task.denials}),
        "note": bool(task.note),
        "warnings": "; ".join(task.session.warnings),
        "error": task.error,
        **_tools(scenario, task),
        "cost": _per_request(task.cost_usd, usd, n_answered),
        "tokens": _per_request(fields.get("output_tokens"), USAGE["output_tokens"], n_answered),
        "requests": n_answered,
        "knows_before": any(record.n_messages > 2 for record in answered),
        "files": sorted(path.name for path in folder.iterdir() if path.suffix == ".txt"),
        "reached": sorted(path.name for path in _reached(folder)),
        "left": sum(is_alive(path) for path in folder.glob("*.pid")),
    }


def _reached(folder: Path) -> Iterator[Path]:
    """The files that agents have made in the probe's folder, its results and its state."""
    for place in (folder.parent, folder.parent / "results", folder.parent / STATE):
        yield from place.glob("*.reached")


def _tools(scenario: Scenario, task: Task) -> dict[str, list[str]]:
    """The tools beyond those that cpr asked for, and those of them that are missing."""
    tools = (task.facts().init or {}).get("tools")
    actual = {str(tool) for tool in tools} if isinstance(tools, list) else set()
    asked = set(offered_tools(scenario.options))
    return {
        "tools_beyond": sorted(actual - asked),
        "tools_missing": sorted(asked & _KNOWN_TOOLS - actual),
    }


def _per_request(figure: Any, one: float | None, n_requests: int) -> float | None:
    if figure is None or not one or not n_requests:
        return None
    return round(float(figure) / one / n_requests, 2)


def is_alive(pid_file: Path) -> bool:
    """Whether the process lives whose number is in a file."""
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
    if isinstance(expected, float) and isinstance(seen, float):
        return abs(expected - seen) <= _TOLERANCE
    if isinstance(expected, Contains):
        return isinstance(seen, str) and expected in seen
    if isinstance(expected, OneOf):
        return any(_fits(value, seen) for value in expected)
    return bool(seen == expected)


def _shown(expected: Any) -> Any:
    """An expected value that JSON can hold."""
    if isinstance(expected, OneOf):
        return " or ".join(json.dumps(value) for value in expected)
    return f"… {expected} …" if isinstance(expected, Contains) else expected
