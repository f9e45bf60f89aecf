"""Plans a new session that reruns tasks of earlier ones: retries and follow-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.launching.merge_options import merge_options
from cpr_nb.launching.plan import LaunchPlan, plan_launch
from cpr_nb.launching.settings import LOCATIONS
from cpr_nb.launching.stored import read_rerunnable, stored_values
from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.factors import as_json
from cpr_nb.model.identity import of_request, of_words
from cpr_nb.model.spec import TaskSpec, check_prompt
from cpr_nb.views.rows import task_state

if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot


class RerunSource(NamedTuple):
    """A session whose tasks are rerun.

    Args:
        snapshot: The session, just read.
        answer_types: Task id → the Python type of its answer, where this process knows one.
        read_frame: Returns the frame whose rows its tasks are about; None if it has none.
    """

    snapshot: Snapshot
    answer_types: Mapping[str, Any]
    read_frame: Callable[[], Any]

    @property
    def root(self) -> str:
        """The session's folder, by which sources are told apart."""
        return self.snapshot.paths.root


class RerunTask(NamedTuple):
    """One task that is to run once more.

    Args:
        source: Its session.
        task_index: Its number in the session, from 0.
        prompt: What to say in its conversation (a follow-up); None to run it from its beginning
            (a retry).
        template: What the prompt was made from, by which a repeated follow-up is recognised;
            default the prompt.
    """

    source: RerunSource
    task_index: int
    prompt: str | None = None
    template: str | None = None

    @property
    def status(self) -> dict[str, Any]:
        """What status.json says of the task."""
        return (self.source.snapshot.tasks or [])[self.task_index]

    @property
    def ids(self) -> tuple[str, str]:
        """The session's id and the task's."""
        return self.source.snapshot.session_id, str(self.status.get("transaction_id", ""))


def plan_retry(source: RerunSource, *, all_tasks: bool, options: Mapping[str, Any]) -> LaunchPlan:
    """Checks a retry of a session without spending anything; see `Session.retry`.

    Args:
        source: The session to retry.
        all_tasks: Whether to run those tasks again that succeeded, too.
        options: Options that override the old ones.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If there is nothing to retry, or the prompts are not known.
        InputError: If the value of an environment variable is missing.
    """
    session_id = source.snapshot.session_id
    read_rerunnable(source.snapshot, "retry")
    tasks = [RerunTask(source, index) for index in range(len(source.snapshot.tasks or ()))]
    conditions = [task_state(task.status) for task in tasks]
    retried = [
        task
        for task, (state, outcome) in zip(tasks, conditions, strict=True)
        if state == states.ENDED and (all_tasks or outcome != states.SUCCEEDED)
    ]
    if not retried:
        n_left = sum(state != states.ENDED for state, _ in conditions)
        left = f"; {n_left} have not ended, and their agents may still run" if n_left else ""
        raise SessionNotUsable(
            f"nothing to retry in {session_id}: no task has ended without success{left}"
        )
    return plan_rerun(retried, options)


def plan_rerun(
    tasks: Sequence[RerunTask], options: Mapping[str, Any], frame: Any = None
) -> LaunchPlan:
    """Checks a new session that reruns tasks of one session or of several.

    Args:
        tasks: The tasks, at least one; all are retried, or all are followed up.
        options: Options that override the old ones.
        frame: The frame whose rows these tasks are about; default the rows that they were
            about before.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If a task has not ended, or its prompt is not known.
        InputError: If the value of an environment variable is missing, or the sessions differ in
            an option that a session has only once.
    """
    is_retry = tasks[0].prompt is None
    sources = list({task.source.root: task.source for task in tasks}.values())
    verb = "retry" if is_retry else "follow up on"
    specs = {source.root: read_rerunnable(source.snapshot, verb) for source in sources}
    shared, own = merge_options({k: _options(s, options) for k, s in specs.items()}, options)
    if not is_retry and "schema" not in options:
        shared.pop("schema", None)  # a follow-up asks something else
    shared.setdefault("results_dir", str(Path(sources[0].root).parent))
    task_specs = _task_specs(tasks, specs, own, options)
    parents = ",".join(source.snapshot.session_id for source in sources)
    plan = plan_launch(task_specs, shared, parent_session_id=parents)
    _check_conversations(plan)
    if "schema" not in options:
        _keep_answer_types(plan, tasks)
    overriding = {name: plan.options.get(name) for name in options if name not in LOCATIONS}
    plan.identity = of_request({**overriding, "env": options.get("env") or {}})
    plan.parents = [task.ids for task in tasks]
    _keep_frame(plan, tasks, specs, frame)
    return plan


def _options(spec: Mapping[str, Any], overriding: Mapping[str, Any]) -> dict[str, Any]:
    """A session's own options, with the values of its environment variables."""
    env = stored_values(spec.get("env_names", []), overriding.get("env") or {})
    return {**spec["options"], "cwd": spec["cwd"], **({"env": env} if env else {})}


# -- the tasks ------------------------------------------------------------------------------


def _task_specs(
    tasks: Sequence[RerunTask],
    specs: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, Mapping[str, Any]],
    overriding: Mapping[str, Any],
) -> list[TaskSpec]:
    task_specs = []
    used_ids: set[str] = set()
    for row, task in enumerate(tasks):
        stored = specs[task.source.root]["tasks"][task.task_index]
        options = {**own[task.source.root], **_task_options(stored, overriding)}
        task_spec = _task_spec(task, stored, options, overriding)
        task_spec.task_id = _free_id(task_spec.task_id, used_ids)
        task_spec.origin["row"] = row
        task_specs.append(task_spec)
    return task_specs


def _task_options(stored: Mapping[str, Any], overriding: Mapping[str, Any]) -> dict[str, Any]:
    """A task's own options, with the values of its environment variables."""
    options = {k: v for k, v in stored.get("options", {}).items() if k not in overriding}
    if stored.get("env_names"):
        options["env"] = stored_values(stored["env_names"], overriding.get("env") or {})
    return options


def _task_spec(
    task: RerunTask,
    stored: Mapping[str, Any],
    options: dict[str, Any],
    overriding: Mapping[str, Any],
) -> TaskSpec:
    session_id, task_id = task.ids
    if task_state(task.status)[0] != states.ENDED:
        raise SessionNotUsable(
            f"task {task_id} of {session_id} has not ended: its agent may still run"
        )
    spec = TaskSpec(stored["id"], stored["prompt"], options, f"task {stored['id']}")
    spec.origin["parent"] = {"session_id": session_id, "task_id": task_id}
    factors = stored.get("factors")
    if factors:
        levels = {name: overriding.get(name, level) for name, level in factors.items()}
        spec.origin["factors"] = as_json(levels)
    if task.prompt is not None:
        _follow_up(spec, task, task.prompt)
        if "schema" not in overriding:
            options.pop("schema", None)
    elif stored.get("follows"):
        spec.origin["follows"] = stored["follows"]
    return spec


def _follow_up(spec: TaskSpec, task: RerunTask, prompt: str) -> None:
    """Lets a task continue the conversation of its parent."""
    conversation_id = task.status.get("conversation_id")
    if not conversation_id:
        session_id, task_id = task.ids
        raise SessionNotUsable(
            f"task {task_id} of {session_id} has no conversation to continue: it "
            f"{task_state(task.status)[1]} ({task.status.get('reason', 'unknown')})"
        )
    spec.prompt = check_prompt(prompt, f"{spec.where}: what to say")
    words = of_words(prompt if task.template is None else task.template)
    spec.origin |= {"follows": str(conversation_id), "is_follow_up": True, "said": words}


def _free_id(task_id: str, used_ids: set[str]) -> str:
    """The id, or with a number if another task of the new session has it."""
    free, number = task_id, 1
    while free.casefold() in used_ids:
        number += 1
        free = f"{task_id}-{number}"
    used_ids.add(free.casefold())
    return free


def _check_conversations(plan: LaunchPlan) -> None:
    """Refuses to continue a conversation of which the CLI has no transcript any more."""
    transcripts: dict[str, set[str]] = {}  # the CLI's folder → the conversations in it
    for spec in plan.tasks:
        follows = spec.origin.get("follows")
        if follows is None:
            continue
        overriding = {**plan.options.get("env", {}), **spec.options.get("env", {})}
        environ = {**plan.environ, **overriding}
        home = environ.get("CLAUDE_CONFIG_DIR") or f"{environ.get('HOME', '')}/.claude"
        if home not in transcripts:
            transcripts[home] = {path.stem for path in Path(home, "projects").glob("*/*.jsonl")}
        if follows not in transcripts[home]:
            raise SessionNotUsable(
                f"{spec.where}: its conversation {follows} is not in {home}/projects any more; "
                "retry begins a new one"
            )


# -- answers and frames ---------------------------------------------------------------------


def _keep_answer_types(plan: LaunchPlan, tasks: Sequence[RerunTask]) -> None:
    for spec, task in zip(plan.tasks, tasks, strict=True):
        answer_type = task.source.answer_types.get(task.ids[1])
        if answer_type is not None:
            plan.answer_types[spec.task_id] = answer_type


def _keep_frame(
    plan: LaunchPlan,
    tasks: Sequence[RerunTask],
    specs: Mapping[str, Mapping[str, Any]],
    frame: Any,
) -> None:
    """Gives the plan the frame that its tasks are about, if there is one."""
    factors = {name for spec in plan.tasks for name in spec.origin.get("factors", ())}
    if frame is not None:  # a table of results has a column per factor
        frame = frame.drop(columns=list(factors), errors="ignore")
    if frame is None or frame.columns.empty:
        frame = _original_rows(tasks, specs)
    if frame is None:
        return
    from cpr_nb.frames import frame_json, mapping

    if tasks[0].prompt is not None:  # a follow-up may ask for the same columns again
        names = mapping.answer_names(plan.options.get("schema"))
        frame = frame.drop(columns=names, errors="ignore")
    mapping.check_answers(frame, plan.schemas(), factors)
    plan.frame, plan.frame_json = frame, frame_json.encode(frame)


def _original_rows(tasks: Sequence[RerunTask], specs: Mapping[str, Mapping[str, Any]]) -> Any:
    """The rows of the sessions' frames that these tasks are about; None if one has no frame."""
    from cpr_nb.frames.frame_json import pick_rows

    frames = {task.source.root: task.source for task in tasks}
    by_root = {root: source.read_frame() for root, source in frames.items()}
    rows = []
    for task in tasks:
        frame = by_root[task.source.root]
        row = specs[task.source.root]["tasks"][task.task_index].get("row")
        if frame is None or not isinstance(row, int) or not 0 <= row < len(frame):
            return None
        rows.append((frame, row))
    return pick_rows(rows)
