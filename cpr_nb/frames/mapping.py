"""A frame's rows as tasks: templates filled, options taken from columns, labels checked."""

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

# What `results_df` puts beside a frame's columns.
RESULT, *TASK_COLUMNS = RESULT_COLUMNS
# Which columns of a table of results are answers, and scores of them; in its attrs.
ANSWERS_ATTR = "cpr_answers"


def check_frame(frame: Any) -> pd.DataFrame:
    """Refuses a frame whose rows could not be told apart, or be joined with answers.

    Raises:
        InputError: Saying which label or column is in the way, and what to do.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"must be a pandas DataFrame, not {type(frame).__name__}", "df")
    if not len(frame):
        raise InputError("has no rows: there is nothing to do", "df")
    if frame.columns.nlevels > 1:
        raise InputError("has columns of several levels: give it plain names first", "df.columns")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{twice!r} is there twice: rename one of them", "df.columns")
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()][0]
        raise InputError(
            f"{twice!r} is there twice, and a row is known by its label: df.reset_index(), or "
            "set_index() to something that tells the rows apart",
            "df.index",
        )
    return frame


def check_added_columns(frame: pd.DataFrame, added: Sequence[str]) -> None:
    """Refuses columns that the table of the results would have twice.

    Args:
        frame: The user's frame.
        added: The columns that come to it.

    Raises:
        InputError: Naming the column.
    """
    for name in added:
        if name in frame.columns:
            raise InputError(
                f"the results have a column {name!r} of their own: rename that of the frame, such "
                f"as df.rename(columns={{{name!r}: {'my_' + name!r}}})",
                "df.columns",
            )


def check_answers(
    frame: pd.DataFrame, schemas: Iterable[Mapping[str, Any] | None], factors: Iterable[str] = ()
) -> None:
    """Refuses what would be in the table of the results twice.

    Args:
        frame: The user's frame.
        schemas: The JSON schema of each task's answer; None for a text.
        factors: What varies.

    Raises:
        InputError: Naming the column or the field.
    """
    different: list[Mapping[str, Any] | None] = []
    for schema in schemas:
        if schema not in different:
            different.append(schema)
    is_typed = len(different) == 1 and different[0] is not None
    check_added_columns(frame, [*factors, *([] if is_typed else [RESULT]), *TASK_COLUMNS])
    for schema in different:
        check_collisions(answer_names(schema), frame.columns, further=tuple(factors))


def answer_names(schema: Mapping[str, Any] | None) -> list[str]:
    """The columns of a schema, nested objects as they are and as columns of their own."""
    columns = [*answer_columns(schema), *answer_columns(schema, flatten=True)]
    return list(dict.fromkeys(column.name for column in columns))


def drop_results(table: pd.DataFrame) -> pd.DataFrame:
    """A table of tasks or results without what tells of these."""
    return table.drop(columns=list(_result_columns(table)), errors="ignore")


def _result_columns(table: pd.DataFrame) -> set[str]:
    """The columns of a table of tasks or results that its rows were not asked about."""
    is_of_tasks = "task_num" in table.columns
    return {*RESULT_COLUMNS, *((c.name for c in TABLES["tasks_df"].columns) if is_of_tasks else ())}


def prompts_without_answers(template: Template, table: pd.DataFrame) -> list[str | None]:
    """What is known of a follow-up before there are answers: the places of these left open.

    A row whose answer has become a newer one is still the row that was followed up.

    Args:
        template: What is said.
        table: The table of results.

    Returns:
        A text a row; None for the prompt itself.
    """
    if not isinstance(template, str):
        return [None] * len(table)
    later = {*_result_columns(table), *table.attrs.get(ANSWERS_ATTR, ())}
    places = {name: f"{{{name}}}" for name in templates.names(template) if name in later}
    return [templates.fill(template, {**row, **places}) for _, row in _rows(table)]


def pop_option_columns(keywords: dict[str, Any], frame: pd.DataFrame) -> dict[str, str]:
    """Takes the keywords that name a column of options, such as ``model_col``.

    Args:
        keywords: The keywords of the call; what is taken is removed.
        frame: The user's frame.

    Returns:
        Option (or ``id``) → column.

    Raises:
        InputError: If there is no such column, or the option is given twice.
    """
    found: dict[str, str] = {}
    for keyword in [word for word in keywords if word.endswith("_col")]:
        name, column = keyword.removesuffix("_col"), keywords.pop(keyword)
        known = ["id", *(option.name for option in OPTIONS.values() if option.per_task)]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            raise UnknownOption(keyword, [f"{word}_col" for word in near])
        if column is None:
            continue
        if column not in list(frame.columns):
            raise InputError(f"the frame has no column {column!r}", keyword)
        found[name] = column
    return found


def build_elements(
    template: Template,
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    combinations: Sequence[Mapping[str, Any]],
    where: str = "df",
) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """A task a row and combination of factors.

    Args:
        template: The prompt with ``{column}`` places, or a function that makes it of a row.
        frame: The frame; its columns and the levels of its index fill the places.
        columns: Option → the column that has it.
        combinations: Of factors (see `cpr_nb.model.factors`).
        where: What to call the frame in errors.

    Yields:
        The element as a prompts file has it; ``row`` and ``factors``; what to call it in errors.

    Raises:
        InputError: Naming the row and the column that is missing or has no value.
    """
    if not isinstance(template, str) and not callable(template):
        raise InputError("must be a text with {column} places, or a function of a row", "template")
    _check_factors(template, frame, combinations)
    for number, (label, row) in enumerate(_rows(frame)):
        called = f"{where} row {label!r}"
        given = {name: _option(row[column]) for name, column in columns.items()}
        given = {name: value for name, value in given.items() if value is not None}
        for nth, factors in enumerate(combinations, 1):
            element = {**given, **options_of(factors)}
            element["prompt"] = _prompt(template, {**row, **factors}, label, called)
            if "id" in given:
                element["id"] = nth_id(str(given["id"]), nth, len(combinations))
            origin = {"row": number, **({"factors": as_json(factors)} if factors else {})}
            yield element, origin, called


def place_warnings(template: Template, frame: pd.DataFrame) -> list[str]:
    """What looks like a place of the template and is none: a column whose name is no identifier."""
    names = [name for name in frame.columns if isinstance(name, str) and not name.isidentifier()]
    return [
        f"{{{name}}} stays as it is, though there is such a column: places have names of letters, "
        "digits and '_'"
        for name in names
        if isinstance(template, str) and f"{{{name}}}" in template
    ]


def _check_factors(
    template: Template, frame: pd.DataFrame, combinations: Sequence[Mapping[str, Any]]
) -> None:
    """Refuses factors that are no places of the template, or that the frame has already."""
    for name in dict.fromkeys(name for factors in combinations for name in factors):
        where = f"vary[{name!r}]"
        if name in OPTIONS or name == REPEAT:
            continue
        if name in RESULT_COLUMNS:
            raise InputError("every table of results has such a column: call it otherwise", where)
        if name in frame.columns or name in frame.index.names:
            raise InputError(f"the frame has a column {name!r} already", where)
        if isinstance(template, str) and name not in templates.names(template):
            raise InputError(
                f"is no option of a task, and the template has no place {{{name}}} for it", where
            )
        if any(_none_if_missing(factors[name]) is None for factors in combinations):
            raise InputError("has a missing value among its levels", where)


def _option(value: Any) -> Any:
    """An option's value; None if it is missing, which makes a float of a column's whole numbers."""
    value = _none_if_missing(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rows(frame: pd.DataFrame) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Label and cells of each row, each cell of its own type: a row as a Series has but one."""
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
                    f"{name!r} has no value there: df.dropna(subset=[{name!r}]) leaves such rows "
                    "out, df.fillna() gives them one",
                    where,
                )
        return templates.fill(template, {str(k): v for k, v in row.items()}, where)
    try:
        made = template(pd.Series(dict(row), dtype="object", name=label))
    except Exception as error:
        raise InputError(
            f"the function that makes the prompt failed: {type(error).__name__}: {error}", where
        ) from error
    if not isinstance(made, str):
        raise InputError(f"the function must return a text, not {type(made).__name__}", where)
    return made
