"""The public functions that start sessions: `launch` and `map`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from cpr_nb.handles.later import begin_later, later_launch
from cpr_nb.handles.session import Session
from cpr_nb.launching.begin import check_start, pop_reuse
from cpr_nb.launching.plan import dry_rows, plan_variants
from cpr_nb.launching.study import Study
from cpr_nb.model.inputs import slash_warnings
from cpr_nb.model.public import public
from cpr_nb.model.text import visible_line

if TYPE_CHECKING:
    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.frames.mapping import Template
    from cpr_nb.launching.plan import LaunchPlan


@overload
def launch(
    prompts: Iterable[Any],
    *,
    vary: Mapping[str, Any] | None = ...,
    repeats: int = ...,
    dry_run: Literal[False] = False,
    **options: Any,
) -> Session: ...


@overload
def launch(
    prompts: Iterable[Any],
    *,
    vary: Mapping[str, Any] | None = ...,
    repeats: int = ...,
    dry_run: Literal[True],
    **options: Any,
) -> list[dict[str, Any]]: ...


@public
def launch(
    prompts: Iterable[Any],
    *,
    vary: Mapping[str, Any] | None = None,
    repeats: int = 1,
    dry_run: bool = False,
    **options: Any,
) -> Session | list[dict[str, Any]]:
    """Starts tasks in parallel and returns at once; they outlive this process.

    Everything is checked before anything is spent. When it returns, the session's folder is
    on the disk and its runner is up.

    Args:
        prompts: One text per task, or one mapping with ``prompt`` and perhaps ``id`` and the
            task's own options.
        vary: Option → its levels, such as ``{"model": ["sonnet", "opus"]}``. Each prompt runs
            once for every combination.
        repeats: How often each of them runs.
        dry_run: Whether to check everything, start nothing, and return what would run.
        **options: ``after=s`` starts it when the session ``s`` has ended, also if this process is
            gone then; until then it is ``planned`` (see docs/after.md). ``reuse=True`` attaches to
            the newest session that was launched with the same prompts and options, however it
            ended, and says so. That is the default once the notebook's extension is loaded;
            ``fresh=True`` runs it again. Also ``results_dir``,
            ``claude_path`` and every option of `cpr_nb.model.options.OPTIONS`, such as
            ``max_parallel``, ``model``, ``permissions``, ``allow``, ``schema``, ``timeout_s``,
            ``budget_usd``, ``name``. ``schema`` is a JSON schema or a Python type: see
            docs/schemas.md. ``score`` says by what the runner scores each answer: a column of
            numbers of the schema, "check", "grade" or "module:function" (docs/scores.md). A rubric
            as ``grade`` has an agent grade each answer (docs/grading.md).
            ``best_of=5`` runs five candidates a prompt, of which the best counts (docs/best-of.md).
            ``pilot=30`` runs 30 random rows first, `Session.forecast` says what the others will
            cost, and `Session.run_rest` runs them (docs/forecasts.md).

    Returns:
        The `Session`; with ``dry_run`` a list with one dictionary per task.

    Raises:
        InputError: If a prompt or an option can't be right.
        ClaudeNotFound: If there is no Claude Code CLI.
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.launch(["say hello"], dry_run=True, claude_path="sh")[0]["prompt"]
        'say hello'
    """
    reuse, study = pop_reuse(options), Study(options)
    repeats = study.repeats(vary, repeats)
    if options.get("after") is not None:
        later = later_launch(options, study).launch(prompts, vary, repeats)
        return begin_later(later, reuse=reuse, dry_run=dry_run)
    plan = plan_variants(prompts, vary, repeats, options)
    study.plan(plan)
    plan.warnings += slash_warnings(plan.tasks)
    return _dry_run(plan, reuse) if dry_run else Session.from_plan(plan, reuse=reuse)


@overload
def map(
    template: Template,
    df: DataFrame | None = ...,
    *,
    vary: Mapping[str, Sequence[Any]] | None = ...,
    repeats: int = ...,
    dry_run: Literal[False] = False,
    **options: Any,
) -> Session: ...


@overload
def map(
    template: Template,
    df: DataFrame | None = ...,
    *,
    vary: Mapping[str, Sequence[Any]] | None = ...,
    repeats: int = ...,
    dry_run: Literal[True],
    **options: Any,
) -> list[dict[str, Any]]: ...


@public
def map(  # users expect this name, and nothing here needs the builtin
    template: Template,
    df: DataFrame | None = None,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    repeats: int = 1,
    dry_run: bool = False,
    **options: Any,
) -> Session | list[dict[str, Any]]:
    """Starts one task per row of a DataFrame and returns at once; see `Session.results_df`.

    Everything is checked before anything is spent: every placeholder has a column, every cell
    that is used has a value, the index tells the rows apart, and no column of the answers is in
    the frame already.

    Args:
        template: The prompt with ``{column}`` placeholders (also the names of index levels), or
            a function that makes it from a row (a Series). Braces around anything but an
            identifier stay as they are; ``{{name}}`` is the text ``{name}``.
        df: The frame. It is kept in the session's folder. With ``after=s`` it may be left out: the
            rows are those of ``s`` that have succeeded, or of ``after=s.where("score < 3")``.
        vary: Factor → its levels. Each row runs once for every combination. A factor is an
            option, such as ``model``, or another placeholder of the template.
        repeats: How often each of them runs; the column ``repeat`` counts.
        dry_run: Whether to check everything, start nothing, and return what would run. With
            ``reuse=True``, ``reused_from`` is the session whose answer a row would have.
        **options: As for `cpr_nb.launch`, but ``reuse=True`` runs only the rows whose prompt and
            options have no success yet. The table of results has all rows, whichever session
            their answers are from: see docs/map.md. ``model_col="which"`` and the like take a row's
            option from a column (where it has a value); ``id_col`` takes the task's id.

    Returns:
        The `Session`; with ``dry_run`` a list with one dictionary per task.

    Raises:
        InputError: If anything in it can't be right.
        ClaudeNotFound: If there is no Claude Code CLI.
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up.

    Example:
        >>> import cpr_nb as cpr, pandas as pd
        >>> df = pd.DataFrame({"path": ["a.py", "b.py"]})
        >>> planned = cpr.map("Review {path}", df, dry_run=True, claude_path="sh")
        >>> [task["prompt"] for task in planned]
        ['Review a.py', 'Review b.py']
    """
    from cpr_nb.frames.mapping import placeholder_warnings
    from cpr_nb.launching.from_frame import plan_map

    reuse, study = pop_reuse(options), Study(options)
    repeats = study.repeats(vary, repeats)
    if options.get("after") is not None:
        later = later_launch(options, study).map(template, df, vary, repeats)
        return begin_later(later, reuse=reuse, dry_run=dry_run)
    plan = plan_map(template, df, vary, repeats, options)
    study.plan(plan)
    plan.warnings += [*slash_warnings(plan.tasks), *placeholder_warnings(template, plan.frame)]
    return _dry_run(plan, reuse) if dry_run else Session.from_plan(plan, reuse=reuse)


def _with_reuse(rows: list[dict[str, Any]], plan: LaunchPlan) -> list[dict[str, Any]]:
    """Adds the session whose answer a row would have."""
    from cpr_nb.launching.reuse import reused_from

    known = reused_from(plan)
    return [{**row, "reused_from": known.get(row["task_id"])} if known else row for row in rows]


def _dry_run(plan: LaunchPlan, reuse: bool) -> list[dict[str, Any]]:
    check_start(plan, reuse=reuse)
    for warning in plan.warnings:
        warnings.warn(visible_line(warning), stacklevel=3)  # at the caller of launch or map
    rows = dry_rows(plan)
    return _with_reuse(rows, plan) if reuse and plan.is_map else rows
