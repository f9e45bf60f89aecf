"""What a launch asks its answers to be scored by: a column, a check, a grade or a function."""

from __future__ import annotations

import re
import subprocess
import sys

from cpr_nb.model.errors import InputError
from cpr_nb.model.score_ranges import numeric_columns, score_range
from cpr_nb.model.scores import (
    CHECK,
    COLUMN,
    FUNCTION,
    GRADE,
    SCORE,
)
from cpr_nb.model.text import one_line
from cpr_nb.store.programs import scoring_argv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_FORMS = (
    "give the name of a column of numbers in the schema, 'check', 'grade', or "
    "'module:function' (a function that can be imported in cwd)"
)
#: A module that takes longer to import would hold up every restart of the runner, too.
_IMPORT_S = 120.0


def plan_score(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    """Adds to a plan what its answers are scored by.

    Args:
        plan: The plan of the tasks.
        keywords: The keywords of studies, ``score`` among them.

    Raises:
        InputError: If nothing can be scored by it.
    """
    score = keywords[SCORE]
    if callable(score):
        raise InputError(
            "can't be a function of this kernel, which may be gone when tasks end: "
            f"{_FORMS}. s.score(function) scores afterwards",
            SCORE,
        )
    if not isinstance(score, str) or not score:
        raise InputError(f"must be a text, not {score!r}: {_FORMS}", SCORE)
    if score == CHECK:
        plan.study[SCORE] = _by_check(plan)
    elif score == GRADE:
        if GRADE not in keywords:
            raise InputError("'grade' needs grade='…', the rubric to grade by", SCORE)
        plan.study[SCORE] = {"kind": GRADE, "minimum": 0.0, "maximum": 1.0}
    elif ":" in score:
        plan.study[SCORE] = _by_function(plan, score)
    else:
        plan.study[SCORE] = _by_column(plan, score)
    _check_collision(plan, plan.study[SCORE])


def _by_check(plan: LaunchPlan) -> dict[str, Any]:
    """The exit code of the check: 1 if it passes, 0 if it fails."""
    for task in plan.tasks:
        if "check" not in {**plan.options, **task.options}:
            whose = "the launch" if "check" not in plan.options else task.where
            raise InputError(f"'check' needs check='…', a command: {whose} has none", SCORE)
    return {"kind": CHECK, "minimum": 0.0, "maximum": 1.0}


def _by_column(plan: LaunchPlan, name: str) -> dict[str, Any]:
    """A column of numbers; its range is known only if every schema gives the same one."""
    ranges = []
    for schema in {id(schema): schema for schema in plan.schemas()}.values():
        own = None if schema is None else score_range(schema, name)
        if own is None:
            names = ", ".join(map(repr, numeric_columns(schema)))
            have = f"its columns of numbers: {names}" if names else "it has no column of numbers"
            if schema is None:
                have = "without schema= an answer is a text"
            raise InputError(f"{name!r} is no column of numbers of the schema ({have})", SCORE)
        ranges.append(own)
    bounds = {k: v for k, v in ranges[0].items() if all(own.get(k) == v for own in ranges)}
    return {"kind": COLUMN, "name": name, **bounds}


def _by_function(plan: LaunchPlan, name: str) -> dict[str, Any]:
    """A function, which is imported once now, as the runner's helper will."""
    if not _FUNCTION.fullmatch(name):
        raise InputError(f"{name!r} is not like 'module:function'", SCORE)
    for task in plan.tasks:
        options = {**plan.options, **task.options}
        if options.get("permissions") == "sandbox" and not options.get("worktree"):
            raise InputError(
                f"{name!r} runs outside of the sandbox, and agents in it may change the module: "
                "give them a worktree each (worktree=True), or score by a check",
                SCORE,
            )
    argv = [*scoring_argv(sys.executable), name, plan.options["cwd"], "check"]
    try:
        done = subprocess.run(  # noqa: S603 - what the user asked to be scored by
            argv,
            cwd=plan.options["cwd"],
            env={**plan.environ, **plan.options.get("env", {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_IMPORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"importing {name!r} took longer than {_IMPORT_S:g} s", SCORE) from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = one_line(lines[-1] if lines else f"exit {done.returncode}")
        raise InputError(f"can't use {name!r} in {plan.options['cwd']}: {why}", SCORE)
    spec = {"kind": FUNCTION, "name": name}
    is_flag = b'"returns": "bool"' in done.stdout
    return {**spec, "minimum": 0.0, "maximum": 1.0} if is_flag else spec


def _check_collision(plan: LaunchPlan, spec: dict[str, Any]) -> None:
    """Refuses a column ``score`` that the table of results would have twice."""
    if plan.frame is None or (spec["kind"], spec.get("name")) == (COLUMN, SCORE):
        return
    taken = SCORE in plan.frame.columns or any(
        SCORE in (schema or {}).get("properties", ()) for schema in plan.schemas()
    )
    if taken:
        raise InputError(
            f"the results have a column {SCORE!r} of their own: rename that of the frame or of "
            "the schema",
            SCORE,
        )
