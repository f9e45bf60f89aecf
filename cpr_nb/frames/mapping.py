"""A frame's rows as tasks: filled templates, options from columns, checked labels."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from cpr_nb.frames.schema_columns import RESULT_COLUMNS, answer_columns, check_collisions
from cpr_nb.frames.tables import TABLES
from cpr_nb.model import templates
from cpr_nb.model.errors import InputError, UnknownOption
from cpr_nb.model.factors import REPEAT, as_json, nth_id, options_of, plain
from cpr_nb.model.options import OPTIONS

Template = str | Callable[["pd.Series[Any]"], str]

# The columns that `results_df` adds to a frame.
RESULT, *TASK_COLUMNS = RESULT_COLUMNS
# The attribute of a table of results that names its columns of answers and scores.
ANSWERS_ATTR = "cpr_answers"
#: The column that a table of results has only if one of its rows was asked in the light form, and
#: the attribute that says so.
LIGHT, LIGHT_ATTR = "light", "cpr_light"


def check_frame(frame: Any) -> pd.DataFrame:
    """Refuses a frame whose rows can't be distinguished, or can't be joined with answers.

    Raises:
        InputError: Naming the label or column, and a way to fix it.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"must be a pandas DataFrame, not {type(frame).__name__}", "df")
    if not len(frame):
        raise InputError("has no rows: there is nothing to do", "df")
    if frame.columns.nlevels > 1:
        raise InputError("has columns with several levels: rename them first", "df.columns")
    if not frame.columns.is_unique:
        duplicate = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{duplicate!r} occurs twice: rename one of them", "df.columns")
    if not frame.index.is_unique:
        duplicate = frame.index[frame.index.duplicated()][0]
        raise InputError(
            f"{duplicate!r} occurs twice, but labels must identify rows: use df.reset_index(), "
            "or set_index() with unique labels",
            "df.index",
        )
    return frame


def check_added_columns(frame: pd.DataFrame, added: Sequence[str]) -> None:
    """Refuses columns that the table of results would have twice.

    Args:
        frame: The user's frame.
        added: The columns that are added to it.

    Raises:
        InputError: Naming the column.
    """
    for name in added:
        if name in frame.columns:
            raise InputError(
                f"the results have a column {name!r} of their own: rename the frame's column, such "
                f"as df.rename(columns={{{name!r}: {'my_' + name!r}}})",
                "df.columns",
            )


def check_answers(
    frame: pd.DataFrame, schemas: Iterable[Mapping[str, Any] | None], further: Iterable[str] = ()
) -> None:
    """Refuses columns and fields that the table of results would have twice.

    Args:
        frame: The user's frame.
        schemas: The JSON schema of each task's answer; None for a text.
        further: More columns of that table: the factors, and `LIGHT` where a row is light.

    Raises:
        InputError: Naming the column or the field.
    """
    names = tuple(further)
    distinct: list[Mapping[str, Any] | None] = []
    for schema in schemas:
        if schema not in distinct:
            distinct.append(schema)
    is_typed = len(distinct) == 1 and distinct[0] is not None
    check_added_columns(frame, [*names, *([] if is_typed else [RESULT]), *TASK_COLUMNS])
    for schema in distinct:
        check_collisions(answer_names(schema), frame.columns, further=names)


def answer_names(schema: Mapping[str, Any] | None) -> list[str]:
    """The columns of a schema, with nested objects both as one column and as several."""
    columns = [*answer_columns(schema), *answer_columns(schema, flatten=True)]
    return list(dict.fromkeys(column.name for column in columns))


def drop_results(table: pd.DataFrame) -> pd.DataFrame:
    """Drops the columns about tasks and results from a table, and keeps the inputs."""
    return table.drop(columns=list(_result_columns(table)), errors="ignore")


def _result_columns(table: pd.DataFrame) -> set[str]:
    """The columns of a table of tasks or results that are not inputs of the tasks."""
    is_of_tasks = "task_num" in table.columns
    names = {*RESULT_COLUMNS, *([LIGHT] if table.attrs.get(LIGHT_ATTR) else ())}
    return names | {c.name for c in TABLES["tasks_df"].columns} if is_of_tasks else names


def prompts_without_answers(template: Template, table: pd.DataFrame) -> list[str | None]:
    """The prompts of a follow-up, with the placeholders of answers left open.

    They identify the follow-up even if an answer was replaced by a newer one.

    Args:
        template: The prompt with ``{column}`` placeholders, or a function of a row.
        table: The table of results.

    Returns:
        One text per row; None stands for the prompt itself.
    """
    if not isinstance(template, str):
        return [None] * len(table)
    outputs = {*_result_columns(table), *table.attrs.get(ANSWERS_ATTR, ())}
    left_open = {name: f"{{{name}}}" for name in templates.names(template) if name in outputs}
    return [templates.fill(template, {**row, **left_open}) for _, row in _rows(table)]


def pop_option_columns(keywords: dict[str, Any], frame: pd.DataFrame) -> dict[str, str]:
    """Removes and returns the keywords that name a column of options, such as ``model_col``.

    Args:
        keywords: The keywords of the call, which are changed.
        frame: The user's frame.

    Returns:
        Option (or ``id``) → column.

    Raises:
        InputError: If there is no such column, or the option is given twice.
    """
    columns: dict[str, str] = {}
    for keyword in [keyword for keyword in keywords if keyword.endswith("_col")]:
        name, column = keyword.removesuffix("_col"), keywords.pop(keyword)
        allowed = ["id", *(option.name for option in OPTIONS.values() if option.per_task)]
        if name not in allowed:
            similar = difflib.get_close_matches(name, allowed, n=2)
            raise UnknownOption(keyword, [f"{option}_col" for option in similar])
        if column is None:
            continue
        if column not in list(frame.columns):
            raise InputError(f"the frame has no column {column!r}", keyword)
        columns[name] = column
    return columns


def build_elements(
    template: Template,
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    combinations: Sequence[Mapping[str, Any]],
    where: str = "df",
) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """Builds one task per row and combination of factors.

    Args:
        template: The prompt with ``{column}`` placeholders, or a function of a row.
        frame: The frame; its columns and index levels fill the placeholders.
        columns: Option → its column.
        combinations: Of factors (see `cpr_nb.model.factors`).
        where: The name of the frame in errors.

    Yields:
        The element, as in a prompts file; ``row`` and ``factors``; its name in errors.

    Raises:
        InputError: Naming the row, and the column that is missing or has no value.
    """
    if not isinstance(template, str) and not callable(template):
        raise InputError(
            "must be a text with {column} placeholders, or a function of a row", "template"
        )
    _check_factors(template, frame, combinations)
    for number, (label, row) in enumerate(_rows(frame)):
        row_name = f"{where} row {label!r}"
        options = {name: _option(row[column]) for name, column in columns.items()}
        options = {name: value for name, value in options.items() if value is not None}
        for nth, factors in enumerate(combinations, 1):
            element = {**options, **options_of(factors)}
            element["prompt"] = _prompt(template, {**row, **factors}, label, row_name)
            if "id" in options:
                element["id"] = nth_id(str(options["id"]), nth, len(combinations))
            origin = {"row": number, **({"factors": as_json(factors)} if factors else {})}
            yield element, origin, row_name


def placeholder_warnings(template: Template, frame: pd.DataFrame) -> list[str]:
    """Warnings for text that looks like a placeholder: a column whose name is no identifier."""
    names = [name for name in frame.columns if isinstance(name, str) and not name.isidentifier()]
    return [
        f"{{{name}}} stays as it is, although there is such a column: the names of placeholders "
        "consist of letters, digits and '_'"
        for name in names
        if isinstance(template, str) and f"{{{name}}}" in template
    ]


def _check_factors(
    template: Template, frame: pd.DataFrame, combinations: Sequence[Mapping[str, Any]]
) -> None:
    """Refuses factors that are no placeholders of the template, or that the frame already has."""
    for name in dict.fromkeys(name for factors in combinations for name in factors):
        if name not in OPTIONS and name != REPEAT:
            _check_factor(name, template, frame)
            if any(_none_if_missing(factors[name]) is None for factors in combinations):
                raise InputError("has a missing value among its levels", f"vary[{name!r}]")


def _check_factor(name: str, template: Template, frame: pd.DataFrame) -> None:
    where = f"vary[{name!r}]"
    if name in RESULT_COLUMNS:
        raise InputError("every table of results has such a column: choose another name", where)
    if name in frame.columns or name in frame.index.names:
        raise InputError(f"the frame already has a column {name!r}", where)
    if isinstance(template, str) and name not in templates.names(template):
        raise InputError(
            f"is no option of a task, and the template has no placeholder {{{name}}} for it", where
        )


def _option(value: Any) -> Any:
    """An option's value; None if missing. Missing values make floats of a column's integers."""
    value = _none_if_missing(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rows(frame: pd.DataFrame) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The label and cells of each row. Cells keep their types, which a Series would not do."""
    names = list(frame.columns)
    cells = [frame.iloc[:, number].array for number in range(len(names))]
    for name in frame.index.names:
        if isinstance(name, str) and name not in names:
            names.append(name)
            cells.append(frame.index.get_level_values(name).array)
    for number, label in enumerate(frame.index):
        yield plain(label), {n: plain(cell[number]) for n, cell in zip(names, cells, strict=True)}


def _none_if_missing(value: Any) -> Any:
    """The value; None if it is missing."""
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value


def _prompt(template: Template, row: Mapping[str, Any], label: Any, where: str) -> str:
    if isinstance(template, str):
        for name in templates.names(template):
            if name in row and _none_if_missing(row[name]) is None:
                raise InputError(
                    f"{name!r} has no value there: df.dropna(subset=[{name!r}]) removes such rows, "
                    "df.fillna() gives them a value",
                    where,
                )
        return templates.fill(template, {str(k): v for k, v in row.items()}, where)
    try:
        prompt = template(pd.Series(dict(row), dtype="object", name=label))
    except Exception as error:
        raise InputError(
            f"the function that makes the prompt failed: {type(error).__name__}: {error}", where
        ) from error
    if not isinstance(prompt, str):
        raise InputError(f"the function must return a text, not {type(prompt).__name__}", where)
    return prompt
