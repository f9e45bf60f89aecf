"""The tasks of a rerun: where each comes from, and what it does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.launching.plan import LaunchPlan
from cpr_nb.launching.stored import stored_values
from cpr_nb.model import states
from cpr_nb.model.cli_versions import ELSEWHERE_SINCE, parse_version, show
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.model.factors import as_json
from cpr_nb.model.identity import of_words
from cpr_nb.model.record import task_state
from cpr_nb.model.spec import TaskSpec, check_prompt
from cpr_nb.store.conversation import begins_with_prompt

if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot

#: The CLI shortens the names of folders that are longer.
_LONGEST_NAME = 180


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
        """The session's folder, which distinguishes sources."""
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
    def fields(self) -> dict[str, Any]:
        """What status.json says about the task."""
        return (self.source.snapshot.tasks or [])[self.task_index]

    @property
    def ids(self) -> tuple[str, str]:
        """The session's id and the task's."""
        return self.source.snapshot.session_id, str(self.fields.get("transaction_id", ""))


def rerun_specs(
    tasks: Sequence[RerunTask],
    specs: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, Mapping[str, Any]],
    overriding: Mapping[str, Any],
) -> list[TaskSpec]:
    """The tasks of the new session.

    Args:
        tasks: What is rerun.
        specs: Session folder → what its session.json says.
        own: Session folder → the options that its tasks keep for themselves.
        overriding: Options that override the old ones.

    Raises:
        SessionNotUsable: If a task has not ended, or has no conversation to continue.
        InputError: If a prompt can't be right, or a value of ``env`` is missing.
    """
    task_specs = []
    used_ids: set[str] = set()
    for row, task in enumerate(tasks):
        stored = specs[task.source.root]["tasks"][task.task_index]
        options = {**own[task.source.root], **_task_options(stored, overriding)}
        task_spec = _task_spec(task, stored, options, overriding)
        if "follows" in task_spec.origin:
            before = {**specs[task.source.root]["options"], **stored.get("options", {})}
            _check_system_prompt(overriding, before)
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
    if task_state(task.fields)[0] != states.ENDED:
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
        kept = ("follows", "follows_stream")
        spec.origin |= {name: stored[name] for name in kept if name in stored}
    return spec


def _follow_up(spec: TaskSpec, task: RerunTask, prompt: str) -> None:
    """Lets a task continue the conversation of its parent."""
    conversation_id = task.fields.get("conversation_id")
    if not conversation_id:
        session_id, task_id = task.ids
        raise SessionNotUsable(
            f"task {task_id} of {session_id} has no conversation to continue: it "
            f"{task_state(task.fields)[1]} ({task.fields.get('reason', 'unknown')})"
        )
    spec.prompt = check_prompt(prompt, f"{spec.where}: the follow-up's prompt")
    words = of_words(prompt if task.template is None else task.template)
    stream = task.source.snapshot.paths.newest_stream(task.fields)
    spec.origin |= {
        "follows": str(conversation_id),
        "follows_stream": stream,
        "is_follow_up": True,
        "said": words,
    }


def _check_system_prompt(overriding: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Refuses another system prompt for a conversation: the CLI drops it without a word."""
    wanted = overriding.get("system_prompt")
    if wanted is not None and wanted != before.get("system_prompt"):
        raise InputError(
            "a conversation keeps the system prompt that it began with (Claude Code ignores "
            "another one): say it in the prompt of the follow-up, or launch a new session",
            "system_prompt",
        )


def _free_id(task_id: str, used_ids: set[str]) -> str:
    """The id, or with a number if another task of the new session has it."""
    free, number = task_id, 1
    while free.casefold() in used_ids:
        number += 1
        free = f"{task_id}-{number}"
    used_ids.add(free.casefold())
    return free


def check_conversations(plan: LaunchPlan) -> None:
    """Refuses to continue a conversation whose transcript the CLI no longer has, or not whole.

    Raises:
        SessionNotUsable: If there is such a conversation.
    """
    transcripts: dict[str, dict[str, str]] = {}  # the CLI's folder → conversation → its folder
    for spec in plan.tasks:
        follows = spec.origin.get("follows")
        if follows is None:
            continue
        overriding = {**plan.options.get("env", {}), **spec.options.get("env", {})}
        environ = {**plan.environ, **overriding}
        home = environ.get("CLAUDE_CONFIG_DIR") or f"{environ.get('HOME', '')}/.claude"
        if home not in transcripts:
            paths = Path(home, "projects").glob("*/*.jsonl")
            transcripts[home] = {path.stem: path.parent.name for path in paths}
        if follows not in transcripts[home]:
            raise SessionNotUsable(
                f"{spec.where}: its conversation {follows} is no longer in {home}/projects; "
                "retry begins a new one"
            )
        began_in = transcripts[home][follows]
        if not begins_with_prompt(Path(home, "projects", began_in, f"{follows}.jsonl")):
            raise SessionNotUsable(
                f"{spec.where}: its conversation {follows} has lost its beginning (Claude Code has "
                "not saved it), so it would not know its task; retry begins a new one"
            )
        _check_folder(plan, spec, began_in)


def _check_folder(plan: LaunchPlan, spec: TaskSpec, began_in: str) -> None:
    """Refuses to continue a conversation in another folder, where the CLI is too old for that."""
    version = parse_version(plan.claude_version)
    options = {**plan.options, **spec.options}
    if version is None or version >= ELSEWHERE_SINCE or options.get("worktree"):
        return
    folder = re.sub("[^A-Za-z0-9]", "-", os.path.realpath(options["cwd"]))
    if folder != began_in and len(folder) < _LONGEST_NAME:
        raise SessionNotUsable(
            f"{spec.where}: its conversation began in another folder than {options['cwd']}, and to "
            f"continue it here needs Claude Code {show(ELSEWHERE_SINCE)} or newer; "
            f"{plan.claude_path} is {plan.claude_version}"
        )
