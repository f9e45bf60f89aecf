"""``cpr run``: from prompts to a session."""

from __future__ import annotations

import argparse
import os
import sys

from cpr_nb.cli.common import (
    has_terminal,
    note,
    note_running,
    print_json,
    print_lines,
    show_to_end,
)
from cpr_nb.cli.junit_file import add_junit, check_junit, write_junit
from cpr_nb.cli.options import add_json, add_launch_options, launch_options
from cpr_nb.cli.render import ICONS, program
from cpr_nb.cli.study_options import Launch, add_study_options, plan_prompts, study_keywords
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.question_fields import ASK_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from cpr_nb.handles.session import Session
    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.launching.start import StartedSession
    from cpr_nb.model.inputs import Prompts
    from cpr_nb.model.spec import TaskSpec

FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}

#: How long a session waits for a login if a program waits for it, and no person sees that.
UNATTENDED_WAIT_S = 600.0

#: What each permission mode means, in one line of a launch.
MODES = {
    "read": "agents only read: no edits, no commands",
    "edits": "agents edit files; other commands are denied unless allowed "
    "(--allow 'Bash(pytest:*)')",
    "sandbox": "agents run any command in a sandbox: no network, no writing outside their folder",
    "all": "agents do anything without asking: only for prompts that you trust",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="a .json, .jsonl or .csv file; - for stdin"
    )
    parser.add_argument(
        "--format",
        choices=("json", "jsonl", "csv"),
        help="the format of the input (default: by the ending of FILE, else json)",
    )
    add_launch_options(parser)
    add_study_options(parser)
    add_wait_options(parser)
    add_json(parser)


def add_wait_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for what happens at and after the launch."""
    parser.add_argument("--wait", "--sync", action="store_true", help="show it live until it ends")
    parser.add_argument(
        "--reuse",
        action="store_true",
        default=None,
        help="attach to an earlier session with the same prompts and options instead of starting a "
        "new one (the default in notebooks)",
    )
    parser.add_argument("--fresh", action="store_true", help="always start a new session")
    parser.add_argument(
        "--verbose", action="store_true", help="show the prompts and options that were loaded"
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, start nothing")
    add_junit(parser)


def run(args: argparse.Namespace) -> int:
    """Starts a session."""
    return start(plan(read_prompts(args), args), args)


def read_prompts(args: argparse.Namespace) -> Prompts:
    """Reads the prompts that the arguments name."""
    text, source, file_format = _read_input(args)
    from cpr_nb.model.inputs import parse

    return parse(text, source, file_format)


def plan(prompts: Prompts, args: argparse.Namespace) -> Launch:
    """Plans a launch and checks it, then prints the warnings about its prompts."""
    keywords = study_keywords(args, prompts.keywords)
    launch = with_trust(lambda: plan_prompts(prompts.tasks, launch_options(args), keywords, args))
    for warning in prompts.warnings:
        note(f"warning: {warning}")
    return launch


def start(launch: Launch, args: argparse.Namespace) -> int:
    """Starts what was planned and prints about it; shared with ``cpr retry``.

    Returns:
        The exit code.
    """
    check_junit(args)
    started = begin(launch, args)
    if started is None:
        return 0
    try:
        code = _show(started, launch, args)
    except KeyboardInterrupt:  # Ctrl-C before the wait has begun
        note_running(started.session_id[:8])
        code = 130
    if args.junit:
        write_junit(started, args.junit)
    return code


def _show(started: StartedSession, launch: Launch, args: argparse.Namespace) -> int:
    """Prints about a session that was started, and waits for it if that was asked for."""
    if started.is_new and not args.json:
        print_launch(started, launch)
        if not args.wait:
            return 0  # without a handle, which takes longer to load than the launch itself
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.begin import reuse_message

    session = Session.from_started(started)
    if not started.is_new:
        note(reuse_message(started, session.snapshot, launch.plan, "--fresh"))
    if args.json:
        try:
            code = show_to_end(session, quiet=True) if args.wait else 0
        except KeyboardInterrupt:
            code = 130  # the session keeps running, so the caller needs its id
        print_json(launch_json(session, launch.plan))
        return code
    return show_to_end(session) if args.wait else 0


def begin(launch: Launch, args: argparse.Namespace) -> StartedSession | None:
    """Starts what was planned, after its warnings; None after a dry run, which prints the plan."""
    from cpr_nb.launching.begin import check_start, resolve_reuse

    planned = launch.plan
    print_warnings(planned)
    reuse = resolve_reuse(args.reuse, args.fresh)
    if args.dry_run and not launch.is_planned:
        check_start(planned, reuse=reuse)
    if args.verbose or args.dry_run:
        print_plan(planned, args)
    if args.dry_run:
        return None
    if args.wait and not has_terminal():
        planned.login_wait_s = planned.login_wait_s or UNATTENDED_WAIT_S
        planned.machine_wait_s = planned.machine_wait_s or UNATTENDED_WAIT_S
    started = launch.begin(reuse=reuse)
    for line in started.node_lines:
        note(line)
    return started


def print_warnings(planned: LaunchPlan) -> None:
    """Prints what the user should know before the launch, on stderr."""
    for warning in planned.warnings:
        note(warning if warning.startswith(("🔒", "💡")) else f"warning: {warning}")


def _read_input(args: argparse.Namespace) -> tuple[str, str, str]:
    name = args.file
    if name in (None, "-"):
        if sys.stdin is None or (name is None and sys.stdin.isatty()):
            raise InputError("no prompts: name a file, or pipe JSON in (see cpr --help)")
        data, source = sys.stdin.buffer.read(), "stdin"
        file_format = args.format or "json"
    else:
        source = name
        file_format = args.format or FORMATS.get(os.path.splitext(name)[1].lower(), "json")
        try:
            with open(name, "rb") as file:
                data = file.read()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"can't read it: {reason}", source) from None
    try:
        return data.decode("utf-8-sig"), source, file_format
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: byte {error.start} is wrong", source) from None


def launch_json(session: Session, planned: LaunchPlan) -> dict[str, Any]:
    """Returns what ``--json`` prints about a launch."""
    return {
        "session_id": session.id,
        "path": str(session.path),
        "n_tasks": len(session),
        "max_parallel": planned.max_parallel,
        "first_parallel": planned.first_parallel,
        "state": session.state,
    }


def print_launch(started: StartedSession, launch: Launch, out: TextIO | None = None) -> None:
    """Prints what was started, and how to watch it."""
    command, session_id = program(), started.session_id
    verb = f"{ICONS[states.PLANNED]} Planned" if launch.is_planned else "🚀 Started"
    print_lines(
        [
            f"{verb} session: {session_id}",
            f"📂 Results directory: {started.root}",
            *launch_lines(started, launch),
            "",
            "Use these commands to monitor progress:",
            f"  {command} --status {session_id}",
            f"  {command} --results {session_id}",
            f"  {command} watch {session_id[:8]}",
        ],
        out,
    )
    (out or sys.stdout).flush()


def launch_lines(started: StartedSession, launch: Launch) -> list[str]:
    """What a new session does, or what it waits for before."""
    if not launch.is_planned:
        return plan_lines(launch.plan)
    from cpr_nb.store.read import read_session
    from cpr_nb.views.planned_text import waits_for

    waiting = waits_for(read_session(started.root, tasks=False), counts=True)
    return [f"   {waiting or 'starts now'}"]


def plan_lines(planned: LaunchPlan) -> list[str]:
    """Returns how many tasks run, how many at once, and what they may do."""
    n_tasks = len(planned.tasks)
    tasks = "1 task" if n_tasks == 1 else f"{n_tasks} tasks"
    return [
        f"   {tasks}, {_at_once(planned)}, {_permissions(planned)}",
        _tools_line(planned),
        *_asking_lines(planned),
        *_worktree_lines(planned),
    ]


def _asking_lines(planned: LaunchPlan) -> list[str]:
    """What happens to what agents ask, also where nobody is there."""
    if not planned.options.get("ask"):
        return []
    wait_s = planned.options.get("ask_s", ASK_S)
    return [f"   agents ask: cpr answer; what nobody answers within {wait_s:g} s is denied"]


def _permissions(planned: LaunchPlan) -> str:
    """What the tasks may do."""
    is_light = [task.options.get("light", planned.options.get("light")) for task in planned.tasks]
    if is_light and all(is_light):
        return "light: no tools, no files, and no CLAUDE.md, hooks or plugins"
    mode = planned.options.get("permissions", "edits")
    some = f"; light, without tools: {sum(map(bool, is_light))} of them" if any(is_light) else ""
    return f"permissions {mode}: {MODES[mode]}{some}"


def _at_once(planned: LaunchPlan) -> str:
    """How many tasks run at once."""
    if planned.cluster and not planned.max_parallel:
        return "as many at once as the nodes have slots"
    if planned.first_parallel is None:
        # In shared processes fewer may be faster: the runner decides.
        at_most = "in shared processes, at most " if planned.options.get("share_process") else ""
        return f"{at_most}{planned.max_parallel or 'all'} at once"
    most = f"while they wait for the API up to {planned.max_parallel}"
    return f"{planned.first_parallel} at first, {most} at once"


def _tools_line(planned: LaunchPlan) -> str:
    """The tasks' built-in tools, and what each task pays before its own prompt."""
    from cpr_nb.model.prefix import known_tools, prefix_tokens

    own = [{**planned.options, **task.options} for task in planned.tasks if task.options]
    every = own if len(own) == len(planned.tasks) else [planned.options, *own]
    tools = {", ".join(known_tools(options)) or "none" for options in every}
    hundreds = sorted(
        {round(prefix_tokens(options, has_key=planned.has_key()), -2) for options in every}
    )
    figures = " to ".join(f"{tokens:,}" for tokens in dict.fromkeys((hundreds[0], hundreds[-1])))
    names = tools.pop() if len(tools) == 1 else "differ between tasks"
    return f"   tools: {names}; about {figures} tokens before each prompt"


def _worktree_lines(planned: LaunchPlan) -> list[str]:
    """Where the tasks' worktrees begin; or, in a repository without any, how to get them."""
    from cpr_nb.launching.worktree_base import in_repository

    if planned.checkouts:
        start = next(iter(planned.checkouts.values()))
        branch, commit = start["current_branch"], start["base"][:10]
        return [f"   one worktree per task, on branches {branch}-task-…, starting at {commit}"]
    if in_repository(planned.options["cwd"]) and not planned.options.get("light"):
        return ["💡 This is a git repository: --worktree gives each task a checkout of its own"]
    return []


def print_plan(planned: LaunchPlan, args: argparse.Namespace) -> None:
    """Prints what ``--verbose`` and ``--dry-run`` show."""
    from cpr_nb.launching.plan import dry_rows

    if args.json and args.dry_run:
        print_json(dry_rows(planned))
        return
    import platform

    from cpr_nb import __version__
    from cpr_nb.model.text import one_line

    out = sys.stderr if args.json else sys.stdout
    options = {
        name: one_line(str(value), 200)
        for name, value in planned.options.items()
        if name not in ("env", "schema")
    }
    lines = [
        f"cpr {__version__}, Python {platform.python_version()}",
        f"Claude CLI: {planned.claude_path}, {planned.claude_version or 'version not known'}",
        f"Results directory: {planned.results_dir}",
        f"Options: {', '.join(f'{name}={value}' for name, value in options.items())}",
        *_study_lines(planned),
        f"Environment variables: {', '.join(sorted(planned.options.get('env', {}))) or 'none'}",
        f"At once: {_at_once(planned).removesuffix(' at once')}",
        f"T{_tools_line(planned).strip()[1:]}",
        f"Loaded {len(planned.tasks)} prompts:",
    ]
    lines += [
        f"  {number}. {task.task_id}{_own_options(task)}: {one_line(task.prompt, 100)}"
        for number, task in enumerate(planned.tasks, 1)
    ]
    print_lines(lines, out)


def _study_lines(planned: LaunchPlan) -> list[str]:
    """What the launch as a whole comes after, and what decides which of its tasks run."""
    sessions = [one["session_id"][:8] for one in planned.study.get("after", {}).get("inputs", ())]
    keywords = [f"{name}={value}" for name, value in planned.study_keywords.items()]
    lines = {"After": sessions, "Study": keywords}
    return [f"{name}: {', '.join(values)}" for name, values in lines.items() if values]


def _own_options(task: TaskSpec) -> str:
    """What a task has of its own, such as the model that ``--vary`` gives it; no values of env."""
    from cpr_nb.model.text import one_line

    shown = [
        f"{name}={one_line(str(value), 40)}"
        for name, value in task.options.items()
        if name not in ("env", "schema")
    ]
    return f" ({', '.join(shown)})" if shown else ""
