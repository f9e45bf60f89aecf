"""docs/tables.md: every column, from its declaration."""

from __future__ import annotations

_UNITS = {
    "_usd": "US dollars",
    "_s": "seconds",
    "_tokens": "tokens",
    "_bytes": "bytes",
    "_at": "UTC",
    "_until": "UTC",
}
_INTRODUCTION = [
    "# Tables",
    "",
    "Each table is a function of `cpr_nb` over all sessions of a results directory",
    '(`cpr.tasks_df(states="failed", since="2d", name="review-*", results_dir=…)`) and a method of a',
    "`Session`. `events_df` and `tool_calls_df` are methods of a `Task`, too, and `nodes_df` is a method of",
    "a `Session` only. The tables include running",
    "sessions and sessions written by `claude-parallel-runner.pl`. `since` is a moment (without a time",
    'zone: local time) or an age (a timedelta, `"2d"`, `"90min"`). `states` are states of sessions in',
    "`sessions_df`, and states and outcomes of tasks in all other tables. (Made by `python",
    "docs/generate.py`.)",
    "",
    "**Bold** columns are always there, the others with `full=True`. An unknown value is missing, never",
    "guessed. An empty table has the same dtypes as a full one. A cost is the CLI's own estimate at list",
    "price, not a bill. A file that cannot be read raises `SessionNotUsable`; with `strict=False` the",
    "result is `(df, errors)`: the table without that file, and a list of the errors. A last line that",
    "is still being written is not an error. A source names a file of the [results",
    "directory](results-directory.md); `stream` is `task-<id>.jsonl`, which the CLI writes.",
    "",
    "A notebook shows what matters first, ids last and short, and long texts on one line; the line below",
    "says what it left out. Only what is shown changes: the type is `pandas.DataFrame`, the columns keep",
    "their values, and pandas' options for rows, columns and widths hold. After `%load_ext cpr_nb` that is",
    "so for rows that you select from a table, too, and in IPython's terminal.",
    "",
    '`events_df` can be asked for less: `columns=`, `types=` (`types="result"`) and `tail=`, the last',
    "rows of each attempt. It then costs the time and memory of what is asked for, also where a stream",
    "has hundreds of megabytes. `tail` reads only the end of a stream. Where it did not read the",
    "beginning, `seq` and `result_index` are missing.",
    "",
    "States and outcomes are ordered categories:",
]


def tables_page() -> str:
    """The text of docs/tables.md."""
    from cpr_nb.frames.columns import CATEGORIES
    from cpr_nb.frames.tables import TABLES, TABLES_OF_A_SESSION
    from cpr_nb.frames.transcripts.transcript_columns import TRANSCRIPT_TABLES

    categories = [
        f"- {name}: {' < '.join(f'`{value}`' for value in values)}"
        for name, values in CATEGORIES.items()
    ]
    lines = [*_INTRODUCTION, "", *categories, ""]
    for title, table in {**TABLES, **TABLES_OF_A_SESSION, **TRANSCRIPT_TABLES}.items():
        lines += [f"## {title}", "", table.doc, "", "| column | dtype | unit | source | meaning |"]
        lines.append("|---|---|---|---|---|")
        for column in table.columns:
            name = f"**`{column.name}`**" if column.default else f"`{column.name}`"
            dtype = f"category: {column.dtype}" if column.dtype in CATEGORIES else column.dtype
            unit = next((u for end, u in _UNITS.items() if column.name.endswith(end)), "")
            lines.append(
                f"| {name} | {dtype} | {unit} | {column.source or 'transcript'} | {column.doc} |"
            )
        lines.append("")
    return "\n".join(lines)
