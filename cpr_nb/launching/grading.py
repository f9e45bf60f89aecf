"""Plans a session that grades the answers of another one, by a rubric of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cpr_nb.launching.plan import LaunchPlan, plan_launch
from cpr_nb.launching.settings import ASKED
from cpr_nb.launching.start import StartedSession, start
from cpr_nb.model.errors import InputError, LaunchError
from cpr_nb.model.grader import (
    COLUMNS,
    GRADER_MODEL,
    MOST_RUBRIC_BYTES,
    SCHEMA,
    SCORE,
    grader_instructions,
    grader_prompt,
)
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.model.spec import TaskSpec
from cpr_nb.model.states import NO_NOTICE, NOTICES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    #: A session's id and a task's.
    Ids = tuple[str, str]

#: What a grader does without, whatever a file of settings says.
_WITHOUT: dict[str, Any] = {
    **{name: [] for name in ("tools", "allow", "deny", "add_dirs", "claude_args")},
    **{name: {} for name in ("agents", "mcp_servers", "settings")},
    **dict.fromkeys(("worktree", "ask", "share_process", "warm_start", "fail_on_denied"), False),
    **dict.fromkeys(ASKED),
}
#: What decides how a grader answers: nothing but the rubric and the model may.
_OURS = ("light", "schema", "system_prompt", "permissions", "model", *_WITHOUT)


#: Whoever launches tasks that are graded is told of their end, and not of that of their grades.
_SILENT = dict.fromkeys(NOTICES, NO_NOTICE)


class GraderPlace(NamedTuple):
    """Where graders run.

    Args:
        cwd: Their folder.
        results_dir: The results directory: that of the graded session.
        claude_path: The CLI; None finds it as a launch does.
        env: The variables that the graded session was given.
        environ: The environment that they inherit; None for that of this process.
    """

    cwd: str
    results_dir: str
    claude_path: str | None
    env: Mapping[str, str] | None = None
    environ: Mapping[str, str] | None = None


def reserved(options: Mapping[str, Any]) -> dict[str, Any]:
    """What graders leave of a usage window: as much as the tasks that they grade.

    Example:
        >>> reserved({"reserve": 0.3, "model": "opus"})
        {'reserve': 0.3}
    """
    return {name: options[name] for name in ("reserve",) if name in options}


def name_of(graded: str | None) -> str | None:
    """The name of a session that grades one with this name, or short id.

    Example:
        >>> name_of("docs"), name_of(None)
        ('grades of docs', None)
    """
    return f"grades of {graded}" if graded else None


def check_rubric(rubric: Any, where: str) -> str:
    """Checks a rubric.

    Args:
        rubric: What the user gave.
        where: What to call it in an error.

    Raises:
        InputError: If it is no text, is empty, or is too long.

    Example:
        >>> check_rubric("Is it polite?", "grade")
        'Is it polite?'
    """
    if not isinstance(rubric, str) or not rubric.strip():
        raise InputError(
            "must be a rubric: a text that says what a good answer is, such as "
            "'Is every claim backed by a line of the code?'",
            where,
        )
    size_bytes = len(rubric.encode("utf-8", "replace"))
    if size_bytes > MOST_RUBRIC_BYTES or "\0" in rubric:
        raise InputError(
            f"has {size_bytes} bytes, or a NUL character; a rubric may have {MOST_RUBRIC_BYTES} "
            "bytes of plain text",
            where,
        )
    return rubric


def plan_grade(plan: LaunchPlan, keywords: Mapping[str, Any]) -> None:
    """Adds to a launch that its answers are graded, each as soon as its task has ended.

    Args:
        plan: The launch.
        keywords: ``grade``, the rubric, and perhaps ``grade_model``.

    Raises:
        InputError: If one of them can't be right.
    """
    rubric = check_rubric(keywords["grade"], "grade")
    model = keywords.get("grade_model", GRADER_MODEL)
    if keywords.get("score", "grade") != "grade":
        raise InputError(
            "a session has one score: leave out grade= or score=, or grade later with s.grade()",
            "score",
        )
    _check_columns(plan)
    grading_id = new_uuid()
    plan.study["grade"] = {"rubric": rubric, "model": model, "session_id": grading_id}
    plan.study["score"] = SCORE
    graders = plan_graders(
        [("", task.task_id) for task in plan.tasks],
        rubric,
        model,
        place=GraderPlace(
            plan.options["cwd"],
            plan.results_dir,
            plan.claude_path,
            plan.options.get("env"),
            plan.environ if plan.own_environment else None,
        ),
        options={"name": name_of(plan.options.get("name")), **reserved(plan.options), **_SILENT},
    )

    def start_graders(session_id: str) -> None:
        try:
            start_grading(graders, session_id, grading_id)
        except LaunchError as error:
            raise LaunchError(
                f"session {session_id} runs, but the one that grades it did not come up: {error}; "
                f"cpr.attach({session_id[:8]!r}).grade() starts it"
            ) from error

    plan.on_start.append(start_graders)


def plan_graders(
    answers: Sequence[Ids],
    rubric: str,
    model: str,
    *,
    place: GraderPlace,
    regrade: bool = False,
    options: Mapping[str, Any] | None = None,
) -> LaunchPlan:
    """Checks a session that grades answers, without starting it.

    Args:
        answers: The session and the task of each answer; a session that is not there yet is "".
        rubric: The rubric.
        model: The model that grades.
        place: Where the graders run: as the graded session did.
        regrade: Whether these are second opinions, which do not replace the grades.
        options: Further options of a launch, such as ``max_parallel`` or ``budget_usd``.

    Raises:
        InputError: If an option can't be right.
    """
    for option in options or ():
        if option in _OURS:
            raise InputError(
                "can't be set for a grader, which sees the rubric and the answer only; the model "
                "is model= (grade_model= of a launch)",
                option,
            )
    plan = plan_launch(
        _tasks(answers),
        {
            **_WITHOUT,
            "env": place.env,
            "cwd": place.cwd,
            "results_dir": place.results_dir,
            "claude_path": place.claude_path,
            **(options or {}),
            "light": True,
            "permissions": "read",
            "model": model,
            "schema": SCHEMA,
            "system_prompt": grader_instructions(rubric),
        },
        environ=place.environ,
    )
    plan.study["grading"] = {"rubric": rubric, "model": model, "regrade": regrade}
    return plan


def start_grading(
    plan: LaunchPlan, session_id: str, grading_id: str | None = None
) -> StartedSession:
    """Starts a session that grades.

    Args:
        plan: The plan of `plan_graders`.
        session_id: The session whose answers are graded, where the plan does not say so.
        grading_id: Its own id, where another session knows it already.
    """
    for task in plan.tasks:
        graded = task.origin["grades"]
        graded["session_id"] = graded["session_id"] or session_id
        task.prompt = grader_prompt(graded["task_id"], graded["session_id"])
    graded_ids = [task.origin["grades"]["session_id"] for task in plan.tasks]
    plan.options.setdefault("name", name_of(session_id[:8]))
    plan.parent_session_id = ",".join(dict.fromkeys([session_id, *graded_ids]))
    return start(plan, grading_id)


def _tasks(answers: Sequence[Ids]) -> list[TaskSpec]:
    """One task for each answer, with the id of the task that gave it."""
    tasks, used = [], set[str]()
    for session_id, task_id in answers:
        own_id = task_id if task_id.casefold() not in used else new_uuid()
        used.add(own_id.casefold())
        task = TaskSpec(own_id, grader_prompt(task_id, session_id), {}, f"the grade of {task_id}")
        task.origin["grades"] = {"session_id": session_id, "task_id": task_id}
        tasks.append(task)
    return tasks


def _check_columns(plan: LaunchPlan) -> None:
    """Refuses a launch whose table would have two columns for scores."""
    schemas = [schema for schema in plan.schemas() if isinstance(schema, Mapping)]
    names = {name for schema in schemas for name in schema.get("properties", ())}
    if plan.frame is not None:
        names |= set(map(str, plan.frame.columns)) | set(map(str, plan.frame.index.names))
    for name in COLUMNS:
        if name in names:
            raise InputError(
                f"a graded table gets a column {name!r}, and there is one already: rename yours",
                "grade",
            )
