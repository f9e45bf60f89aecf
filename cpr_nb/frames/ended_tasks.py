"""The usual case of `tasks_df`, made column by column: our sessions whose tasks have all ended.

`cpr_nb.views.rows.task_row` makes the same row of any task, in more time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from cpr_nb.frames.source_files import Digest, digest_signatures
from cpr_nb.model import states
from cpr_nb.store import cache_files
from cpr_nb.store.cache_files import ABSENT, Signature
from cpr_nb.store.files import read_with_stat
from cpr_nb.store.layout import SessionPaths

_OUTCOMES = frozenset(states.OUTCOMES)
_of_task = itemgetter(
    *("transaction_id", "task_num", "state", "outcome", "reason", "attempts", "duration_s")
)


class EndedTasks(NamedTuple):
    """The tasks of a session.

    Args:
        columns: The columns of `tasks_df`, each with a value per task.
        n_tasks: How many tasks there are.
        files: The files that the columns were made of, beside status.json; see `digest_files`.
        digest: Their digest.
        n_bytes: How much was read.
    """

    columns: dict[str, list[Any]]
    n_tasks: int
    files: str
    digest: Digest
    n_bytes: int


def read_ended_tasks(
    root: str, signature: Signature, loads: Callable[[bytes], Any]
) -> EndedTasks | None:
    """Reads the tasks of a session.

    Args:
        root: The session's folder.
        signature: That of its status.json, which says that the session has ended.
        loads: Parses JSON.

    Returns:
        Its tasks; None if they do not have the usual form, or something can't be read.
    """
    paths, settled_ns = SessionPaths(root), cache_files.settled_before_ns(cache_files.now_ns())
    try:
        status, stat = read_with_stat(paths.status)
        spec, spec_stat = read_with_stat(paths.session)
        if cache_files.signatures([stat]) != [signature]:
            return None
        columns = _columns(loads(status)["tasks"], loads(spec)["tasks"])
        if columns is None:
            return None
        task_ids = columns["task_id"]
        answers, signatures = _read_answers(paths, task_ids)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    n_tasks, session_id = len(task_ids), root.rpartition("/session-")[2]
    columns |= {"session_id": [session_id] * n_tasks, "result": answers}
    names = [paths.session, *map(paths.answer, task_ids)]
    files = "/".join([name[len(root) + 1 :] for name in names])
    digest = digest_signatures([*cache_files.signatures([spec_stat]), *signatures], settled_ns)
    return EndedTasks(columns, n_tasks, files, digest, digest.n_bytes + stat.st_size)


def _columns(
    tasks: Sequence[Mapping[str, Any]], specs: Sequence[Mapping[str, Any]]
) -> dict[str, list[Any]] | None:
    """The columns that status.json and session.json have; None if a value is not a usual one.

    Raises:
        LookupError: If a task lacks a field.
        TypeError: If something has another type than the runner writes.
    """
    if not tasks or len(tasks) != len(specs):
        return None
    rows = zip(*map(_of_task, tasks), strict=True)
    ids, numbers, task_states, outcomes, reasons, attempts, durations_s = map(list, rows)
    prompts = [spec["prompt"] for spec in specs]
    is_usual = (
        set(map(type, ids)) == set(map(type, prompts)) == {str}
        and set(map(type, attempts)) == {int}
        and set(map(type, durations_s)) == {float}
        and set(task_states) == {states.ENDED}
        and _OUTCOMES.issuperset(outcomes)
        and min(attempts) > 0 <= min(durations_s)
        and math.isfinite(sum(durations_s))
        and not any("/" in task_id or "\0" in task_id for task_id in ids)
        and all(task.get("status") != "pending" for task in tasks)
    )
    if not is_usual:
        return None
    return {
        "task_id": ids,
        "task_num": numbers,
        "prompt": prompts,
        "state": task_states,
        "outcome": outcomes,
        "ok": [outcome == states.SUCCEEDED for outcome in outcomes],
        "reason": reasons,
        "n_denials": [task.get("n_denials", 0) for task in tasks],
        "duration_s": durations_s,
        "cost_usd": [task.get("cost_usd") for task in tasks],
    }


def _read_answers(
    paths: SessionPaths, task_ids: list[str]
) -> tuple[list[str | None], list[Signature]]:
    """The answer of each task, None without one, and the signature of its file.

    Raises:
        OSError: If one can't be read.
    """
    answers: list[str | None] = []
    stats = []
    for task_id in task_ids:
        try:
            data, stat = read_with_stat(paths.answer(task_id))
        except FileNotFoundError:
            answers.append(None)
        else:
            answers.append(data.decode("utf-8", "replace"))
            stats.append(stat)
    present = iter(cache_files.signatures(stats))
    return answers, [ABSENT if answer is None else next(present) for answer in answers]
