"""A frame in, an agent a row, typed columns out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from cpr_nb.launching import reuse as reusing
from cpr_nb.launching.plan import LaunchPlan, dry_rows, plan
from cpr_nb.model.factors import combinations
from cpr_nb.model.inputs import slash_warnings
from cpr_nb.model.spec import check_tasks

if TYPE_CHECKING:
    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.frames.mapping import Template
    from cpr_nb.handles.session import Session


@overload
def map(
    template: Template,
    df: DataFrame,
    *,
    vary: Mapping[str, Sequence[Any]] | None = ...,
    repeats: int = ...,
    dry_run: Literal[False] = False,
    **options: Any,
) -> Session: ...


@overload
def map(
    template: Template,
    df: DataFrame,
    *,
    vary: Mapping[str, Sequence[Any]] | None = ...,
    repeats: int = ...,
    dry_run: Literal[True],
    **options: Any,
) -> list[dict[str, Any]]: ...


def map(  # the name that everybody expects, and nothing here needs the builtin
    template: Template,
    df: DataFrame,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    repeats: int = 1,
    dry_run: bool = False,
    **options: Any,
) -> Session | list[dict[str, Any]]:
    """Starts a task a row of a DataFrame and returns at once; see `Session.results_df`.

    Everything is checked before anything is spent: that every place has a column and every cell
    that is used a value, that the index tells the rows apart, that no column of the answers is
    in the frame already.

    Args:
        template: The prompt, with ``{column}`` places (also the names of index levels), or a
            function that makes it of a row (a Series). Braces around anything but an identifier
            stay as they are; ``{{name}}`` is the text ``{name}``.
        df: The frame. It is kept in the session's folder.
        vary: Factor → its levels: each row is there for every combination. A factor is an
            option, such as ``model``, or a further place of the template.
        repeats: How often each of them is there; the column ``repeat`` counts.
        dry_run: Check everything, start nothing, and return what would run.
        **options: As for `cpr_nb.launch`. ``model_col="which"`` and the like take a row's
            option from a column (where that has no value, the session's holds), ``id_col`` the
            task's id.

    Returns:
        The `Session`; with ``dry_run`` a list with one dictionary a task.

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
    reuse = reusing.take(options)
    planned = plan_map(template, df, vary, repeats, options)
    from cpr_nb.frames.mapping import place_warnings

    for warning in [*slash_warnings(planned.tasks), *place_warnings(template, df)]:
        warnings.warn(warning, stacklevel=2)
    return dry_rows(planned) if dry_run else reusing.start(planned, reuse=reuse)


def plan_map(
    template: Template,
    df: DataFrame,
    vary: Mapping[str, Sequence[Any]] | None,
    repeats: int,
    options: dict[str, Any],
) -> LaunchPlan:
    """Checks a `map` without spending or creating anything."""
    from cpr_nb.frames import frame_json, mapping

    frame = mapping.check_frame(df).copy()
    columns = mapping.pop_option_columns(options, frame)
    factors = combinations(vary, repeats, [*options, *columns])
    made = list(mapping.build_elements(template, frame, columns, factors))
    tasks = check_tasks((element for element, _, _ in made), label=[where for _, _, where in made])
    for task, (_, origin, _) in zip(tasks, made, strict=True):
        task.origin.update(origin)
    planned = plan(tasks, options)
    mapping.check_answers(frame, planned.schemas(), factors[0])
    planned.frame, planned.kept_frame = frame, frame_json.encode(frame)
    return planned
