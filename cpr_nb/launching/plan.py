"""Starting a session: everything is checked first, then it is durable, then it runs."""

from __future__ import annotations

import os
import time
import uuid
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from cpr_nb.executors.local import LocalExecutor
from cpr_nb.handles.session import Session
from cpr_nb.launching.machine import check_permissions, default_parallel, find_claude
from cpr_nb.launching.worktree_base import find_checkouts
from cpr_nb.model.errors import InputError, LaunchError
from cpr_nb.model.factors import as_json, combinations, expand
from cpr_nb.model.identity import of_tasks
from cpr_nb.model.inputs import slash_warnings
from cpr_nb.model.option_values import check_options, unknown_option
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.spec import TaskSpec, check_tasks
from cpr_nb.runner.command import clean_environment
from cpr_nb.runner.recorder import first_head
from cpr_nb.store import catalog
from cpr_nb.store.write import create_session, remove_session, utc_iso

if TYPE_CHECKING:
    from cpr_nb.model.schemas.answer import Answer

#: Keywords of `launch` beside the options of sessions.
PLACES = ("results_dir", "claude_path")
#: What ``[tool.cpr]`` may not set, and the permission that it may not give.
NOT_FROM_A_REPOSITORY = ("claude_path", "claude_args", "env", "all")


class LaunchPlan:
    """A launch that has been checked, and has spent and created nothing yet.

    Args:
        tasks: The tasks.
        options: The session's options, checked, with the defaults filled in.
        results_dir: Where the session goes, absolute.
        claude_path: The CLI, absolute.
        environ: The environment that tasks inherit.
        parent_session_id: The sessions that this one goes on from, separated by commas.
        own_environment: Whether ``environ`` is not that of this process; such a session can't
            be retried, for nobody has that environment any more.
        checkouts: Where the branches of tasks with a worktree begin.

    Attributes:
        answer_types: The Python types of the answers, by task id, as far as types were given:
            the session's folder keeps only their JSON schemas.
        frame: The user's frame whose rows the tasks are about, if there is one.
        kept_frame: The same as JSON, to be kept in the session's folder.
        identity: What a launch of the same is known by.
        goes_on_from: Session and task of each that it repeats or follows up.
    """

    def __init__(
        self,
        tasks: list[TaskSpec],
        options: dict[str, Any],
        results_dir: str,
        claude_path: str,
        environ: dict[str, str],
        parent_session_id: str | None,
        *,
        own_environment: bool = False,
        checkouts: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.tasks = tasks
        self.options = options
        self.results_dir = results_dir
        self.claude_path = claude_path
        self.environ = environ
        self.parent_session_id = parent_session_id
        self.own_environment = own_environment
        self.checkouts = checkouts or {}
        self.frame: Any = None
        self.kept_frame: dict[str, Any] | None = None
        self.identity = of_tasks(tasks, options)
        self.goes_on_from: list[tuple[str, str]] = []
        self.answer_types = _answer_types(options, tasks)
        self.max_parallel: int = options.get("max_parallel", 0)
        if "max_parallel" not in options:
            self.max_parallel = default_parallel(len(tasks))

    def schemas(self) -> list[Any]:
        """The JSON schema of each task's answer; None for a text."""
        own = self.options.get("schema")
        return [task.options.get("schema", own) for task in self.tasks]

    def start(self) -> Session:
        """Creates the session's folder and starts its runner.

        Returns:
            The session; its runner is up.

        Raises:
            ResultsDirError: If the results directory can't be written.
            LaunchError: If the runner does not come up; no session is left behind.
        """
        executor = LocalExecutor()
        session_id = str(uuid.uuid4())
        asked = self._asked(session_id, executor.name)
        tasks = [self._task_object(task) for task in self.tasks]
        paths, lock_fd = create_session(
            self.results_dir,
            session_id,
            asked,
            tasks,
            first_head(asked, len(tasks)),
            self.kept_frame,
        )
        environ = {**self.environ, **self.options.get("env", {})}
        task_env = {t.task_id: t.options["env"] for t in self.tasks if "env" in t.options}
        try:
            executor.start(paths, lock_fd, environ, task_env)
        except LaunchError:
            remove_session(paths)
            raise
        finally:
            os.close(lock_fd)
        session = Session(paths.root)
        session.frame = self.frame
        session.answer_types = self.answer_types
        return session

    def _asked(self, session_id: str, executor: str) -> dict[str, Any]:
        now = time.time()
        options = {k: v for k, v in self.options.items() if k not in ("env", "name", "cwd")}
        return {
            "session_id": session_id,
            "name": self.options.get("name"),
            "created_at": utc_iso(now),
            "start_time": int(now),
            "cwd": self.options["cwd"],
            "options": options,
            "env_names": sorted(self.options.get("env", {})),
            "own_environment": self.own_environment,
            "max_parallel": self.max_parallel,
            "claude_path": self.claude_path,
            "executor": executor,
            "parent_session_id": self.parent_session_id,
            "identity": self.identity,
        }

    def _task_object(self, task: TaskSpec) -> dict[str, Any]:
        options = {k: v for k, v in task.options.items() if k != "env"}
        thing: dict[str, Any] = {"id": task.task_id, "prompt": task.prompt, "options": options}
        thing |= task.origin
        if "env" in task.options:
            thing["env_names"] = sorted(task.options["env"])
        if task.task_id in self.checkouts:
            thing["checkout"] = self.checkouts[task.task_id]
        return thing


def plan(
    prompts: Iterable[Any],
    options: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    parent_session_id: str | None = None,
) -> LaunchPlan:
    """Checks a launch without spending or creating anything.

    Args:
        prompts: Texts, mappings or `TaskSpec` objects.
        options: The options of `launch`.
        environ: The environment that tasks inherit; default: that of this process.
        parent_session_id: The sessions that this one goes on from, separated by commas.

    Returns:
        The plan; `LaunchPlan.start` starts it.

    Raises:
        InputError: If anything in it can't be right.
        ClaudeNotFound: If there is no CLI.
    """
    inherited = clean_environment(os.environ if environ is None else environ)
    places, given = _merge_settings(options)
    tasks = _tasks(prompts)
    checked = check_options(given)
    checked["cwd"] = _folder(checked.get("cwd", "."), "cwd")
    for task in tasks:
        if "cwd" in task.options:
            task.options["cwd"] = _folder(task.options["cwd"], f"{task.where}.cwd")
        mode = task.options.get("permissions", checked.get("permissions", "edits"))
        task_environ = {**inherited, **checked.get("env", {}), **task.options.get("env", {})}
        check_permissions(mode, task_environ, f"{task.where}: permissions={mode}")
    _check_claude_args(checked, tasks)
    if "worktree_dir" in checked:
        checked["worktree_dir"] = str(Path(checked["worktree_dir"]).expanduser().absolute())
    return LaunchPlan(
        tasks,
        checked,
        catalog.results_dir(places.get("results_dir"), os.environ),
        find_claude(places.get("claude_path"), inherited),
        inherited,
        parent_session_id,
        own_environment=environ is not None,
        checkouts=find_checkouts(checked, tasks),
    )


@overload
def launch(
    prompts: Iterable[Any],
    *,
    vary: Mapping[str, Any] | None = ...,
    repeats: int = ...,
    dry_run: Literal[False] = False,
    **options: Any,
) -> Session: ...


@overload
def launch(
    prompts: Iterable[Any],
    *,
    vary: Mapping[str, Any] | None = ...,
    repeats: int = ...,
    dry_run: Literal[True],
    **options: Any,
) -> list[dict[str, Any]]: ...


def launch(
    prompts: Iterable[Any],
    *,
    vary: Mapping[str, Any] | None = None,
    repeats: int = 1,
    dry_run: bool = False,
    **options: Any,
) -> Session | list[dict[str, Any]]:
    """Starts tasks in parallel and returns at once; they outlive this process.

    Everything is checked before anything is spent. When it returns, the session's folder is
    on the disk and its runner is up.

    Args:
        prompts: One text a task, or a mapping with ``prompt`` and perhaps ``id`` and a task's
            own options.
        vary: Option → its levels, such as ``{"model": ["sonnet", "opus"]}``: each prompt is
            there for every combination.
        repeats: How often each of them is there.
        dry_run: Check everything, start nothing, and return what would run.
        **options: ``reuse=True`` attaches to the newest session that was asked the same, whatever
            became of it, and says so (so it is by default once the notebook's extension is
            loaded; ``fresh=True`` runs it again); ``results_dir``, ``claude_path`` and every
            option of `cpr_nb.model.options.OPTIONS`, such as ``max_parallel``, ``model``,
            ``permissions``, ``allow``, ``schema``, ``timeout_s``, ``budget_usd``, ``name``.
            ``schema`` is a JSON schema or a Python type: docs/schemas.md.

    Returns:
        The `Session`; with ``dry_run`` a list with one dictionary a task.

    Raises:
        InputError: If a prompt or an option can't be right.
        ClaudeNotFound: If there is no Claude Code CLI.
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.launch(["say hello"], dry_run=True, claude_path="sh")[0]["prompt"]
        'say hello'
    """
    from cpr_nb.launching import reuse as reusing

    reuse = reusing.take(options)
    factors = combinations(vary, repeats, options)
    strange = [name for name in vary or () if name not in OPTIONS]
    if strange:
        raise unknown_option(strange[0], "vary", per_task=True)
    planned = plan(_varied(prompts, factors), options)
    for warning in slash_warnings(planned.tasks):
        warnings.warn(warning, stacklevel=2)
    if dry_run:
        return dry_rows(planned)
    return reusing.start(planned, reuse=reuse)


def _varied(prompts: Any, factors: list[dict[str, Any]]) -> Any:
    """The tasks for each combination of factors; the prompts as they are if nothing varies."""
    if factors == [{}]:
        return prompts
    tasks = check_tasks(expand(_elements(prompts), factors))
    for number, task in enumerate(tasks):
        task.origin["factors"] = as_json(factors[number % len(factors)])
    return tasks


def dry_rows(planned: LaunchPlan) -> list[dict[str, Any]]:
    """What would run: one dictionary a task, environment values left out."""
    rows = []
    for number, task in enumerate(planned.tasks, 1):
        options = {**planned.options, **task.options}
        options["env"] = sorted({**planned.options.get("env", {}), **task.options.get("env", {})})
        if not options["env"]:
            del options["env"]
        rows.append({"task_num": number, "task_id": task.task_id, "prompt": task.prompt, **options})
    return rows


def _answer_types(options: Mapping[str, Any], tasks: Iterable[TaskSpec]) -> dict[str, Answer]:
    schemas = {t.task_id: t.options.get("schema", options.get("schema")) for t in tasks}
    if not any(schemas.values()):
        return {}
    from cpr_nb.model.schemas.answer import Answer

    return {i: s for i, s in schemas.items() if isinstance(s, Answer) and s.is_typed}


def _elements(prompts: Any) -> list[Any]:
    if isinstance(prompts, str | bytes | Mapping) or not isinstance(prompts, Iterable):
        raise InputError("must be a list: one text, or one mapping, a task", "prompts")
    return list(prompts)


def _tasks(prompts: Any) -> list[TaskSpec]:
    elements = _elements(prompts)
    if elements and all(isinstance(element, TaskSpec) for element in elements):
        return elements
    return check_tasks(elements)


def _merge_settings(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Puts ``[tool.cpr]`` below what was given, and parts the places from the options."""
    settings = catalog.settings(str(Path.cwd()))
    where = "pyproject.toml [tool.cpr]"
    for name in NOT_FROM_A_REPOSITORY:
        if name in settings or settings.get("permissions") == name:
            raise InputError(
                "may not stand here: whoever wrote this repository could run anything with it; "
                "give it on the command line",
                f"{where}.{name}",
            )
    known = {name: value for name, value in settings.items() if name != "results_dir"}
    check_options(known, where)
    given = {name: value for name, value in options.items() if value is not None}
    merged = {**settings, **given}
    if "results_dir" in settings and "results_dir" not in given and "CPR_RESULTS_DIR" in os.environ:
        del merged["results_dir"]  # the environment goes before the file
    places = {name: merged.pop(name) for name in PLACES if name in merged}
    return places, merged


def _folder(folder: str, where: str) -> str:
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise InputError(f"there is no folder {path}", where)
    return str(path)


def _check_claude_args(checked: Mapping[str, Any], tasks: Iterable[TaskSpec]) -> None:
    for task in tasks:
        options = {**checked, **task.options}
        flags = {arg.split("=", 1)[0] for arg in options.get("claude_args", ())}
        if options.get("permissions") == "sandbox" and "--settings" in flags:
            raise InputError(
                "--settings would undo the settings of permissions=sandbox "
                "(the CLI takes the last one only)",
                f"{task.where}: claude_args",
            )
