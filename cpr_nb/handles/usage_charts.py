"""The public function usage_chart: a table of usage in groups, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.model.errors import InputError
from cpr_nb.model.public import public

if TYPE_CHECKING:
    from cpr_nb.display.charts.svg import Chart
    from cpr_nb.frames.columns import DataFrame

_DAY, _UNKNOWN, _COST = "day", "n_unknown_costs", "cost_usd"


@public
def usage_chart(usage: DataFrame, figure: str = _COST) -> Chart:
    """Draws usage in groups: bars, or a column a day if ``day`` is one of the groups.

    Args:
        usage: A table of ``usage_df(by=…)``, of sessions or of transcripts.
        figure: The column to draw: ``cost_usd``, ``output_tokens`` or another number.

    Returns:
        What a notebook shows; ``save("usage.svg")`` writes it into a file.

    Raises:
        InputError: If the table has no such figure, or no group.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.usage_chart(cpr.usage_df(by=["day", "model"]))  # doctest: +SKIP
    """
    from cpr_nb.display.charts.usage_chart import GroupUsage, draw_usage
    from cpr_nb.frames.usage_groups import FIGURES

    columns = [str(column) for column in usage.columns]
    kinds = {column: usage[column].dtype.kind for column in columns}
    numbers = [column for column in columns if kinds[column] in "iuf" and column != _UNKNOWN]
    if figure not in numbers:
        raise InputError(f"no figure {figure!r}: this table has {', '.join(numbers)}", "figure")
    known = {*numbers, *(column.name for column in FIGURES), _UNKNOWN}
    groups = [column for column in columns if column not in known and column != _DAY]
    if not groups and _DAY not in columns:
        raise InputError("a table without groups: make it by usage_df(by=…)", "usage")
    rows = []
    for row in usage.astype(object).where(usage.notna(), None).to_dict("records"):
        words = ["unknown" if row[group] is None else str(row[group]) for group in groups]
        day = row.get(_DAY)
        value = row[figure]
        rows.append(
            GroupUsage(
                " · ".join(words),
                None if day is None else day.date(),
                None if value is None else float(value),
            )
        )
    n_unknown = int(usage[_UNKNOWN].sum()) if _UNKNOWN in columns and figure == _COST else 0
    return draw_usage(rows, figure, n_unknown, has_days=_DAY in columns)
