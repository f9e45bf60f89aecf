"""Running tasks of sessions again, or further, as a new session that points to the old ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.launching import plan
from cpr_nb.launching import reuse as reusing
from cpr_nb.model import states
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.model.factors import as_json
from cpr_nb.model.identity import of_request, of_words
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.spec import TaskSpec, check_prompt
from cpr_nb.store.spec_file import is_complete, read_spec

if TYPE_CHECKING:
    from cpr_nb.handles.session import Session
    from cpr_nb.handles.task import Task

#: Options of a session that a new one of several old ones need not share.
_NOT_SHARED = ("max_parallel", "name")


class Again(NamedTuple):
    """One task that is to go on.

    Args:
        task: The task.
        prompt: What to say to its conversation; None repeats it from its beginning.
        words: What that was made of, by which it is known that it was said before; default the
            prompt.
    """

    task: Task
    prompt: str | None = None
    words: str | None = None


def plan_retry(session: Session, *, all_tasks: bool, options: dict[str, Any]) -> plan.LaunchPlan:
    """Checks a retry without spending anything; see `Session.retry`.

    Args:
        session: The session to retry from.
        all_tasks: Also those tasks that succeeded.
        options: Options that go before the old ones.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If there is nothing to retry, or the prompts are not known.
        InputError: If a value of an environment variable is missing.
    """
    session.refresh()
    read_usable(session, "retry")
    wanted = [
        Again(task)
        for task in session
        if task.state == states.ENDED and (all_tasks or task.outcome != states.SUCCEEDED)
    ]
    if not wanted:
        n_left = sum(task.state != states.ENDED for task in session)
        left = f"; {n_left} have not ended, and their agents may still run" if n_left else ""
        raise SessionNotUsable(
            f"nothing to retry in {session.id}: no task has ended without success{left}"
        )
    return plan_again(wanted, options)


def again(wanted: Sequence[Again], options: dict[str, Any], frame: Any = None) -> Session:
    """Starts a new session of tasks that ended before, or attaches to the one that did the same.

    Args:
        wanted: The tasks, at least one.
        options: Options that go before the old ones, and ``reuse`` or ``fresh``.
        frame: As for `plan_again`.
    """
    reuse = reusing.take(options)
    return reusing.start(plan_again(wanted, options, frame), reuse=reuse)


def plan_again(
    wanted: Sequence[Again], options: Mapping[str, Any], frame: Any = None
) -> plan.LaunchPlan:
    """Checks a new session of tasks that ended before, of one session or of several.

    Args:
        wanted: The tasks, at least one.
        options: Options that go before the old ones.
        frame: The frame whose rows these tasks are about; default the rows that they were
            about before.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If a task has not ended, or what it was asked is not known.
        InputError: If a value of an environment variable is missing, or the sessions differ in
            what a session can have but once.
    """
    verb = "retry" if wanted[0].prompt is None else "follow up on"
    sessions = list(dict.fromkeys(again.task.session for again in wanted))
    asked = {session: read_usable(session, verb) for session in sessions}
    merged, own = _merged({s: _options(a, options) for s, a in asked.items()}, options)
    if verb != "retry" and "schema" not in options:
        merged.pop("schema", None)  # another question: its answer has a form of its own
    merged.setdefault("results_dir", str(sessions[0].path.parent))
    tasks: list[TaskSpec] = []
    taken: set[str] = set()
    for number, again in enumerate(wanted):
        told = asked[again.task.session]["tasks"][again.task.num - 1]
        spec = _spec(again, told, {**own[again.task.session], **_own(told, options)}, options)
        spec.task_id = _free_id(spec.task_id, taken)
        spec.origin["row"] = number
        tasks.append(spec)
    parents = ",".join(session.id for session in sessions)
    planned = plan.plan(tasks, merged, parent_session_id=parents)
    _check_conversations(planned)
    if "schema" not in options:
        for spec, again in zip(tasks, wanted, strict=True):
            known = again.task.session.answer_types.get(again.task.id)
            if known is not None:
                planned.answer_types[spec.task_id] = known
    checked = {name: planned.options.get(name) for name in options if name not in plan.PLACES}
    planned.identity = of_request({**checked, "env": options.get("env") or {}})
    planned.goes_on_from = [(again.task.session.id, again.task.id) for again in wanted]
    factors = {name for spec in tasks for name in spec.origin.get("factors", ())}
    if frame is not None:  # a table, which has the factors
        frame = frame.drop(columns=list(factors), errors="ignore")
    if frame is None or frame.columns.empty:
        frame = _same_rows(wanted, asked)
    if frame is not None:
        _keep_frame(planned, frame, factors, further=verb != "retry")
    return planned


def _same_rows(wanted: Sequence[Again], asked: Mapping[Session, dict[str, Any]]) -> Any:
    """The rows of the sessions' frames that these tasks are about; None if one has no frame."""
    from cpr_nb.frames.frame_json import take

    frames = {session: session.rows_frame() for session in asked}
    rows = []
    for again in wanted:
        frame = frames[again.task.session]
        row = asked[again.task.session]["tasks"][again.task.num - 1].get("row")
        if frame is None or not isinstance(row, int) or not 0 <= row < len(frame):
            return None
        rows.append((frame, row))
    return take(rows)


def _keep_frame(planned: plan.LaunchPlan, frame: Any, factors: set[str], *, further: bool) -> None:
    from cpr_nb.frames.frame_json import encode
    from cpr_nb.frames.mapping import answer_names, check_answers

    if further:  # it may ask for the same columns anew
        newer = answer_names(planned.options.get("schema"))
        frame = frame.drop(columns=newer, errors="ignore")
    check_answers(frame, planned.schemas(), factors)
    planned.frame, planned.kept_frame = frame, encode(frame)


def read_usable(session: Session, verb: str) -> dict[str, Any]:
    """What a session was asked, if that can be asked again.

    Raises:
        SessionNotUsable: If it can't.
    """
    if session.snapshot.is_legacy:
        raise SessionNotUsable(
            f"can't {verb} {session.id}: "
            "claude-parallel-runner.pl kept only 50 characters of each prompt"
        )
    check_ours(session, verb)
    asked = read_spec(session.paths)
    if not is_complete(asked) or len(asked["tasks"]) < len(session):
        raise SessionNotUsable(
            f"can't {verb} {session.id}: its session.json can't be read, or says too little"
        )
    if asked.get("own_environment"):
        raise SessionNotUsable(
            f"can't {verb} {session.id}: it ran in an environment of its own (such as the demo's), "
            "which is not kept"
        )
    return asked


def check_ours(session: Session, verb: str) -> None:
    """Refuses a session that somebody else could have written: it says what is executed.

    Args:
        session: The session.
        verb: What is to be done with it.

    Raises:
        SessionNotUsable: If its folder or its session.json is a link, another user's, or may be
            written by others.
    """
    for path in (session.path, session.path / "session.json"):
        try:
            status = path.lstat()
        except OSError:
            continue  # what is not there can't be executed
        if path.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise SessionNotUsable(
                f"can't {verb} {session.id}: {path} is a link, another user's, or others may "
                "write it: it says what is executed"
            )


def _options(asked: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A session's own options, with the values of its variables."""
    env = stored_values(asked.get("env_names", []), given.get("env") or {})
    return {**asked["options"], "cwd": asked["cwd"], **({"env": env} if env else {})}


def _merged(
    options: Mapping[Session, dict[str, Any]], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[Session, dict[str, Any]]]:
    """The options of a session that goes on from several: what they share, what is each one's."""
    merged: dict[str, Any] = {}
    own: dict[Session, dict[str, Any]] = {session: {} for session in options}
    for name in dict.fromkeys(name for mine in options.values() for name in mine):
        values = [mine.get(name) for mine in options.values()]
        if name in given and name != "env":
            continue
        if all(value == values[0] for value in values):
            merged[name] = values[0]
        elif name not in OPTIONS or OPTIONS[name].per_task:
            for session, mine in options.items():
                if name in mine:
                    own[session][name] = mine[name]
        elif name not in _NOT_SHARED:
            raise InputError(f"the sessions have a different {name} each: give it", name)
    return {**merged, **{k: v for k, v in given.items() if k != "env"}}, own


def _own(told: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A task's own options, with the values of its variables."""
    own = {k: v for k, v in told.get("options", {}).items() if k not in given}
    names = told.get("env_names", [])
    if names:
        own["env"] = stored_values(names, given.get("env") or {})
    return own


def _spec(
    again: Again, told: dict[str, Any], own: dict[str, Any], given: Mapping[str, Any]
) -> TaskSpec:
    task = again.task
    if task.state != states.ENDED:
        raise SessionNotUsable(
            f"task {task.id} of {task.session.id} has not ended: its agent may still run"
        )
    spec = TaskSpec(told["id"], told["prompt"], own, f"task {told['id']}")
    spec.origin["parent"] = {"session_id": task.session.id, "task_id": task.id}
    factors = told.get("factors")
    if factors:
        spec.origin["factors"] = as_json({k: given.get(k, level) for k, level in factors.items()})
    if again.prompt is not None:
        if task.conversation_id is None:
            raise SessionNotUsable(
                f"task {task.id} of {task.session.id} has no conversation to go on with: it "
                f"{task.outcome} ({task.reason})"
            )
        spec.prompt = check_prompt(again.prompt, f"{spec.where}: what to say")
        said = of_words(again.prompt if again.words is None else again.words)
        spec.origin |= {"follows": task.conversation_id, "is_follow_up": True, "said": said}
        if "schema" not in given:
            own.pop("schema", None)
    elif told.get("follows"):
        spec.origin["follows"] = told["follows"]
    return spec


def _check_conversations(planned: plan.LaunchPlan) -> None:
    """Refuses to go on with a conversation of which the CLI has no transcript any more."""
    folders: dict[str, set[str]] = {}
    for spec in planned.tasks:
        follows = spec.origin.get("follows")
        if follows is None:
            continue
        changed = {**planned.options.get("env", {}), **spec.options.get("env", {})}
        environ = {**planned.environ, **changed}
        home = environ.get("CLAUDE_CONFIG_DIR") or f"{environ.get('HOME', '')}/.claude"
        if home not in folders:
            folders[home] = {path.stem for path in Path(home, "projects").glob("*/*.jsonl")}
        if follows not in folders[home]:
            raise SessionNotUsable(
                f"{spec.where}: its conversation {follows} is not in {home}/projects any more; "
                "retry begins a new one"
            )


def _free_id(task_id: str, taken: set[str]) -> str:
    """The id, or with a number if another task of the new session has it."""
    free, number = task_id, 1
    while free.casefold() in taken:
        number += 1
        free = f"{task_id}-{number}"
    taken.add(free.casefold())
    return free


def stored_values(names: list[str], given: dict[str, str]) -> dict[str, str]:
    """The values of variables of which only the names are stored.

    Args:
        names: The variables that a session was given.
        given: Values that are given now; those of this process come second.

    Raises:
        InputError: If one has no value.
    """
    values = dict(given)
    for name in names:
        if name not in values:
            if name not in os.environ:
                raise InputError(
                    f"the session set {name}, and its value is not stored: give it again "
                    f"with --env {name}=VALUE (env={{{name!r}: …}})",
                    "env",
                )
            values[name] = os.environ[name]
    return values
