"""``cpr diff``: what tasks changed, and comments on it that become a follow-up."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from cpr_nb.cli.commands.run import add_wait_options, start
from cpr_nb.cli.common import note, open_session, print_file, print_json, print_lines
from cpr_nb.cli.options import add_json, add_launch_options, add_session, launch_options
from cpr_nb.cli.render import program
from cpr_nb.cli.study_options import Launch
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model import states
from cpr_nb.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.display.patch_lines import PatchLine
    from cpr_nb.handles.session import Session
    from cpr_nb.handles.task import Task
    from cpr_nb.launching.review_comments import Comment

#: What status.json says about a task's changes, for ``--json``.
_FIGURES = ("branch", "base_commit", "n_files_changed", "lines_added", "lines_deleted")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = (
        "examples:\n"
        "  cpr diff 3f2a --task 3                                 in colours, with line numbers\n"
        "  cpr diff 3f2a --task 3 | git apply                     as a patch\n"
        "  cpr diff 3f2a --task 3 --comment 'app.py:12:Why twice?' --wait\n"
        "  cpr diff 3f2a --task 3 --edit                          comments, in your editor"
    )
    add_session(parser)
    parser.add_argument(
        "--task",
        metavar="TASK",
        help="the task, by number or id (default: the only one that changed something; else all of "
        "them are listed)",
    )
    parser.add_argument(
        "--comment",
        metavar="FILE:LINE:TEXT",
        action="append",
        default=[],
        help="say something to the agent about a line, as a follow-up on its branch; LINE is the "
        "number that the diff shows (-LINE: a removed line); may be repeated",
    )
    parser.add_argument(
        "--edit",
        action="store_true",
        help="write the comments into the diff with your editor (VISUAL, EDITOR)",
    )
    add_json(parser)
    group: Any = parser.add_argument_group("options of the follow-up that comments start")
    add_wait_options(group)
    add_launch_options(group)


def run(args: argparse.Namespace) -> int:
    """Shows what a task changed, or starts a follow-up with comments on it."""
    if args.comment or args.edit:
        return _comment(args)
    session = open_session(args)
    tasks = chosen_tasks(session, args.task)
    _refuse_launch_options(args)
    if args.json:
        print_json([_task_json(task) for task in tasks])
    elif len(tasks) > 1:
        print_lines(_list_lines(session, tasks))
    elif not tasks:
        note("no task has changed anything in a worktree of its own")
    elif not tasks[0].diff():
        note(_why_nothing(tasks[0]))
    else:
        _show(tasks[0])
    return 0


def chosen_tasks(session: Session, task_name: str | None) -> list[Task]:
    """Returns the task that is named, or all that changed something."""
    if task_name is not None:
        return [session.task(task_name)]
    return [task for task in session if os.path.exists(session.paths.patch(task.id))]


def _refuse_launch_options(args: argparse.Namespace) -> None:
    given = [name for name in launch_options(args) if name != "results_dir"]
    flags = [name for name in ("wait", "dry_run", "fresh", "reuse") if getattr(args, name)]
    for name in (*given, *flags):
        flag = f"--{name.replace('_', '-')}"
        raise InputError(f"{flag} is for a follow-up: add --comment or --edit", "diff")


# -- showing --------------------------------------------------------------------------------


def _show(task: Task) -> None:
    """Prints the patch: unchanged for a program, with colours and a pager for a person."""
    diff = task.diff()
    if not sys.stdout.isatty():
        print_file(diff.path)
        return
    from cpr_nb.cli.patch_view import patch_rows, show_in_pager
    from cpr_nb.display.patch_lines import PatchLine, patch_lines

    lines = [PatchLine(text, "") for text in diff.patch.split("\n")]
    with contextlib.suppress(InputError):  # a foreign folder may hold anything
        lines = patch_lines(diff.patch)
    is_coloured = "NO_COLOR" not in os.environ
    show_in_pager("\n".join([*patch_rows(lines, is_coloured=is_coloured), ""]))


def _why_nothing(task: Task) -> str:
    if task.state != states.ENDED:
        return f"task {task.num} has not ended: what it changes is stored when it has"
    if not task.fields.get("base_commit"):
        return f"task {task.num} has no branch of its own: launch with --worktree"
    return f"task {task.num} changed nothing"


def _list_lines(session: Session, tasks: Sequence[Task]) -> list[str]:
    from cpr_nb.cli.session_summary import changed_text

    lines = [
        f"{task.num:>4}  {task.fields.get('branch') or task.id}   {changed_text(task.fields)}"
        for task in tasks
    ]
    return [*lines, "To see one:", f"  {program()} diff {session.snapshot.short_id} --task N"]


def _task_json(task: Task) -> dict[str, Any]:
    """What one task changed, for a program."""
    figures = {name: task.fields.get(name) for name in _FIGURES}
    patch = task.diff().patch or None
    return {"task_id": task.id, "task_num": task.num, **figures, "patch": patch}


# -- comments -------------------------------------------------------------------------------


def _comment(args: argparse.Namespace) -> int:
    """Starts a follow-up of what the reviewer says about one task's changes."""
    if not args.edit:
        return start(plan(args), args)
    from cpr_nb.cli.editing import edited_comments

    task, lines, comments = _commented(args)
    with edited_comments(lines, f"{task.session.snapshot.short_id}-{task.num}") as written:
        return start(_plan(task, [*comments, *written], args), args)


def plan(args: argparse.Namespace) -> Launch:
    """Plans the follow-up that the comments of the arguments ask for, without spending anything."""
    task, _, comments = _commented(args)
    return _plan(task, comments, args)


def _commented(args: argparse.Namespace) -> tuple[Task, list[PatchLine], list[Comment]]:
    """The task, the lines of its patch, and what the arguments say about them."""
    tasks = chosen_tasks(open_session(args), args.task)
    if len(tasks) != 1:
        numbers = ", ".join(str(task.num) for task in tasks) or "none"
        raise InputError(f"name the task (--task); changed something: {numbers}", "diff")
    (task,) = tasks
    if not task.diff():
        raise InputError(_why_nothing(task), "diff")
    from cpr_nb.launching.review_comments import parse_comments

    lines = task.patch_lines()
    return task, lines, parse_comments(args.comment, lines)


def _plan(task: Task, comments: Sequence[Comment], args: argparse.Namespace) -> Launch:
    from cpr_nb.launching.rerun import plan_rerun
    from cpr_nb.launching.review_comments import review_prompt

    again = task.to_rerun(review_prompt(comments))
    return Launch(with_trust(lambda: plan_rerun([again], launch_options(args))))
