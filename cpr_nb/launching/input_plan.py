"""Plans a session from the answers of the sessions that it comes after."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cpr_nb.frames import frame_json, mapping
from cpr_nb.frames.best_rows import winners
from cpr_nb.frames.input_rows import empty_results, kept_frame, kept_names, own_columns, select_rows
from cpr_nb.frames.input_tasks import input_tasks
from cpr_nb.frames.results import build_results
from cpr_nb.launching.plan import LaunchPlan, plan_launch
from cpr_nb.launching.study import Study
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.spec import check_tasks
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.spec_file import read_spec

if TYPE_CHECKING:
    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.launching.later_request import LaterRequest, SessionInput


#: The columns that a table of results may have where its answers have scores.
_OF_SCORES = ("score", "score_error", "grade_score", "grade_reason", "grade_cost_usd")


class NothingToDo(Exception):
    """None of the rows is one that the session is about.

    Attributes:
        is_failure: Whether that is because nothing has succeeded.
    """

    def __init__(self, words: str, *, is_failure: bool) -> None:
        super().__init__(words)
        self.is_failure = is_failure


def plan_request(request: LaterRequest, options: Mapping[str, Any]) -> LaunchPlan:
    """Plans what was asked for, once its inputs have ended.

    Args:
        request: What was asked for.
        options: The options of the session.

    Raises:
        NothingToDo: If there is no row that it is about.
        InputError: If a prompt can't be made of a row.
        ClaudeNotFound: If there is no CLI.
    """
    if request.template is None:
        plan = plan_launch(request.tasks or [], options)
    else:
        plan = _plan_rows(request, request.template, options)
    Study(dict(request.study)).plan(plan)
    plan.study["after"] = {**plan.study.get("after", {}), **request.as_json()}
    return plan


def _plan_rows(request: LaterRequest, template: str, options: Mapping[str, Any]) -> LaunchPlan:
    [source] = request.inputs
    results = read_results(source.root)
    if source.task_ids is None:
        results = winners(read_session(source.root), results)
    rows = select_rows(results, source.condition, source.task_ids)
    if not len(rows):
        raise _nothing(source, len(results))
    made = input_tasks(template, rows, request.columns, request.factors)
    if not made.tasks:
        words = f"nothing to do: {made.left_out} of {source.session_id[:8]}"
        raise NothingToDo(words, is_failure=True)
    plan = plan_launch(made.tasks, options)
    _keep_rows(plan, made.rows, request)
    if made.left_out:
        plan.setup_warnings.append(made.left_out)
        plan.warnings.append(made.left_out)
    return plan


def plan_in_advance(
    request: LaterRequest, options: Mapping[str, Any]
) -> tuple[LaunchPlan, dict[str, Any] | None]:
    """Checks what was asked for while its rows are not known yet.

    Args:
        request: What was asked for.
        options: The options of the session.

    Returns:
        A plan that says everything about the session but its tasks, and a frame without rows that
        has the columns of the one to come, as JSON.

    Raises:
        InputError: If it can't be right, whatever the answers will be.
        ClaudeNotFound: If there is no CLI.
    """
    if request.template is None:
        plan = plan_launch(request.tasks or [], options)
        Study(dict(request.study)).plan(plan)
        plan.study["after"] = request.as_json()
        return plan, None
    [source] = request.inputs
    columns = read_results(source.root)
    rows = select_rows(columns, source.condition, source.task_ids).iloc[:0]
    input_tasks(request.template, rows, request.columns, request.factors)
    plan = plan_launch(check_tasks([request.template]), options)
    _check_study(request.study, plan)
    _keep_rows(plan, rows, request)
    plan.study["after"] |= request.as_json()
    return plan, plan.frame_json


def _check_study(keywords: Mapping[str, Any], plan: LaunchPlan) -> None:
    """Checks what does not depend on the rows: the others are checked when those are known.

    Raises:
        InputError: If a keyword can't be right.
    """
    names = ("score", "grade", "grade_model")
    Study({name: keywords[name] for name in names if name in keywords}).plan(plan)
    plan.study, plan.study_keywords, plan.on_start = {}, {}, []


def _keep_rows(plan: LaunchPlan, rows: DataFrame, request: LaterRequest) -> None:
    """Gives the plan the frame of its rows, with names that its own columns do not have."""
    scores = _OF_SCORES if {"score", "grade"} & request.study.keys() else ()
    schemas = plan.schemas()
    more = [*plan.light_columns, *scores]
    own = own_columns(schemas[0] if schemas else None, request.factors, more)
    frame = kept_frame(rows, own)
    kept = {str(new): str(old) for new, old in kept_names(rows, own).items()}
    plan.study["after"] = {"kept": kept}
    mapping.check_answers(frame, schemas, [*request.factors[0], *plan.light_columns])
    plan.frame, plan.frame_json = frame, frame_json.encode(frame)


def read_results(root: str) -> DataFrame:
    """The table of results of a session, in its folder; of a planned one, its columns only.

    Args:
        root: The session's folder.

    Raises:
        InputError: If the session can't be read.
    """
    snapshot = read_session(root)
    if snapshot.state == states.UNREADABLE:
        raise InputError(f"can't read {root}: {snapshot.problem}", "after")
    frame = frame_json.read_frame(snapshot.paths.frame)
    if snapshot.state == states.PLANNED:
        return planned_results(snapshot, frame)
    return build_results(snapshot, frame, flatten=False)


def planned_results(snapshot: Snapshot, frame: DataFrame | None) -> DataFrame:
    """The table of results of a session that is planned: its columns, without a row.

    Args:
        snapshot: The session.
        frame: The frame in its folder.
    """
    spec = read_spec(snapshot.paths)
    options, after = spec.get("options"), spec.get("after")
    factors = after.get("factors") if isinstance(after, dict) else None
    names = factors[0] if isinstance(factors, list) and factors else ()
    schema = options.get("schema") if isinstance(options, dict) else None
    study = after.get("study") if isinstance(after, dict) else None
    return empty_results(frame, schema, names, study if isinstance(study, dict) else ())


def _nothing(source: SessionInput, n_rows: int) -> NothingToDo:
    short = source.session_id[:8]
    if source.condition is not None:
        words = f"nothing to do: none of the {n_rows} rows of {short} fits {source.condition!r}"
        return NothingToDo(words, is_failure=False)
    return NothingToDo(f"none of the {n_rows} rows of {short} has succeeded", is_failure=True)


def input_states(request: LaterRequest) -> list[Snapshot]:
    """The sessions that it waits for, as they are now, without their tasks."""
    return [read_session(os.path.abspath(one.root), tasks=False) for one in request.inputs]
