"""Plans a launch from a frame: one task per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cpr_nb.frames import frame_json, mapping
from cpr_nb.launching.plan import LaunchPlan, plan_launch
from cpr_nb.model.factors import combinations
from cpr_nb.model.spec import check_tasks

if TYPE_CHECKING:
    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.frames.mapping import Template


def plan_map(
    template: Template,
    df: DataFrame | None,
    vary: Mapping[str, Sequence[Any]] | None,
    repeats: int,
    options: dict[str, Any],
) -> LaunchPlan:
    """Checks a `cpr_nb.map` without spending or creating anything.

    Args:
        template: The prompt with ``{column}`` placeholders, or a function of a row.
        df: The frame, one row per task.
        vary: Factor → its levels.
        repeats: How often each combination of factors runs.
        options: The options of `cpr_nb.map`.

    Returns:
        The plan.

    Raises:
        InputError: If a prompt, an option or a column can't be right.
        ClaudeNotFound: If there is no CLI.
    """
    frame = mapping.check_frame(df).copy()
    columns = mapping.pop_option_columns(options, frame)
    factors = combinations(vary, repeats, [*options, *columns])
    elements = list(mapping.build_elements(template, frame, columns, factors))
    labels = [label for _, _, label in elements]
    tasks = check_tasks((element for element, _, _ in elements), label=labels)
    for task, (_, origin, _) in zip(tasks, elements, strict=True):
        task.origin.update(origin)
    plan = plan_launch(tasks, options)
    mapping.check_answers(frame, plan.schemas(), [*factors[0], *plan.light_columns])
    plan.frame, plan.frame_json = frame, frame_json.encode(frame)
    return plan
