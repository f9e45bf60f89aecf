"""Experiments: the same tasks for every combination of factors, repeated."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.random_ids import is_uuid
from cpr_nb.model.spec import TaskSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The column that counts repeats, from 1.
REPEAT = "repeat"
#: Fields of a task besides its options: no factor may have such a name.
_RESERVED = ("id", "prompt", REPEAT)


def combinations(
    vary: Mapping[str, Sequence[Any]] | None, repeats: int = 1, fixed: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Every combination of the factors' levels, each repeated as often as requested.

    Args:
        vary: Factor → its levels. A factor is an option of tasks, or a placeholder of the template.
        repeats: The number of tasks for each combination.
        fixed: The options that the launch sets: none of them can vary.

    Returns:
        One dictionary per combination, factor → level; the last factor changes fastest, and
        ``repeat`` (from 1, if there are several) even faster.

    Raises:
        InputError: If a factor, a level or the number of repeats can't be right.

    Example:
        >>> combinations({"model": ["sonnet", "opus"]})
        [{'model': 'sonnet'}, {'model': 'opus'}]
        >>> combinations(None, repeats=2)
        [{'repeat': 1}, {'repeat': 2}]
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise InputError(f"must be a whole number, at least 1, not {repeats!r}", "repeats")
    if vary is not None and not isinstance(vary, Mapping):
        raise InputError("must be a mapping of factors to lists of levels", "vary")
    factors = {name: _levels(name, levels, fixed) for name, levels in (vary or {}).items()}
    if repeats > 1:
        factors[REPEAT] = list(range(1, repeats + 1))
    return [
        dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values())
    ]


def _levels(name: str, levels: Any, fixed: Collection[str]) -> list[Any]:
    """The levels of a factor, checked."""
    where = f"vary[{name!r}]"
    _check_factor(name, fixed, where)
    if isinstance(levels, str | bytes | Mapping) or not isinstance(levels, Iterable):
        raise InputError(f"must be a list of levels, not {levels!r}", where)
    values = list(levels)
    if not values:
        raise InputError("has no levels", where)
    as_text = [as_json(value) for value in values]
    for number, value in enumerate(values):
        if as_text[number] in as_text[:number]:
            raise InputError(f"{value!r} occurs twice; repeats= runs the same several times", where)
        if name in OPTIONS:
            check_options({name: value}, f"vary[{number}]", per_task=True)
    return values


def _check_factor(name: str, fixed: Collection[str], where: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name in _RESERVED:
        raise InputError(
            "can't be a factor: it must be an option or a placeholder of the template", where
        )
    if name in fixed:
        raise InputError(f"{name} is also passed as an option, so it can't vary", where)
    option = OPTIONS.get(name)
    if option is not None and not option.per_task:
        raise InputError(f"{name} is an option of the session, not of a task", where)
    if name == "env":
        raise InputError("can't vary: levels are stored, and values of variables never are", where)


def expand(elements: Iterable[Any], combinations: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The elements of a launch for each combination of factors.

    Args:
        elements: Texts or mappings, as in a prompts file, or tasks that were made of them.
        combinations: Of factors, all of them options of tasks.

    Returns:
        The elements; those of one prompt follow each other.

    Raises:
        InputError: If an element itself sets an option that varies.

    Example:
        >>> expand(["fix it"], combinations({"model": ["sonnet", "opus"]}))
        [{'prompt': 'fix it', 'model': 'sonnet'}, {'prompt': 'fix it', 'model': 'opus'}]
    """
    expanded: list[Any] = []
    for index, element in enumerate(elements):
        fields = _fields(element)
        for nth, factors in enumerate(combinations, 1):
            twice = [name for name in factors if name in fields]
            if twice:
                raise InputError(
                    f"has its own {twice[0]}, but {twice[0]} varies", f"prompts[{index}]"
                )
            more = options_of(factors)
            if isinstance(fields.get("id"), str):
                more["id"] = nth_id(fields["id"], nth, len(combinations))
            expanded.append({**fields, **more})
    return expanded


def _fields(element: Any) -> dict[str, Any]:
    """An element as in a prompts file; of a task that was not named, without its id."""
    if isinstance(element, TaskSpec):
        named = {} if is_uuid(element.task_id) else {"id": element.task_id}
        return {"prompt": element.prompt, **named, **element.options}
    return dict(element) if isinstance(element, Mapping) else {"prompt": element}


def plain(value: Any) -> Any:
    """A scalar of numpy as one of Python, also inside tuples."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def as_json(level: Any) -> Any:
    """A level as in session.json and in tables: as JSON, or as its text.

    Example:
        >>> as_json([1, None, {"n": int}])
        [1, None, {'n': 'int'}]
    """
    level = plain(level)
    if level is None or isinstance(level, bool | int | float | str):
        return level
    if isinstance(level, Mapping):
        return {str(key): as_json(value) for key, value in level.items()}
    if isinstance(level, list | tuple):
        return [as_json(value) for value in level]
    return level.__name__ if isinstance(level, type) else str(level)


def nth_id(task_id: str, nth: int, n_all: int) -> str:
    """The id of one of several tasks that the user gave one id.

    Example:
        >>> nth_id("docs", 2, 4), nth_id("docs", 1, 1)
        ('docs-2', 'docs')
    """
    return task_id if n_all == 1 else f"{task_id}-{nth}"


def options_of(factors: Mapping[str, Any]) -> dict[str, Any]:
    """The factors of a combination that are options.

    Example:
        >>> options_of({"model": "opus", "tone": "dry", "repeat": 2})
        {'model': 'opus'}
    """
    return {name: level for name, level in factors.items() if name in OPTIONS}
