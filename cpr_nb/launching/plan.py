"""Plans a launch: everything is checked before anything is spent or created."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property

from cpr_nb.launching.cli_check import CheckedCli, check_cli, check_sandboxed_folders
from cpr_nb.launching.cli_settings import check_settings
from cpr_nb.launching.cli_start import check_start
from cpr_nb.launching.combinations import check_asking, check_combination
from cpr_nb.launching.machine import default_parallel
from cpr_nb.launching.setting_sources import limit_sources
from cpr_nb.launching.settings import merge_settings
from cpr_nb.launching.shared_tasks import check_sharing, mention_sharing
from cpr_nb.launching.worktree_base import find_checkouts
from cpr_nb.model import identity
from cpr_nb.model.cli_versions import show
from cpr_nb.model.credentials import API_KEY
from cpr_nb.model.destinations import NOTICE_OPTIONS
from cpr_nb.model.environment import clean_environment
from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import as_json, combinations, expand
from cpr_nb.model.option_values import check_options, unknown_option
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.prefix import prefix_tokens, unknown_tools
from cpr_nb.model.spec import TaskSpec, check_tasks
from cpr_nb.store import catalog
from cpr_nb.store.key import KEY_BYTES, own_key
from cpr_nb.store.paths import absolute_path
from cpr_nb.store.programs import find_claude

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.launching.cluster import ClusterPlan
    from cpr_nb.model.schemas.answer import Answer


class LaunchPlan:
    """A launch that has been checked, and has spent and created nothing yet.

    Args:
        tasks: The tasks.
        options: The session's options, checked, with the defaults filled in.
        results_dir: The absolute path of the results directory.
        claude_path: The absolute path of the CLI.
        environ: The environment that tasks inherit.
        parent_session_id: The ids of the sessions that this one reruns, separated by commas.
        own_environment: Whether ``environ`` is not that of this process. Such a session can't
            be retried, because that environment is lost.
        checkouts: Task id → branch and commit from which the task's branch begins.
        cli: What is known about the CLI.
        setup_warnings: What of the CLI's set-up is not as asked; the session's folder keeps it.
        user_only: The ids of the tasks for which the CLI reads the settings of the user only.
        warnings: What the user should know: what of the repository is not used, for they do not
            trust it, and which tasks share no process.
        cluster: The node agents that it asks for; None if its tasks run on this machine.

    Attributes:
        answer_types: Task id → the Python type of its answer, where a type was given. The
            session's folder keeps only the JSON schema.
        frame: The user's frame, one row per task, if there is one.
        frame_json: The same frame as JSON, as the session's folder keeps it.
        overriding: The options of a rerun that override the old ones; None if it is no rerun.
        reused: What session.json says of each row that does not run (see `reused_entry`).
        study: Further fields of session.json: rules that decide which tasks run, and what for.
        study_keywords: The keywords that asked for them, as JSON; part of the identity.
        launched_by: What session.json says of the agent, or the Claude, that launches it through
            ``cpr mcp``; None for a person.
        on_start: What follows once the session has started; called with its id.
        max_parallel: How many tasks may run at once; 0 for no limit.
        first_parallel: How many of them at first, if the number is to grow; else None.
        parents: Session id and task id of each task that is rerun.
        claude_version: The version of the CLI; None if it does not say.
        warnings: What the user should know before the launch. The command prints them, and the
            library passes them to `warnings.warn`.
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
        cli: CheckedCli | None = None,
        setup_warnings: list[str] | None = None,
        user_only: frozenset[str] = frozenset(),
        warnings: list[str] | None = None,
        cluster: ClusterPlan | None = None,
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
        self.frame_json: dict[str, Any] | None = None
        self.overriding: Mapping[str, Any] | None = None
        self.reused: list[dict[str, Any]] = []
        self.study: dict[str, Any] = {}
        self.study_keywords: dict[str, Any] = {}
        self.launched_by: dict[str, Any] | None = None
        self.on_start: list[Callable[[str], None]] = []
        self.parents: list[tuple[str, str]] = []
        self.answer_types = _answer_types(options, tasks)
        self.login_wait_s: float | None = options.get("login_wait_s")
        self.machine_wait_s: float | None = options.get("machine_wait_s")
        self.claude_version = show(cli.version) if cli and cli.version else None
        self.setup_warnings = setup_warnings or []
        self.user_only = user_only
        self.cluster = cluster
        self.warnings: list[str] = list(warnings or ())
        self.warnings += [*(cli.warnings if cli else ()), *self.setup_warnings]
        self.warnings += _tool_warnings([options, *(task.options for task in tasks)])
        self.warnings += _budget_warnings(options, tasks)
        if "reserve" in options and self.has_key():
            del options["reserve"]
            self.warnings.append("reserve: an API key has no usage window, so nothing waits for it")
        self._choose_parallel()

    @property
    def is_map(self) -> bool:
        """Whether its tasks are the rows of a frame, run for the first time and each on its own."""
        return self.frame_json is not None and self.overriding is None and not self.study_keywords

    @property
    def light_columns(self) -> list[str]:
        """The column that its table of results gets if one of its tasks is light."""
        light = self.options.get("light")
        return ["light"] if any(task.options.get("light", light) for task in self.tasks) else []

    def has_key(self, task: TaskSpec | None = None) -> bool:
        """Whether a key of the API is in the environment of a task, or of all."""
        own = task.options.get("env", {}) if task else {}
        return bool({**self.environ, **self.options.get("env", {}), **own}.get(API_KEY))

    @cached_property
    def identity(self) -> str:
        """The hash that two launches share if they ask for the same."""
        if self.overriding is not None:
            return identity.of_request(self.overriding, self._salt)
        own = self.identity_of(self.tasks)
        return identity.of_study(own, self.study_keywords) if self.study_keywords else own

    def identity_of(self, tasks: list[TaskSpec]) -> str:
        """The hash of these tasks with the options and the environment of this plan."""
        return identity.of_tasks(tasks, self.options, self.environ, self._salt)

    @cached_property
    def task_identities(self) -> dict[str, str]:
        """Task id → the hash that two tasks share if they ask for the same."""
        each = identity.of_each_task(self.tasks, self.options, self.environ, self._salt)
        return {task.task_id: one for task, one in zip(self.tasks, each, strict=True)}

    @cached_property
    def _salt(self) -> bytes:
        """The user's key. Without one, no session is known as theirs, so nothing is the same."""
        return own_key() or os.urandom(KEY_BYTES)

    def leave_out(self, task_ids: Collection[str]) -> None:
        """Leaves out tasks that need not run."""
        self.tasks = [task for task in self.tasks if task.task_id not in task_ids]
        self.user_only -= set(task_ids)
        self._choose_parallel()

    def _choose_parallel(self) -> None:
        self.max_parallel: int = self.options.get("max_parallel", 0)
        self.first_parallel: int | None = None
        if "max_parallel" in self.options or self.cluster is not None:
            return  # the slots of the nodes are a limit of their own
        grows = not self.options.get("share_process")
        default = default_parallel(len(self.tasks), grows=grows)
        self.max_parallel = default.most
        if default.first < default.most:
            self.first_parallel = default.first

    def schemas(self) -> list[Any]:
        """The JSON schema of each task's answer; None for a text."""
        default = self.options.get("schema")
        return [task.options.get("schema", default) for task in self.tasks]


def plan_launch(
    prompts: Iterable[Any],
    options: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    parent_session_id: str | None = None,
) -> LaunchPlan:
    """Checks a launch without spending or creating anything.

    Args:
        prompts: Texts, mappings or `TaskSpec` objects.
        options: The options of `cpr_nb.launch`.
        environ: The environment that tasks inherit; default: that of this process.
        parent_session_id: The ids of the sessions that this one reruns, separated by commas.

    Returns:
        The plan; `cpr_nb.launching.start.start` starts it.

    Raises:
        InputError: If a prompt or an option can't be right.
        ClaudeNotFound: If there is no CLI.
    """
    inherited = clean_environment(os.environ if environ is None else environ)
    settings = merge_settings(options)
    tasks = _task_specs(prompts)
    checked = check_options(settings.options)
    _resolve_folders(checked, tasks)
    for task in tasks:
        own_environ = {**inherited, **checked.get("env", {}), **task.options.get("env", {})}
        check_combination({**checked, **task.options}, own_environ, task.where)
    check_asking(checked)
    notice_hints = _notices(checked, inherited)
    own_processes = check_sharing(checked, tasks)
    claude_path = find_claude(settings.locations.get("claude_path"), inherited)
    checkouts = find_checkouts(checked, tasks)
    cli = check_cli(claude_path, inherited, checked, tasks)
    check_start(claude_path, cli.version, inherited, checked, tasks)
    hints = mention_sharing(checked, tasks, claude_path, inherited)
    results_dir = catalog.new_session_dir(settings.locations.get("results_dir"), os.environ)
    check_sandboxed_folders(cli.version, results_dir, checked, tasks)
    sources = limit_sources(tasks, checked, inherited, checkouts, cli.version)
    return LaunchPlan(
        tasks,
        checked,
        results_dir,
        claude_path,
        inherited,
        parent_session_id,
        own_environment=environ is not None,
        checkouts=checkouts,
        cli=cli,
        setup_warnings=check_settings(tasks, checked, inherited),
        user_only=sources.user_only,
        warnings=[*settings.warnings, *sources.warnings, *own_processes, *hints, *notice_hints],
        cluster=_cluster(checked, tasks),
    )


def plan_variants(
    prompts: Any, vary: Mapping[str, Any] | None, repeats: int, options: Mapping[str, Any]
) -> LaunchPlan:
    """Checks a launch in which each prompt runs once for every combination of factors.

    Args:
        prompts: As for `plan_launch`.
        vary: Option → its levels.
        repeats: How often each combination runs.
        options: The options of `cpr_nb.launch`.

    Returns:
        The plan.

    Raises:
        InputError: If a prompt, an option or a factor can't be right.
        ClaudeNotFound: If there is no CLI.
    """
    factors = combinations(vary, repeats, options)
    for name in vary or ():
        if name not in OPTIONS:
            raise unknown_option(name, "vary", per_task=True)
    if factors == [{}]:
        return plan_launch(prompts, options)
    tasks = check_tasks(expand(_prompt_list(prompts), factors))
    for number, task in enumerate(tasks):
        task.origin["factors"] = as_json(factors[number % len(factors)])
    return plan_launch(tasks, options)


def dry_rows(plan: LaunchPlan) -> list[dict[str, Any]]:
    """What would run: one dictionary per task, without the values of environment variables.

    ``prefix_tokens`` is the estimate of what the task pays before its own prompt.
    """
    rows = []
    for number, task in enumerate(plan.tasks, 1):
        options = {**plan.options, **task.options}
        has_key = plan.has_key(task)
        options["env"] = sorted({**plan.options.get("env", {}), **task.options.get("env", {})})
        if not options["env"]:
            del options["env"]
        row = {"task_num": number, "task_id": task.task_id, "prompt": task.prompt, **options}
        rows.append({**row, "prefix_tokens": prefix_tokens(options, has_key=has_key)})
    return rows


def _tool_warnings(every: Iterable[Mapping[str, Any]]) -> list[str]:
    """Warnings of misspelled tools: the CLI leaves them out without a word."""
    unknown = (name for options in every for name in unknown_tools(options.get("tools", ())))
    return [
        f"tools: no CLI that this cpr knows has the tool {name}; a CLI without it leaves it out"
        for name in dict.fromkeys(unknown)
    ]


def _budget_warnings(options: Mapping[str, Any], tasks: Iterable[TaskSpec]) -> list[str]:
    """What the session's budget does not bound."""
    budget_usd, task_list = options.get("budget_usd"), list(tasks)
    n_open = sum("task_budget_usd" not in {**options, **task.options} for task in task_list)
    if budget_usd is None or not n_open:
        return []
    whose = "a task costs" if n_open == len(task_list) else f"{n_open} of the tasks cost"
    return [
        f"budget_usd: no task_budget_usd bounds what {whose}. So few run at "
        "once until it is known what they cost, and those that run then may cost more than "
        f"USD {budget_usd:g}"
    ]


def _answer_types(options: Mapping[str, Any], tasks: Iterable[TaskSpec]) -> dict[str, Answer]:
    schemas = {t.task_id: t.options.get("schema", options.get("schema")) for t in tasks}
    if not any(schemas.values()):
        return {}
    from cpr_nb.model.schemas.answer import Answer

    return {i: s for i, s in schemas.items() if isinstance(s, Answer) and s.is_typed}


def _notices(options: dict[str, Any], environ: dict[str, str]) -> list[str]:
    """Prepares the notices that the options ask for; a plain launch does without the module."""
    if options.keys().isdisjoint(NOTICE_OPTIONS):
        return []
    from cpr_nb.launching.notice_options import plan_notices

    return plan_notices(options, environ)


def _cluster(options: dict[str, Any], tasks: list[TaskSpec]) -> ClusterPlan | None:
    """The node agents that the options ask for; a plain launch does without the module."""
    if not options.keys() & {"executor", "nodes", "slots", "lease_s"}:
        return None
    from cpr_nb.launching.cluster import check_tasks_of_nodes, plan_cluster

    cluster = plan_cluster(options)
    if cluster is not None:
        check_tasks_of_nodes(options, tasks)
    return cluster


def _prompt_list(prompts: Any) -> list[Any]:
    if isinstance(prompts, str | bytes | Mapping) or not isinstance(prompts, Iterable):
        raise InputError("must be a list with one text, or one mapping, per task", "prompts")
    return list(prompts)


def _task_specs(prompts: Any) -> list[TaskSpec]:
    elements = _prompt_list(prompts)
    if elements and all(isinstance(element, TaskSpec) for element in elements):
        return elements
    return check_tasks(elements)


def _resolve_folders(options: dict[str, Any], tasks: Iterable[TaskSpec]) -> None:
    """Makes the folders of the session's and the tasks' options absolute."""
    options["cwd"] = _existing_folder(options.get("cwd", "."), "cwd")
    for task in tasks:
        if "cwd" in task.options:
            task.options["cwd"] = _existing_folder(task.options["cwd"], f"{task.where}.cwd")
    for own, where in [(options, ""), *((task.options, f"{task.where}.") for task in tasks)]:
        if "add_dirs" in own:
            folders = [_existing_folder(folder, f"{where}add_dirs") for folder in own["add_dirs"]]
            own["add_dirs"] = folders
    if "worktree_dir" in options:
        options["worktree_dir"] = absolute_path(options["worktree_dir"])


def _existing_folder(folder: str, where: str) -> str:
    path = absolute_path(folder)
    if not os.path.isdir(path):
        raise InputError(f"there is no folder {path}", where)
    return path
