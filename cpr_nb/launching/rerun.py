"""Plans a new session that reruns tasks of earlier ones: retries and follow-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpr_nb.launching.merge_options import OF_NODES, merge_options
from cpr_nb.launching.plan import LaunchPlan, plan_launch
from cpr_nb.launching.rerun_tasks import (
    RerunSource,
    RerunTask,
    check_conversations,
    rerun_specs,
)
from cpr_nb.launching.settings import ASKED, LOCATIONS
from cpr_nb.launching.stored import read_rerunnable, stored_values
from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.prompt_rows import prompt_rows
from cpr_nb.model.record import task_state
from cpr_nb.model.scores import GRADE
from cpr_nb.model.spec import TaskSpec
from cpr_nb.model.verdict import is_left_out


def plan_retry(source: RerunSource, *, all_tasks: bool, options: Mapping[str, Any]) -> LaunchPlan:
    """Checks a retry of a session without spending anything; see `Session.retry`.

    Args:
        source: The session to retry.
        all_tasks: Whether to run those tasks again that succeeded, too.
        options: Options that override the old ones.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If there is nothing to retry, or the prompts are not known.
        InputError: If the value of an environment variable is missing.
    """
    best_of = read_rerunnable(source.snapshot, "retry").get("best_of")
    tasks = [RerunTask(source, index) for index in range(len(source.snapshot.tasks or ()))]
    if best_of is not None:
        return _plan_retry_of_rows(tasks, best_of, all_tasks=all_tasks, options=options)
    ended = [task for task in tasks if _outcome(task) is not None]
    retried = [task for task in ended if (all_tasks and not _is_outside(task)) or _is_failure(task)]
    if not retried:
        raise _nothing_to_retry(
            source, "no task has ended without success", len(tasks) - len(ended)
        )
    return plan_rerun(retried, options)


def _plan_retry_of_rows(
    tasks: Sequence[RerunTask],
    best_of: Mapping[str, Any],
    *,
    all_tasks: bool,
    options: Mapping[str, Any],
) -> LaunchPlan:
    """The same for the best of N: rows without a success get all their candidates once more."""
    from cpr_nb.launching.best_of import plan_best_of
    from cpr_nb.model.full_mark import rows_without_success

    n, outcomes = best_of["n"], [_outcome(task) for task in tasks]
    rows = rows_without_success(outcomes, n)
    if all_tasks:
        starts = range(0, len(tasks), n)
        rows = [start // n for start in starts if None not in outcomes[start : start + n]]
    if not rows:
        why = "each row has a candidate that succeeded"
        raise _nothing_to_retry(tasks[0].source, why, outcomes.count(None))
    plan = plan_rerun([task for row in rows for task in tasks[row * n : (row + 1) * n]], options)
    full_mark = best_of.get("full_mark")
    enough = {} if full_mark is None else {"full_mark": full_mark}
    plan_best_of(plan, {"best_of": n, "at_once": best_of["at_once"], **enough})
    return plan


def _nothing_to_retry(source: RerunSource, why: str, n_left: int) -> SessionNotUsable:
    hint = "--all-tasks (all_tasks=True) reruns them all"
    if n_left:
        why = "no task has ended without success"
        hint = f"{n_left} have not ended, and their agents may still run"
    return SessionNotUsable(f"nothing to retry in {source.snapshot.session_id}: {why}; {hint}")


def _outcome(task: RerunTask) -> str | None:
    """How a task has ended; None before that."""
    state, outcome = task_state(task.fields)
    return outcome if state == states.ENDED else None


def _is_outside(task: RerunTask) -> bool:
    """Whether a task is outside a pilot: nobody has asked for it to run yet."""
    return task_state(task.fields)[1] == states.SKIPPED and task.fields.get("reason") == "pilot"


def _is_failure(task: RerunTask) -> bool:
    """Whether a task did not succeed, and no rule of its session has left it out."""
    by_rule = is_left_out(task.fields.get("reason"))
    return task_state(task.fields)[1] != states.SUCCEEDED and not by_rule


def plan_rerun(
    tasks: Sequence[RerunTask], options: Mapping[str, Any], frame: Any = None
) -> LaunchPlan:
    """Checks a new session that reruns tasks of one session or of several.

    Args:
        tasks: The tasks, at least one; all are retried, or all are followed up.
        options: Options that override the old ones.
        frame: The frame whose rows these tasks are about; default the rows that they were
            about before.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If a task has not ended, or its prompt is not known.
        InputError: If the value of an environment variable is missing, or the sessions differ in
            an option that a session has only once.
    """
    verb = "retry" if tasks[0].prompt is None else "follow up on"
    sources = {task.source.root: task.source for task in tasks}
    specs = {root: read_rerunnable(source.snapshot, verb) for root, source in sources.items()}
    if verb == "retry" and any("grading" in spec for spec in specs.values()):
        raise SessionNotUsable(
            "can't retry a session that grades: s.grade() of the session that it grades gives what "
            "has no grade yet another try"
        )
    plan = plan_launch(
        *_specs_and_options(tasks, specs, options),
        parent_session_id=",".join(source.snapshot.session_id for source in sources.values()),
    )
    check_conversations(plan)
    if "schema" not in options:
        _keep_answer_types(plan, tasks)
    overriding = {name: plan.options.get(name) for name in options if name not in LOCATIONS}
    plan.overriding = {**overriding, "env": options.get("env") or {}}
    plan.parents = [task.ids for task in tasks]
    _keep_frame(plan, tasks, specs, frame)
    if verb == "retry":
        _keep_score(plan, list(specs.values()))
    return plan


def _keep_score(plan: LaunchPlan, specs: Sequence[Mapping[str, Any]]) -> None:
    """A retry is scored as the tasks were, if they all were scored alike."""
    scores = [spec.get("score") for spec in specs]
    if not scores[0] or any(score != scores[0] for score in scores):
        return
    if scores[0]["kind"] == GRADE:
        _keep_grade(plan, specs)
    else:
        plan.study["score"] = scores[0]


def _keep_grade(plan: LaunchPlan, specs: Sequence[Mapping[str, Any]]) -> None:
    """The same for grades."""
    asked = [spec.get("grade") for spec in specs]
    alike = {(one["rubric"], one["model"]) for one in asked if one}
    if len(alike) == 1 and all(asked):
        from cpr_nb.launching.grading import plan_grade

        rubric, model = alike.pop()
        plan_grade(plan, {"grade": rubric, "grade_model": model})


def _specs_and_options(
    tasks: Sequence[RerunTask],
    specs: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Any],
) -> tuple[list[TaskSpec], dict[str, Any]]:
    """The tasks of the new session, and its options."""
    by_session = {root: _session_options(spec, options) for root, spec in specs.items()}
    shared, own = merge_options(by_session, options)
    if tasks[0].prompt is not None and "schema" not in options:
        shared.pop("schema", None)  # a follow-up asks something else
    if tasks[0].prompt is not None and "share_process" not in options:
        shared.pop("share_process", None)  # no conversation goes on in a shared process
    shared.setdefault("results_dir", str(Path(tasks[0].source.root).parent))
    # What these sessions did without is not taken from a file now: there is nothing to ask.
    return rerun_specs(tasks, specs, own, options), {**dict.fromkeys(ASKED), **shared}


def _session_options(spec: Mapping[str, Any], overriding: Mapping[str, Any]) -> dict[str, Any]:
    """A session's own options, with the values of its environment variables."""
    env = stored_values(spec.get("env_names", []), overriding.get("env") or {})
    # Where tasks run is one decision: with another executor, the old one's nodes mean nothing.
    old = ("not_before", *(OF_NODES if "executor" in overriding else ()))  # it has waited
    kept = {name: value for name, value in spec["options"].items() if name not in old}
    return {**kept, "cwd": spec["cwd"], **({"env": env} if env else {})}


def _keep_answer_types(plan: LaunchPlan, tasks: Sequence[RerunTask]) -> None:
    for spec, task in zip(plan.tasks, tasks, strict=True):
        answer_type = task.source.answer_types.get(task.ids[1])
        if answer_type is not None:
            plan.answer_types[spec.task_id] = answer_type


def _keep_frame(
    plan: LaunchPlan,
    tasks: Sequence[RerunTask],
    specs: Mapping[str, Mapping[str, Any]],
    frame: Any,
) -> None:
    """Gives the plan the frame that its tasks are about, if there is one."""
    factors = {name for spec in plan.tasks for name in spec.origin.get("factors", ())}
    if frame is not None:  # a table of results has a column per factor
        frame = frame.drop(columns=list(factors), errors="ignore")
    if frame is None or frame.columns.empty:
        rows = _original_places(tasks, specs)
        for spec, row in zip(plan.tasks, rows, strict=True):
            spec.origin["row"] = row
        frame = _original_rows(tasks, specs, rows)
    if frame is None:
        return
    from cpr_nb.frames import frame_json, mapping

    if tasks[0].prompt is not None:  # a follow-up may ask for the same columns again
        names = mapping.answer_names(plan.options.get("schema"))
        frame = frame.drop(columns=names, errors="ignore")
    mapping.check_answers(frame, plan.schemas(), [*factors, *plan.light_columns])
    plan.frame, plan.frame_json = frame, frame_json.encode(frame)


def _original_places(
    tasks: Sequence[RerunTask], specs: Mapping[str, Mapping[str, Any]]
) -> list[int]:
    """The row of each task, from 0: repeats and levels of a row still are about the same one.

    Otherwise a table of the new session would take repeats for rows that are independent.
    """
    rows = {root: prompt_rows(spec["tasks"]) for root, spec in specs.items()}
    places: dict[tuple[str, int], int] = {}
    keys = [(task.source.root, rows[task.source.root][task.task_index]) for task in tasks]
    return [places.setdefault(key, len(places)) for key in keys]


def _original_rows(
    tasks: Sequence[RerunTask], specs: Mapping[str, Mapping[str, Any]], places: Sequence[int]
) -> Any:
    """The rows of the sessions' frames that these tasks are about; None if one has no frame."""
    from cpr_nb.frames.frame_json import pick_rows

    sources = {task.source.root: task.source for task in tasks}
    frames = {root: source.read_frame() for root, source in sources.items()}
    rows: dict[int, tuple[Any, int]] = {}
    for task, place in zip(tasks, places, strict=True):
        frame = frames[task.source.root]
        row = specs[task.source.root]["tasks"][task.task_index].get("row")
        if frame is None or not isinstance(row, int) or not 0 <= row < len(frame):
            return None
        rows.setdefault(place, (frame, row))
    return pick_rows(list(rows.values()))
