"""Writes a session that ran in another tool into the results directory: nothing of it runs here.

Its folder is that of any session, so every table and view shows it. Its state is ``imported``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.errors import InputError, ResultsDirError
from cpr_nb.model.outcome import Outcome
from cpr_nb.model.record import COUNTERS, SCHEMA_VERSION, ended_fields, first_head
from cpr_nb.model.scores import FUNCTION, SCORE
from cpr_nb.model.spec import check_task_id
from cpr_nb.model.text import one_line
from cpr_nb.store.create import NewSession
from cpr_nb.store.key import read_key
from cpr_nb.store.layout import NEW_PREFIX, SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import read_session
from cpr_nb.store.seal import mark
from cpr_nb.store.spec_file import read_spec
from cpr_nb.store.times import parse_iso, utc_iso
from cpr_nb.store.write import dump, write_new

_NAME_CHARS = 100
#: The figures of a session that are the sums of its tasks'.
_SUMS = ("cost_usd", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


class ImportedTask(NamedTuple):
    """A task that ran in another tool.

    Args:
        id: Its id, as in ``cpr_nb.model.spec.check_task_id``.
        prompt: Its prompt.
        outcome: How it ended: one of `states.OUTCOMES`.
        reason: Why: one of `states.REASONS`.
        events: What happened, in the form of the CLI's stream: ``assistant``, ``user`` and
            ``result`` lines. They are written as they come.
        answer: Its answer; None if there is none.
        error: Why it failed, in words; "" if it did not.
        started_at_s: When it started, in seconds since the epoch; None if that is unknown.
        ended_at_s: When it ended; None if that is unknown.
        duration_s: How long it took; None if that is unknown.
        figures: Further fields of the task as in status.json, such as ``cost_usd``,
            ``input_tokens``, ``model`` and ``score``; what is unknown is left out.
    """

    id: str
    prompt: str
    outcome: str
    reason: str
    events: Iterable[Mapping[str, Any]]
    answer: str | None = None
    error: str = ""
    started_at_s: float | None = None
    ended_at_s: float | None = None
    duration_s: float | None = None
    figures: Mapping[str, Any] = {}


class ImportedSession(NamedTuple):
    """A session that ran in another tool.

    Args:
        id: Its id here, a UUID that the source's own id determines.
        source: The format that it was read from, such as ``inspect``.
        digest: The SHA-256 of what it was read from: the same content is imported once.
        name: A name for it; None if it has none.
        created_at_s: When it began, in seconds since the epoch.
        tasks: Its tasks; they are read once, one after the other.
        model: The model that was asked for; None if that is unknown.
        cwd: The folder that it worked in; "" if that is unknown.
        cli_version: The version of the Claude CLI; None if that is unknown.
    """

    id: str
    source: str
    digest: str
    name: str | None
    created_at_s: float
    tasks: Iterable[ImportedTask]
    model: str | None = None
    cwd: str = ""
    cli_version: str | None = None


def write_imported(results_dir: str, imported: ImportedSession) -> tuple[str, bool]:
    """Writes an imported session; one that has been imported with the same content stays.

    Args:
        results_dir: The results directory.
        imported: The session.

    Returns:
        The session's folder, and whether it was written now.

    Raises:
        InputError: If a session with this id is here that was not imported, or a task is not one.
        ResultsDirError: If it can't be written; nothing is left behind.

    Example:
        >>> once = ImportedSession("u-1", "inspect", "0" * 64, None, 0.0, [])
        >>> write_imported("/r", once)  # doctest: +SKIP
        ('/r/session-u-1', True)
    """
    root = f"{results_dir}/{SESSION_PREFIX}{imported.id}"
    before = read_session(root, tasks=False)
    if before.head and before.state != states.IMPORTED:
        raise InputError(f"it is a session of this results directory, {imported.id}", "import")
    if _is_there(root, imported):
        return root, False
    # Others may import the same log at this moment: each writes a folder of its own.
    with NewSession(results_dir, imported.id, str(uuid.uuid4())) as new:
        try:
            tasks, ended = _write_tasks(new.incomplete, imported)
        except OSError as error:
            words = f"can't write to {results_dir}: {error.strerror or error}"
            raise ResultsDirError(words) from error
        spec, key = _spec(imported), read_key()
        if any(SCORE in fields for fields in ended):  # so that tables have the column
            spec[SCORE] = {"kind": FUNCTION, "name": imported.source}
        if key is not None:
            spec["mark"] = mark(key, imported.id)
        head = {**first_head(spec, len(tasks)), **_ended_head(imported, ended)}
        if _is_there(root, imported):
            new.abandon()
            return root, False
        try:
            with _set_aside(root, results_dir):
                new.complete(spec, tasks, head, key=key, ended=ended)
        except ResultsDirError as error:
            if not Path(root).is_dir():
                raise
            new.abandon()
            if _is_there(root, imported):
                return root, False
            words = "another version of it was imported at this moment: import it again"
            raise InputError(words, imported.source) from error
    return root, True


def _is_there(root: str, imported: ImportedSession) -> bool:
    """Whether the same content has been imported."""
    source = read_spec(SessionPaths(root)).get("imported")
    return isinstance(source, dict) and source.get("digest") == imported.digest


@contextmanager
def _set_aside(root: str, results_dir: str) -> Iterator[None]:
    """While a session is replaced whose source has changed: what was imported before goes last.

    A process that is killed leaves it in a folder that a launch or ``cpr clean`` removes.
    """
    import shutil

    aside = f"{results_dir}/{NEW_PREFIX}{uuid.uuid4()}"
    try:
        Path(root).rename(aside)
    except OSError:  # the usual case: there is none
        yield
        return
    try:
        yield
    except BaseException:
        with suppress(OSError):  # another import has put its own there
            Path(aside).rename(root)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def session_id_of(source: str, source_id: str) -> str:
    """The id of an imported session: the same log is the same session.

    Args:
        source: The format.
        source_id: The id of the log there.

    Example:
        >>> session_id_of("inspect", "abc")
        '83a70743-8b3d-5fdc-b9e6-c38fa7a6d84f'
    """
    whole = f"cpr-import:{source}:{source_id}".encode("utf-8", "replace").decode()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, whole))


def fit_task_id(name: str, used: set[str]) -> str:
    """An id that a task may have, from the id that it has elsewhere.

    Args:
        name: The id elsewhere, or any text.
        used: The ids that are in use; the new one is added.

    Example:
        >>> fit_task_id("src/app.py (1)", set()), fit_task_id("?", {"task"})
        ('src-app.py-1', 'task-2')
    """
    kept = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in name)
    parts = [part for part in kept[:100].replace("..", ".").split("-") if part]
    plain = "-".join(parts).lstrip("._-").rstrip(".-").removesuffix(".lock") or "task"
    fit, number = plain, 1
    while fit in used:
        number += 1
        fit = f"{plain}-{number}"
    used.add(fit)
    return fit


def _spec(imported: ImportedSession) -> dict[str, Any]:
    return {
        "session_id": imported.id,
        "schema_version": SCHEMA_VERSION,
        "name": imported.name and one_line(imported.name, _NAME_CHARS),
        "created_at": utc_iso(imported.created_at_s),
        "start_time": int(imported.created_at_s),
        "cwd": imported.cwd,
        "options": {"model": imported.model} if imported.model else {},
        "env_names": [],
        "max_parallel": 0,
        "claude_path": "",
        "claude_version": imported.cli_version,
        "executor": imported.source,
        "imported": {"source": imported.source, "digest": imported.digest},
        "warnings": [],
    }


def _write_tasks(
    paths: SessionPaths, imported: ImportedSession
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Writes the streams, the answers and the journal; the tasks' objects and further fields."""
    specs: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    ids: set[str] = set()
    with Path(paths.journal).open("xb") as journal:
        for task in imported.tasks:
            check_task_id(task.id, f"{imported.source}: {task.id!r:.60}")
            if task.id in ids:
                raise InputError(f"two tasks have the id {task.id!r}", imported.source)
            ids.add(task.id)
            _write_stream(paths.stream(task.id), task.events)
            if task.answer is not None:
                write_new(paths.answer(task.id), task.answer.encode("utf-8", "replace"))
            fields = _task_fields(task, imported)
            specs.append({"id": task.id, "prompt": task.prompt, "options": {}})
            ended.append(fields)
            for line in _journal_lines(task, fields):
                journal.write(dump(line) + b"\n")
    return specs, ended


def _write_stream(path: str, events: Iterable[Mapping[str, Any]]) -> None:
    with Path(path).open("xb") as file:
        for event in events:
            file.write(dump(event) + b"\n")


def _task_fields(task: ImportedTask, imported: ImportedSession) -> dict[str, Any]:
    outcome = Outcome(task.outcome, task.reason, task.error)
    ended_at_s = task.ended_at_s
    if ended_at_s is None:
        ended_at_s = (task.started_at_s or imported.created_at_s) + (task.duration_s or 0)
    started = {} if task.started_at_s is None else {"started_at": utc_iso(task.started_at_s)}
    fields = ended_fields(
        {"attempts": 1, **started},
        outcome,
        None,
        None,
        ended_at=utc_iso(ended_at_s),
        duration_s=task.duration_s,
        extra=dict(task.figures),
    )
    if task.ended_at_s is None:
        del fields["ended_at"]
    if task.duration_s is None:
        del fields["duration"]  # 0 where it is unknown
    return fields


def _journal_lines(task: ImportedTask, fields: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """What charts of the times are made from; nothing where the times are unknown."""
    if "started_at" in fields and "ended_at" in fields:
        yield {"at": fields["started_at"], "event": "started", "task_id": task.id, "attempt": 1}
        yield {"at": fields["ended_at"], "event": "ended", "task_id": task.id, **fields}


def _ended_head(imported: ImportedSession, ended: list[dict[str, Any]]) -> dict[str, Any]:
    counts = dict.fromkeys(COUNTERS.values(), 0)
    for fields in ended:
        counts[COUNTERS[fields["outcome"]]] += 1
    head: dict[str, Any] = {
        "overall_status": states.IMPORTED,
        "state": states.IMPORTED,
        "completed": len(ended),
        "successful": counts["n_succeeded"],
        "n_pending": 0,
        "started_at": utc_iso(imported.created_at_s),
        **counts,
    }
    ends_s = [end_s for fields in ended if (end_s := parse_iso(fields.get("ended_at"))) is not None]
    if ends_s:
        end_s = max(ends_s)
        head |= {"end_time": int(end_s), "ended_at": utc_iso(end_s), "updated_at": utc_iso(end_s)}
        head["duration_s"] = round(max(0.0, end_s - imported.created_at_s), 3)
    for name in _SUMS:
        known = [fields[name] for fields in ended if name in fields]
        if len(known) == len(ended) and known:
            head[name] = sum(known)
    return head
