"""A task in status.json: the fields of claude-parallel-runner.pl first, then ours."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, number, text_or_none
from cpr_nb.model.light import in_effect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.model.outcome import Exit, Outcome

#: The number of characters of a prompt that claude-parallel-runner.pl keeps in status.json.
PROMPT_HEAD = 50
#: The newest version of a session's files that we know.
SCHEMA_VERSION = 3
#: The version of a session whose tasks share no processes, which older versions of cpr resume, too.
_FIRST_VERSION = 1
_VERSION_OF_SHARING = 2

#: Options that make a session wait; a cpr that does not know them would start at once.
_WAITS = ("not_before", "reserve")

#: Why so many tasks run at once when a session begins for which nobody has set it.
AT_FIRST = "at first"
#: How many tasks may run at once now by default, and why: fields of the head of status.json.
PARALLEL_NOW = ("parallel_now", "parallel_why")

#: outcome → the counter in the head of status.json
COUNTERS = {
    states.SUCCEEDED: "n_succeeded",
    states.FAILED: "n_failed",
    states.TIMED_OUT: "n_failed",
    states.LOST: "n_failed",
    states.CANCELLED: "n_cancelled",
    states.SKIPPED: "n_skipped",
}


def is_newer(fields: dict[str, Any]) -> bool:
    """Whether a newer cpr has written a file, or nobody knows which: we don't write to it.

    Args:
        fields: Its head. Version 1 of session.json had no ``schema_version`` at first.

    Example:
        >>> is_newer({"schema_version": 3}), is_newer({"schema_version": "1"}), is_newer({})
        (False, True, False)
    """
    version = fields.get("schema_version", _FIRST_VERSION)
    return type(version) is not int or version > SCHEMA_VERSION


def schema_version(options: Mapping[str, Any], study: Mapping[str, Any] | None = None) -> int:
    """The version of a new session's files: a cpr that does not know it must not resume it.

    Args:
        options: The session's options.
        study: The rules that decide which of its tasks run; a cpr without them would run all.

    Example:
        >>> schema_version({}), schema_version({"share_process": True})
        (1, 2)
        >>> schema_version({}, {"pilot": {}})
        3
    """
    if study or not options.keys().isdisjoint(_WAITS):
        return SCHEMA_VERSION
    return _VERSION_OF_SHARING if options.get("share_process") else _FIRST_VERSION


def _first_pilot(spec: dict[str, Any], n_tasks: int) -> dict[str, Any] | None:
    """What the runner says of a pilot once it is up: somebody may ask for the rest before."""
    pilot = spec.get("pilot")
    if not (isinstance(pilot, dict) and isinstance(pilot.get("tasks"), list) and n_tasks):
        return None
    n_pilot = len(pilot["tasks"])
    return {"state": "runs", "n_tasks": n_pilot, "n_held": n_tasks - n_pilot}


def notices_of(options: Mapping[str, Any]) -> list[str]:
    """The notices that the options of a session ask for.

    Example:
        >>> notices_of({"on_done": "desktop", "on_waiting": "off", "model": "opus"})
        ['on_done']
    """
    no_notice = states.NO_NOTICE
    return [name for name in states.NOTICES if options.get(name, no_notice) != no_notice]


def first_head(spec: dict[str, Any], n_tasks: int) -> dict[str, Any]:
    """The head of status.json before anything ran: claude-parallel-runner.pl's fields first."""
    options, first_parallel = spec.get("options", {}), spec.get("first_parallel")
    head = {
        "session_id": spec["session_id"],
        "overall_status": "running",
        "start_time": int(spec["start_time"]),
        "total": n_tasks,
        "completed": 0,
        "successful": 0,
        "schema_version": spec.get("schema_version", _FIRST_VERSION),
        "state": states.STARTING,
        "name": spec.get("name"),
        "created_at": spec["created_at"],
        "cwd": spec["cwd"],
        "max_parallel": spec["max_parallel"],
        "parallel_now": first_parallel,
        "parallel_why": AT_FIRST if first_parallel else None,
        "permissions": in_effect(options).get("permissions", "edits"),
        "asks": options.get("ask") or None,
        "notices": notices_of(options) or None,
        "model": options.get("model"),
        "executor": spec.get("executor"),
        "parent_session_id": spec.get("parent_session_id"),
        "identity": spec.get("identity"),
        "mark": spec.get("mark"),
        "launched_by": spec.get("launched_by"),
        "n_reused": spec.get("n_reused"),
        "grading_id": (spec.get("grade") or {}).get("session_id"),
        "after": [one["session_id"] for one in spec.get("after", {}).get("inputs", ())] or None,
        "score": spec.get("score"),
        "pilot": _first_pilot(spec, n_tasks),
        "warnings": spec.get("warnings") or None,
        "n_pending": n_tasks,
        "n_running": 0,
    }
    return {name: value for name, value in head.items() if value is not None}


def prompt_head(prompt: str) -> str:
    """The beginning of a prompt, as claude-parallel-runner.pl keeps it.

    Example:
        >>> prompt_head("x" * 60)[-5:]
        'xx...'
    """
    return prompt if len(prompt) <= PROMPT_HEAD else prompt[:PROMPT_HEAD] + "..."


def base_fields(task_num: int, task_id: str, prompt: str) -> dict[str, Any]:
    """The fields of a task that never change."""
    return {"task_num": task_num, "transaction_id": task_id, "prompt": prompt_head(prompt)}


def launched_fields(
    task_num: int, task: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a task that never change, from its object in session.json.

    Args:
        task_num: Its number, from 1.
        task: The object.
        options: The options of its session.
    """
    fields = base_fields(task_num, task["id"], task["prompt"])
    is_light = task.get("options", {}).get("light", options.get("light"))
    return {**fields, "light": True} if is_light else fields


def pending_fields() -> dict[str, Any]:
    """The further fields of a task that has not started."""
    return {"status": "pending", "success": 0, "state": states.PENDING, "attempts": 0}


def running_fields(attempt: int, conversation_id: str, started_at: str) -> dict[str, Any]:
    """The further fields of a running task."""
    return {
        "status": "running",
        "success": 0,
        "state": states.RUNNING,
        "attempts": attempt,
        "conversation_id": conversation_id,
        "started_at": started_at,
    }


def ended_fields(
    running: dict[str, Any],
    outcome: Outcome,
    exit_: Exit | None,
    facts: RunFacts | None,
    *,
    ended_at: str,
    duration_s: float | None,
    extra: dict[str, Any],
) -> dict[str, Any]:
    """The further fields of an ended task; unknown ones are left out.

    Args:
        running: Its fields while it ran (empty if it never started).
        outcome: How it ended.
        exit_: The end of its process, if it had one.
        facts: The facts of its stream.
        ended_at: ISO 8601, UTC.
        duration_s: From its start to its end; None if it never started.
        extra: Further figures, such as the peak memory.
    """
    succeeded = outcome.outcome == states.SUCCEEDED
    fields = {
        **running,
        "status": "completed",
        "success": int(succeeded),
        "duration": int(duration_s or 0),  # claude-parallel-runner.pl always has it
        "state": states.ENDED,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "ended_at": ended_at,
    }
    fields.setdefault("attempts", 0)
    optional = {
        "duration_s": None if duration_s is None else round(duration_s, 3),
        "error": outcome.error or None,
        "exit_code": exit_.exit_code if exit_ else None,
        "signal": exit_.signal if exit_ else None,
        **(facts_fields(facts) if facts else {}),
        **extra,
    }
    fields.update({name: value for name, value in optional.items() if value is not None})
    return fields


def facts_fields(facts: RunFacts) -> dict[str, Any]:
    """The facts of a stream, as fields."""
    result = facts.result or {}
    api_ms = number(result.get("duration_api_ms"))
    is_error = result.get("is_error")
    is_cost_open = facts.is_cut_off or (facts.answered and facts.cost_usd is None)
    return {
        "cost_usd": facts.cost_usd,
        "n_unknown_costs": 1 if is_cost_open else None,
        **facts.tokens,
        "num_turns": integer(result.get("num_turns")),
        "n_denials": facts.n_denials or None,
        "api_retries": facts.api_retries or None,
        "api_duration_s": None if api_ms is None else api_ms / 1000,
        "api_error_status": integer(result.get("api_error_status")),
        "model": facts.model,
        "response_model": facts.response_model,
        "is_error": is_error if isinstance(is_error, bool) else None,
        "subtype": text_or_none(result.get("subtype")),
        "stop_reason": text_or_none(result.get("stop_reason")),
    }


def task_state(task: dict[str, Any]) -> tuple[str, str | None]:
    """The state of a task and its outcome, from its object in status.json.

    Everything that shows a task takes both from here. Whatever the object holds, the state is one
    of `states.TASK_STATES`, and exactly the tasks that have ended have an outcome: a file in which
    a running task has one was not written by a runner. A legacy task has ``status`` and
    ``success`` only.

    Example:
        >>> task_state({"state": "running", "outcome": "failed"})
        ('running', None)
        >>> task_state({"status": "completed", "success": 1})
        ('ended', 'succeeded')
    """
    state, outcome = task.get("state"), task.get("outcome")
    if state not in states.TASK_STATES:
        status = task.get("status")
        state = states.ENDED if status == "completed" else status
        state = state if state in states.TASK_STATES else states.PENDING
    if state != states.ENDED:
        return str(state), None
    if outcome in states.OUTCOMES:
        return str(state), str(outcome)
    return str(state), states.SUCCEEDED if task.get("success") == 1 else states.FAILED


#: Figures that are summed over the attempts of a task, and over the tasks of a session.
SUMMED = (
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "n_denials",
    "n_unknown_costs",
)


def add_figures(fields: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The fields with the figures of another attempt added.

    Example:
        >>> add_figures({"cost_usd": 1.0}, {"cost_usd": 0.5, "n_denials": None})
        {'cost_usd': 1.5}
    """
    sums = {name: fields.get(name, 0) + more[name] for name in SUMMED if more.get(name) is not None}
    return {**fields, **sums}


#: Why a worktree stays whose user wanted that.
KEPT_BY_OPTION = "keep_worktrees"
#: Fields of the harvest of a task's worktree that are kept.
HARVEST_FIELDS = (
    "branch",
    "worktree",
    "base_commit",
    "n_files_changed",
    "lines_added",
    "lines_deleted",
    "n_commits",
    "ignored_files",
    "kept_because",
)


def harvest_fields(reply: dict[str, Any]) -> dict[str, Any]:
    """The fields that are kept of a harvest's reply.

    Example:
        >>> harvest_fields({"ok": True, "branch": "b", "n_commits": 1, "more": 2})
        {'branch': 'b', 'n_commits': 1}
    """
    fields = {name: reply[name] for name in HARVEST_FIELDS if reply.get(name) is not None}
    if not reply.get("ok"):
        fields["harvest_error"] = str(reply.get("error"))
    return fields


def saved_again(
    recorded: dict[str, Any], harvest: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    """The fields of an ended task after another harvest; that changes nothing else of its end.

    Args:
        recorded: Its fields so far.
        harvest: What `harvest_fields` says of the new harvest; empty if there was no reply.
        notes: What that adds to the task's note.

    Example:
        >>> ended = {"outcome": "succeeded", "worktree": "/w", "harvest_error": "no git"}
        >>> saved_again(ended, {"branch": "b"}, [])
        {'outcome': 'succeeded', 'branch': 'b'}
    """
    dropped = () if is_unsaved(harvest) or not harvest else (*HARVEST_FIELDS, "harvest_error")
    fields = {name: value for name, value in recorded.items() if name not in dropped} | harvest
    note = str(recorded.get("note") or "")
    new = [text for text in notes if text not in note]
    return {**fields, "note": "; ".join([note] * bool(note) + new)} if new else fields


def is_unsaved(fields: dict[str, Any]) -> bool:
    """Whether a task has left work that is not saved yet: its harvest could not be made."""
    return bool(fields.get("harvest_error"))


def any_unsaved(tasks: Iterable[dict[str, Any]] | None) -> bool:
    """Whether one of these tasks has left work that is not saved yet."""
    return any(map(is_unsaved, tasks or ()))


def is_kept(fields: dict[str, Any]) -> bool:
    """Whether a task's worktree stays because of what it holds; no option asked for that."""
    return bool(fields.get("kept_because")) and fields["kept_because"] != KEPT_BY_OPTION


def safe_figures(fields: dict[str, Any]) -> dict[str, Any]:
    """The figures among these fields; a value that is not a number becomes None.

    Example:
        >>> safe_figures({"cost_usd": "much", "n_denials": 2, "state": "ended"})
        {'cost_usd': None, 'n_denials': 2}
    """
    return {name: number(fields[name]) for name in SUMMED if name in fields}


def answer_text(outcome: Outcome, facts: RunFacts | None) -> str:
    """The text of ``task-<id>.txt``: the answer, or the reason of a failure.

    A good answer of a task that counts as failed is kept, too.
    """
    text = facts.text if facts else ""
    if outcome.outcome == states.SUCCEEDED:
        return text if text.endswith("\n") else text + "\n"
    label = f"{outcome.outcome}: {outcome.reason}"
    if outcome.outcome == outcome.reason:
        label = outcome.outcome
    error_line = f"[{label}] {outcome.error}".rstrip()
    error = outcome.error.rstrip("…")
    if outcome.error and " ".join(text.split()).startswith(error):
        return f"[{label}] {text.strip()}\n"  # the answer is the error message
    return f"{text.rstrip()}\n\n{error_line}\n" if text.strip() else f"{error_line}\n"
