"""How a table reads in a notebook: what matters first, ids last and short, one line a row."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import RESULTS_DIR_ATTR
from cpr_nb.frames.mapping import ANSWERS_ATTR
from cpr_nb.frames.table_cells import CellTexts, cell_texts, plain_text
from cpr_nb.model import states

#: The columns with ids: they go last, and as few characters.
_IDS = ("session_id", "task_id")
#: Columns of counts that are not worth their place while they are zero in every row.
_SELDOM = ("foreign", "n_pending", "n_running", "n_questions")
_MOST_NAMES = 6
#: So many characters of a text let most of a row stand in a line of a terminal.
_TEXT_WIDTH = 24
# Three classes: the rules of JupyterLab for cells win over two.
_RULES = {
    "": "border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums;margin:0",
    "th,td": "padding:6px 9px 6px 0;text-align:left;white-space:nowrap;border:0;line-height:16px",
    "thead tr": "border-bottom:1px solid color-mix(in srgb,currentColor 26%,transparent)",
    "tbody th": "font-weight:400;opacity:.7;text-align:right;padding-left:6px",
    ".n": "text-align:right",
    ".t": "max-width:180px;overflow:hidden;text-overflow:ellipsis",
    ".r": "max-width:104px",
    ".w": "max-width:none;white-space:pre-wrap;overflow-wrap:anywhere",
    "td.i": "font-family:var(--jp-code-font-family,monospace);font-size:11px",
    ".na": "opacity:.7",
}


def _style() -> str:
    rules = []
    for names, rule in _RULES.items():
        selectors = [f".cpr-df.cpr-df.cpr-df {name}".strip() for name in names.split(",")]
        rules.append(f"{','.join(selectors)}{{{rule}}}")
    return "".join(rules) + ".cpr-dff{font-size:12px;line-height:18px;margin:4px 0 8px}"


def set_html(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives a table its form for notebooks; nothing else about it changes.

    It is an attribute of this one object. So the type stays `pandas.DataFrame`, and what pandas
    makes of the table has the form that pandas gives it.

    Args:
        frame: A table of sessions, tasks or answers.

    Returns:
        The same table.

    Example:
        >>> frame = set_html(pd.DataFrame({"session_id": ["3f2a9c1e-…"], "cost_usd": [0.1]}))
        >>> type(frame) is pd.DataFrame, "0.10" in frame._repr_html_()
        (True, True)
    """
    reference = weakref.ref(frame)  # else only the garbage collector would free the table

    def html() -> str | None:
        frame = reference()
        return None if frame is None else table_html(frame)

    object.__setattr__(frame, "_repr_html_", html)
    return frame


def is_table(frame: pd.DataFrame) -> bool:
    """Whether a frame is a table of cpr_nb, or a part of one that still says whose rows it has."""
    return RESULTS_DIR_ATTR in frame.attrs and "session_id" in frame.columns


def table_html(frame: pd.DataFrame) -> str | None:
    """Returns a table as HTML; None if the user's options of pandas ask for none.

    Args:
        frame: The table. The options of pandas for rows, columns and widths hold.
    """
    if not pd.get_option("display.notebook_repr_html"):
        return None
    if frame.columns.nlevels > 1 or not frame.columns.is_unique:
        html: str | None = pd.DataFrame._repr_html_(frame)  # type: ignore[attr-defined]
        return html
    names, hidden = _choose_columns(frame)
    rows = _choose_rows(len(frame))
    shown = frame.iloc[rows]
    columns = [cell_texts(shown[name], name) for name in names]
    labels = [shown.index.get_level_values(level) for level in range(shown.index.nlevels)]
    index = [cell_texts(pd.Series(values), "") for values in labels]
    gap = len(rows) // 2 if len(rows) < len(frame) else None
    body = [_row_html(number, index, columns) for number in range(len(rows))]
    if gap is not None:
        body.insert(gap, f"<tr>{'<td>⋮</td>' * (len(index) + len(columns))}</tr>")
    head = "".join(f"<th>{plain_text(str(name or ''))}</th>" for name in frame.index.names)
    head += "".join(
        f'<th scope="col" class="{column.kind}">{plain_text(str(name))}</th>'
        for name, column in zip(names, columns, strict=True)
    )
    return (
        f"<style>{_style()}</style>"
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="table">'
        f'<table class="cpr-df"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
        f'<p class="cpr-dff">{_caption(frame, len(rows), hidden)}</p>'
    )


def table_text(frame: pd.DataFrame) -> str:
    """Returns a table as text, as pandas writes it, of the same columns and with short ids.

    Args:
        frame: The table.
    """
    if frame.columns.nlevels > 1 or not frame.columns.is_unique:
        return repr(frame)
    names, _ = _choose_columns(frame)
    short = frame[names].copy(deep=False)
    for name in {*_IDS} & {*names}:
        short[name] = cell_texts(frame[name], name).texts
    with pd.option_context("display.max_colwidth", _TEXT_WIDTH, "display.max_columns", None):
        return repr(short)


def _row_html(number: int, index: Sequence[CellTexts], columns: Sequence[CellTexts]) -> str:
    cells = [f'<th scope="row">{column.html(number)}</th>' for column in index]
    for column in columns:
        missing = " na" if column.texts[number] is None else ""
        # A notebook that is not trusted drops the rules, and keeps this.
        line = "" if column.wraps else ' style="white-space:nowrap"'
        cells.append(f'<td class="{column.kind}{missing}"{line}>{column.html(number)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _choose_rows(n_rows: int) -> list[int]:
    """The rows that are shown, as pandas chooses them: all, or some of both ends."""
    most, few = pd.get_option("display.max_rows"), pd.get_option("display.min_rows")
    if not most or n_rows <= most:
        return list(range(n_rows))
    half = max(1, min(few or most, most) // 2)
    return [*range(half), *range(n_rows - half, n_rows)]


def _choose_columns(frame: pd.DataFrame) -> tuple[list[Any], list[Any]]:
    """The columns that are shown, in their order, and those that are not."""
    ids = [name for name in _IDS if name in frame.columns]
    hidden = [name for name in frame.columns if _is_redundant(frame, name)]
    names = [name for name in frame.columns if name not in ids and name not in hidden]
    ids = [name for name in ids if name not in hidden]
    most = pd.get_option("display.max_columns") or len(frame.columns)
    n_kept = max(1, most - len(ids))
    return [*names[:n_kept], *ids], [*hidden, *names[n_kept:]]


def _is_redundant(frame: pd.DataFrame, name: Any) -> bool:
    """Whether the other columns, or the line below the table, say what a column does."""
    if name == "ok":
        return "outcome" in frame.columns and "state" in frame.columns
    if name == "session_id":
        return bool(len(frame)) and "task_id" in frame.columns and _is_constant(frame[name])
    if name == "state":
        return "outcome" in frame.columns and bool((frame[name] == states.ENDED).all())
    if name not in _SELDOM:
        return False
    column = frame[name]
    return bool((column.isna() | (column == 0)).all())


def _is_constant(column: pd.Series[Any]) -> bool:
    return bool((column == column.iloc[0]).all())


def _caption(frame: pd.DataFrame, n_shown: int, hidden: Sequence[Any]) -> str:
    n_rows, n_columns = frame.shape
    shown = "" if n_shown == n_rows else f"{n_shown} of "
    size = f"{shown}{n_rows:,} row{'s' * (n_rows != 1)} × {n_columns} columns"
    if "session_id" in hidden:
        size += f", all of session {_code(str(frame['session_id'].iloc[0])[:8])}"
    if hidden:
        more = len(hidden) - _MOST_NAMES
        size += f"; not shown: {', '.join(_code(str(name)) for name in hidden[:_MOST_NAMES])}"
        size += f" and {more} more" if more > 0 else ""
    sentences = [size]
    if n_rows:
        name = "task_id" if "task_id" in frame.columns else "session_id"
        sentences.append(f"Ids and long texts are short only here: {_code(f'df.{name}')} is whole")
    if "n_tasks" in frame.columns:
        sentences.append(
            "Times are in UTC. Open one: <code>cpr.attach(…)</code> with its name or id"
        )
    if "cost_usd" in frame.columns:
        sentences.append("<code>cost_usd</code> is the CLI’s estimate")
    if ANSWERS_ATTR in frame.attrs and "ok" in frame.columns and (frame["ok"] == False).any():  # noqa: E712
        sentences.append("Run the failed ones again: <code>df[~df.ok].cpr.retry()</code>")
    return f"{'. '.join(sentences)}."


def _code(text: str) -> str:
    return f"<code>{plain_text(text)}</code>"
