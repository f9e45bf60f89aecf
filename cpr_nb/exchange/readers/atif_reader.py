"""Reads trajectories of ATIF, the format of Harbor: each is a task, with whatever continues it.

A trajectory says how its agent went on, not whether it succeeded. One that cpr wrote says so in
``extra``; of any other, an answer at the end counts as success, as it does for the CLI.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cpr_nb.exchange.imported_session import (
    ImportedSession,
    ImportedTask,
    fit_task_id,
    session_id_of,
)
from cpr_nb.exchange.readers.atif_steps import answer_of, known_tokens, trajectory_events
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.events import TOKEN_FIELDS, RunFacts
from cpr_nb.model.json_values import number, text_or_none
from cpr_nb.model.record import facts_fields
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: The files of a folder are the tasks of one session.
IS_ONE_FILE_A_TASK = True

_SOURCE = "atif"
_MARK = b'"ATIF-v1.'
#: More continuations than these are a circle that never closes.
_MOST_CONTINUATIONS = 1000


def is_log(path: str, beginning: bytes) -> bool:
    """Whether a file is a trajectory.

    Args:
        path: The file.
        beginning: What it begins with.

    Example:
        >>> is_log("x.json", b'{"schema_version": "ATIF-v1.8", "session_id": "a"')
        True
    """
    return path.endswith(".json") and _MARK in beginning


def read_log(paths: list[str], digest: str) -> ImportedSession:
    """Reads trajectories, as the tasks of one session.

    Args:
        paths: The files.
        digest: The SHA-256 of their contents.

    Raises:
        InputError: If one of them is no trajectory.

    Example:
        >>> read_log(["/none/0001-docs.json"], "0" * 64)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        cpr_nb...InputError: ...
    """
    trajectories = _without_continuations({path: _read_trajectory(path) for path in paths})
    first = next(iter(trajectories.values()))
    ours = _ours(first)
    times = [at for one in trajectories.values() if (at := _began_s(one)) is not None]
    agent = first["agent"]
    is_claude = agent.get("name") == "claude-code"
    return ImportedSession(
        session_id_of(_SOURCE, _source_id(list(trajectories.values()), paths)),
        _SOURCE,
        digest,
        text_or_none(ours.get("session_name")) or _folder_name(paths),
        min(times) if times else Path(paths[0]).stat().st_mtime,
        _tasks(trajectories),
        model=text_or_none(agent.get("model_name")),
        cwd=text_or_none(ours.get("cwd")) or "",
        cli_version=text_or_none(agent.get("version")) if is_claude else None,
    )


def _tasks(trajectories: dict[str, dict[str, Any]]) -> Iterator[ImportedTask]:
    used: set[str] = set()
    for path, trajectory in trajectories.items():
        yield _task(fit_task_id(_task_name(path, trajectory), used), path, trajectory)


def _task_name(path: str, trajectory: dict[str, Any]) -> str:
    name = text_or_none(_ours(trajectory).get("task_id"))
    if name is None and Path(path).stem == "trajectory":  # as Harbor calls each of them
        name = text_or_none(trajectory.get("trajectory_id")) or trajectory.get("session_id")
    return text_or_none(name) or Path(path).stem


def _folder_name(paths: list[str]) -> str | None:
    return Path(paths[0]).parent.name or None if len(paths) > 1 else None


def _task(task_id: str, path: str, trajectory: dict[str, Any]) -> ImportedTask:
    """One task. Its steps are held until they are written: a trajectory is one JSON document."""
    ours = _ours(trajectory)
    parts = _continued(path, trajectory)
    last = parts[-1]
    facts = RunFacts()
    for event in trajectory_events(parts):
        facts.feed_event(event)
    steps = [step for part in parts for step in part["steps"]]
    times = [at for step in steps if (at := parse_iso(step.get("timestamp"))) is not None]
    started_at_s = parse_iso(ours.get("started_at")) or (times[0] if times else None)
    ended_at_s = parse_iso(ours.get("ended_at")) or (max(times) if times else None)
    duration_s = number(ours.get("duration_s"))
    if duration_s is None and started_at_s is not None and ended_at_s is not None:
        duration_s = max(0.0, ended_at_s - started_at_s)
    answer = text_or_none(ours.get("answer")) if ours else answer_of(steps)
    outcome, reason = _outcome(ours, answer)
    return ImportedTask(
        task_id,
        _prompt(steps),
        outcome,
        reason,
        trajectory_events(parts),
        answer=answer,
        error=text_or_none(ours.get("error")) or "",
        started_at_s=started_at_s,
        ended_at_s=ended_at_s,
        duration_s=duration_s,
        figures=_figures(facts, last, ours),
    )


def _figures(facts: RunFacts, last: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """The figures of the steps, and over them those that the trajectory states as a whole."""
    figures = {name: value for name, value in facts_fields(facts).items() if value is not None}
    figures.pop("n_unknown_costs", None)
    if ours:  # what it does not state was unknown
        figures = {name: value for name, value in figures.items() if name not in TOKEN_FIELDS}
    metrics = last.get("final_metrics")
    cost_usd = number(metrics.get("total_cost_usd")) if isinstance(metrics, dict) else None
    stated: dict[str, Any] = {
        "cost_usd": cost_usd,
        "score": number(ours.get("score")),
        "conversation_id": text_or_none(ours.get("conversation_id")),
        **known_tokens(ours.get("tokens")),
    }
    return figures | {name: value for name, value in stated.items() if value is not None}


def _outcome(ours: dict[str, Any], answer: str | None) -> tuple[str, str]:
    outcome, reason = ours.get("outcome"), ours.get("reason")
    if outcome in states.OUTCOMES:
        return str(outcome), str(reason) if reason in states.REASONS else "unknown"
    if answer is not None and not ours:
        return states.SUCCEEDED, "completed"
    if ours.get("state") == states.PENDING:
        return states.SKIPPED, "unknown"
    return states.LOST, "unknown"


def _prompt(steps: list[dict[str, Any]]) -> str:
    for step in steps:
        if step["source"] == "user":
            return _message_text(step)
    return ""


def _message_text(step: dict[str, Any]) -> str:
    from cpr_nb.exchange.readers.atif_steps import content_text

    return content_text(step["message"])


def _source_id(trajectories: list[dict[str, Any]], paths: list[str]) -> str:
    """What the session is called there: the same files give the same session."""
    if len(trajectories) == 1:
        one = trajectories[0]
        name = text_or_none(one.get("trajectory_id")) or text_or_none(one.get("session_id"))
        return name or Path(paths[0]).name
    names = {text_or_none(one.get("session_id")) or "" for one in trajectories}
    if names == {""}:
        names = {Path(path).name for path in paths}
    return "\n".join(sorted(names))


# --- Files ---------------------------------------------------------------------------------------


def _read_trajectory(path: str) -> dict[str, Any]:
    """Reads a file, and checks what the rest relies on.

    Raises:
        InputError: If it is no trajectory.
    """
    try:
        trajectory = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", path) from None
    except (ValueError, RecursionError):
        raise InputError("it is no JSON: export it again", path) from None
    _check(trajectory, path)
    checked: dict[str, Any] = trajectory
    return checked


def _check(trajectory: Any, where: str) -> None:
    """Refuses what is no trajectory.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(trajectory, dict):
        raise InputError("a trajectory must be a JSON object", where)
    version = trajectory.get("schema_version")
    if not isinstance(version, str) or not version.startswith("ATIF-v1."):
        raise InputError("schema_version must be ATIF-v1.0 or a later version 1", where)
    if not isinstance(trajectory.get("agent"), dict):
        raise InputError("it needs an object 'agent'", where)
    steps = trajectory.get("steps")
    if not isinstance(steps, list) or not steps:
        raise InputError("it needs at least one step", where)
    for number_, step in enumerate(steps, start=1):
        is_step = isinstance(step, dict) and isinstance(step.get("message"), str | list)
        if not is_step or step.get("source") not in ("user", "agent", "system"):
            raise InputError("it needs a source and a message", f"{where}: step {number_}")


def _without_continuations(trajectories: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The trajectories that continue none of the others."""
    continued = {
        str(Path(path).parent / ref)
        for path, one in trajectories.items()
        if (ref := _continuation(one)) is not None
    }
    first = {path: one for path, one in trajectories.items() if str(Path(path)) not in continued}
    return first or trajectories


def _continuation(trajectory: dict[str, Any]) -> str | None:
    """The file beside it that continues it; None if there is none. No name leaves the folder."""
    ref = text_or_none(trajectory.get("continued_trajectory_ref"))
    return ref if ref and Path(ref).name == ref else None


def _continued(path: str, trajectory: dict[str, Any]) -> list[dict[str, Any]]:
    """A trajectory and those that continue it, as far as their files are there."""
    parts, seen = [trajectory], {str(Path(path))}
    while (ref := _continuation(parts[-1])) is not None and len(parts) < _MOST_CONTINUATIONS:
        following = str(Path(path).parent / ref)
        if following in seen or not Path(following).is_file():
            break
        seen.add(following)
        parts.append(_read_trajectory(following))
    return parts


def _began_s(trajectory: dict[str, Any]) -> float | None:
    began_s = parse_iso(_ours(trajectory).get("started_at"))
    times = (parse_iso(step.get("timestamp")) for step in trajectory["steps"])
    return began_s or next((at for at in times if at is not None), None)


def _ours(trajectory: dict[str, Any]) -> dict[str, Any]:
    """What cpr has added to a trajectory that it wrote."""
    extra = trajectory.get("extra")
    ours = extra.get("cpr") if isinstance(extra, dict) else None
    return ours if isinstance(ours, dict) else {}
