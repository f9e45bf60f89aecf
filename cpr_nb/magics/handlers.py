"""What each sub-command returns in a notebook: an object, or the text that it prints."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cpr_nb.cli import common
from cpr_nb.cli.commands import results, run
from cpr_nb.cli.main import command_module
from cpr_nb.magics.prompts import read_cell
from cpr_nb.model.text import visible_line

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

    from cpr_nb.cli.study_options import Launch
    from cpr_nb.handles.session import Session
    from cpr_nb.model.inputs import Prompts


class Text(str):
    """A text that a notebook shows without quotes."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


class Results(list[dict[str, Any]]):
    """What tasks answered: one dictionary per task, as in ``cpr results --json``.

    Args:
        rows: The dictionaries.
        text: What a notebook shows.
    """

    def __init__(self, rows: list[dict[str, Any]], text: str) -> None:
        super().__init__(rows)
        self.text = text

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.text)


def run_command(
    shell: InteractiveShell, name: str, args: Namespace, cell: str | None, names: Mapping[str, Any]
) -> Any:
    """Runs a sub-command and returns its object.

    Args:
        shell: The shell that shows the object.
        name: The sub-command.
        args: Its arguments.
        cell: The prompts in the cell, if there is one.
        names: What ``{name}`` in a prompt stands for.

    Returns:
        The object; None if the sub-command prints a text.
    """
    if name == "run":
        return _start(shell, run.plan(_prompts(args, cell, names), args), args)
    launches = name in ("retry", "follow-up") or (name == "diff" and (args.comment or args.edit))
    if getattr(args, "json", False) and not launches:
        lines = _printed(name, args)
        if name == "logs":  # an object a line
            return [json.loads(line) for line in lines.splitlines()]
        return json.loads(lines)
    if name in _HANDLERS:
        return _HANDLERS[name](shell, args)
    command_module(name).run(args)
    return None


def print_main(name: str, rest: Sequence[str] = ()) -> None:
    """Prints the help or the version, as the command does."""
    from cpr_nb.cli.main import main

    main([name, *rest] if name == "help" else [f"--{name}"])


def _printed(name: str, args: Namespace) -> str:
    """Returns what the command would print."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        command_module(name).run(args)
    return out.getvalue()


# -- sessions that start or continue --------------------------------------------------------


def _prompts(args: Namespace, cell: str | None, names: Mapping[str, Any]) -> Prompts:
    return run.read_prompts(args) if cell is None else read_cell(cell, args.format, names)


def _retry(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands.retry import plan

    return _start(shell, plan(args), args)


def _follow_up(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands.follow_up import plan

    return _start(shell, plan(args), args)


def _start(shell: InteractiveShell, launch: Launch, args: Namespace) -> Any:
    planned = launch.plan
    run.print_warnings(planned)
    if args.verbose or args.dry_run:
        run.print_plan(planned, args)
    if args.dry_run:
        return None
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.begin import resolve_reuse, reuse_message

    started = launch.begin(reuse=resolve_reuse(args.reuse, args.fresh))
    session = Session.from_started(started)
    if not started.is_new:
        common.note(reuse_message(started, session.snapshot, planned, "--fresh"))
    elif not args.json:
        verb = "🕓 Planned" if launch.is_planned else "🚀 Started"
        lines = run.launch_lines(started, launch)
        common.print_lines([f"{verb} session {session.id[:8]}", *lines])
    if args.wait:
        _wait(shell, session, quiet=args.json)
    return run.launch_json(session, planned) if args.json else session


def _resume(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands import resume

    if args.all:
        resume.run(args)
        return None
    wait, args.wait = args.wait, False
    session = common.open_session(args)
    args.session = session.id
    resume.run(args)
    if wait:
        _wait(shell, session)
    return session


def _wait(shell: InteractiveShell, session: Session, *, quiet: bool = False) -> None:
    """Shows a session until it ends. An interrupt ends the wait, not the session."""
    if not (quiet or _in_notebook(shell)):
        common.show_to_end(session)
        return
    if not quiet:
        _show(shell, session)
    from cpr_nb.handles.wait_line import hidden

    try:
        with hidden():
            session.wait()
    except KeyboardInterrupt:
        short = session.snapshot.short_id
        common.note(f"the session keeps running: %cpr watch {short}, %cpr cancel {short}")


def _in_notebook(shell: InteractiveShell) -> bool:
    return getattr(shell, "kernel", None) is not None


def _show(shell: InteractiveShell, session: Session) -> None:
    """Shows a session now, and not again if it is the value of the cell."""
    from IPython.core import display_functions

    show: Any = display_functions.display
    show(session)

    def show_nothing() -> None:
        """Shows nothing: the session is shown above."""

    def restore(*_: Any) -> None:
        session.__dict__.pop("_ipython_display_", None)
        shell.events.unregister("post_run_cell", restore)

    session.__dict__["_ipython_display_"] = show_nothing
    shell.events.register("post_run_cell", restore)


# -- reading --------------------------------------------------------------------------------


def _list(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.frames.queries import sessions_df

    return sessions_df(common.results_dir(args))


def _status(shell: InteractiveShell, args: Namespace) -> Any:
    if not _in_notebook(shell):  # a session's text there is only one line
        command_module("status").run(args)
    return common.open_session(args)


def _watch(shell: InteractiveShell, args: Namespace) -> Any:
    if _in_notebook(shell):
        common.open_session(args).show()
    else:
        command_module("watch").run(args)
    return None


def _results(shell: InteractiveShell, args: Namespace) -> Any:
    session = common.open_session(args)
    tasks = session.tasks if args.task is None else [session.task(args.task)]
    texts = [results.report(session, task).to_text() for task in tasks]
    return Results([results.task_json(task) for task in tasks], "\n".join(texts).rstrip())


def _report(shell: InteractiveShell, args: Namespace) -> Any:
    if args.file is None:
        return common.open_session(args).report(redact=args.redact)
    command_module("report").run(args)
    return None


def _logs(shell: InteractiveShell, args: Namespace) -> Any:
    if args.follow:
        command_module("logs").run(args)
        return None
    return Text(_printed("logs", args).rstrip("\n"))


# -- branches -------------------------------------------------------------------------------


def _diff(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands import diff

    if args.comment and not args.edit:
        return _start(shell, diff.plan(args), args)
    tasks = diff.chosen_tasks(common.open_session(args), args.task)
    if _in_notebook(shell) and len(tasks) == 1 and not args.edit:
        return tasks[0].diff()
    diff.run(args)
    return None


def _merge(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands.merge import merge_session

    return merge_session(args)


def _pr(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands.pr import open_requests, request_line

    requests = open_requests(args)
    text = "\n".join(visible_line(request_line(one)) for one in requests)
    return Results([one._asdict() for one in requests], text)


def _clean(shell: InteractiveShell, args: Namespace) -> Any:
    from cpr_nb.cli.commands.clean import clean_sessions

    return clean_sessions(args)


_HANDLERS: dict[str, Callable[[InteractiveShell, Namespace], Any]] = {
    "clean": _clean,
    "diff": _diff,
    "follow-up": _follow_up,
    "list": _list,
    "logs": _logs,
    "merge": _merge,
    "pr": _pr,
    "report": _report,
    "results": _results,
    "resume": _resume,
    "retry": _retry,
    "status": _status,
    "watch": _watch,
}
