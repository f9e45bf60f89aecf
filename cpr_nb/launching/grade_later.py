"""Grades answers that are there already, or that a session still works on: each once."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from cpr_nb.launching.grading import (
    GraderPlace,
    check_rubric,
    name_of,
    plan_graders,
    reserved,
    start_grading,
)
from cpr_nb.launching.reuse import launch_lock
from cpr_nb.launching.stored import check_environment, stored_values
from cpr_nb.model import states
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.model.grader import GRADER_MODEL
from cpr_nb.model.record import task_state
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.grades import Grading, gradings
from cpr_nb.views.lineage import Ids, LinkedTask
from cpr_nb.views.result_rows import result_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class GradeRequest:
    """What the user asks for.

    Args:
        rubric: The rubric; None for that of the launch, or of the newest grades.
        model: The model that grades; None for that of these, or the usual one.
        regrade: Whether second opinions are asked for.
        only: The ids of the answers; None for all.
        options: Further options of the session that grades.
    """

    __slots__ = ("model", "only", "options", "regrade", "rubric")

    def __init__(
        self,
        rubric: str | None = None,
        model: str | None = None,
        *,
        regrade: bool = False,
        only: Collection[Ids] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.rubric, self.model, self.regrade = rubric, model, regrade
        self.only, self.options = only, options or {}


def grade(snapshot: Snapshot, request: GradeRequest) -> str:
    """Grades what has no grade yet.

    Args:
        snapshot: The session whose answers are graded, just read.
        request: What is asked for.

    Returns:
        The folder of the session that grades. If all answers have such a grade, or will have it,
        it is the newest session that has given one.

    Raises:
        InputError: If the rubric or an option can't be right.
        SessionNotUsable: If there is nothing to grade, or the session's environment is lost.
        LaunchError: If the runner does not come up.
    """
    folder = os.path.dirname(snapshot.paths.root)
    with launch_lock(folder):
        answers = [row.answer for row in result_rows(snapshot)]
        wanted = dict.fromkeys(one.ids for one in answers if _can_be_graded(one))
        if request.only is not None:
            wanted = {ids: None for ids in wanted if ids in set(request.only)}
        sessions = {snapshot.session_id, *(ids[0] for ids in wanted)}
        found = gradings(folder, sessions)
        rubric, model = _rubric_and_model(request, snapshot, found)
        same = [
            one
            for one in found
            if (one.rubric, one.model, one.is_regrade) == (rubric, model, request.regrade)
        ]
        graded = {ids for one in same for ids, task in one.graders.items() if _counts(one, task)}
        missing = [ids for ids in wanted if ids not in graded]
        if missing:
            return _start(snapshot, missing, rubric, model, request)
    if not same:
        raise SessionNotUsable(
            f"nothing to grade in {snapshot.session_id}: no task has succeeded, and none runs"
        )
    return same[0].snapshot.paths.root


def _can_be_graded(answer: LinkedTask) -> bool:
    """Whether a task has an answer, or may still give one."""
    state, outcome = task_state(answer.fields)
    if state == states.ENDED:
        return outcome == states.SUCCEEDED
    return answer.snapshot.is_live


def _counts(grading: Grading, task: LinkedTask) -> bool:
    """Whether a grader has given a grade, or will give one."""
    state, outcome = task_state(task.fields)
    if state == states.ENDED:
        return outcome == states.SUCCEEDED
    # An interrupted one gives its grades once it is resumed: nobody pays for them twice.
    return grading.snapshot.state not in states.ENDED_STATES


def _rubric_and_model(
    request: GradeRequest, snapshot: Snapshot, earlier: Sequence[Grading]
) -> tuple[str, str]:
    """The rubric and the model."""
    stored = read_spec(snapshot.paths).get("grade")
    old = {"rubric": earlier[0].rubric, "model": earlier[0].model} if earlier else {}
    old = old or (stored if isinstance(stored, dict) else {})
    rubric = old.get("rubric") if request.rubric is None else request.rubric
    if rubric is None:
        raise InputError("has no rubric yet: say what a good answer is, s.grade('…')", "rubric")
    same = old.get("rubric") == rubric
    model = request.model or (old.get("model") if same else None) or GRADER_MODEL
    return check_rubric(rubric, "rubric"), str(model)


def _start(
    snapshot: Snapshot, missing: Sequence[Ids], rubric: str, model: str, request: GradeRequest
) -> str:
    # What runs is the user's own; whatever the session's folder says is only read by the grader.
    spec = read_spec(snapshot.paths)
    is_ours = read_authorship(snapshot.paths).is_ours
    check_environment(snapshot, spec, "grade")
    names = spec.get("env_names") if is_ours else None
    name = snapshot.head.get("name")
    place = GraderPlace(
        str(spec.get("cwd", ".")) if is_ours else ".",
        os.path.dirname(snapshot.paths.root),
        spec.get("claude_path") if is_ours else None,
        stored_values(names, request.options.get("env") or {}) if names else None,
    )
    stored = spec.get("options")
    kept = reserved(stored) if isinstance(stored, dict) else {}
    options = {"name": name_of(str(name) if name else None), **kept, **request.options}
    plan = plan_graders(
        missing, rubric, model, place=place, regrade=request.regrade, options=options
    )
    return start_grading(plan, snapshot.session_id).root
