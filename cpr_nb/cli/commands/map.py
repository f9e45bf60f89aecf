"""``cpr map``: a file of rows in, the same rows with the answers out."""

from __future__ import annotations

import argparse
import os
import sys

from cpr_nb.cli.commands.run import begin, launch_json, launch_lines, print_launch
from cpr_nb.cli.common import denial_summary, note, print_json, print_lines
from cpr_nb.cli.options import add_json, add_launch_options, launch_options
from cpr_nb.cli.render import ICONS, denial_lines, program
from cpr_nb.cli.study_options import (
    Launch,
    add_study_options,
    session_inputs,
    split_keywords,
    study_keywords,
)
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model import states
from cpr_nb.model.errors import InputError, SessionNotUsable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from cpr_nb.frames.rows_file import RowsFile
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.start import StartedSession

STDIN = STDOUT = "-"
FORMATS = ("csv", "jsonl", "parquet")
_ERROR_CHARS = 200
EXAMPLES = """\
examples:
  cpr map 'Review {path}' files.csv --schema 'bugs: int, level: low|high' -o out.csv
  cpr map "$(cat prompt.txt)" rows.parquet --model haiku --light -o out.parquet
  cpr map 'Fix the {bugs} bugs in {path}' --after 3f2a --where 'bugs > 1' --worktree

Without -o it returns at once. With -o it waits and writes the table. If it was stopped meanwhile,
the same command goes on: what has an answer is not paid for again, and what failed runs again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "template", metavar="TEMPLATE", help="the prompt, with {column} for the cells of a row"
    )
    parser.add_argument(
        "rows",
        metavar="ROWS",
        nargs="?",
        help="a .csv, .jsonl or .parquet file, a task per row; - for stdin",
    )
    parser.add_argument(
        "-o",
        dest="file",
        metavar="FILE",
        help="wait, and write the rows with the answers: .csv, .jsonl, .parquet, or - for CSV on "
        "standard output",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="the format of ROWS (default: by its ending, else csv)"
    )
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="with --after and without ROWS: which rows of that session, such as 'ok and bugs > 1' "
        "(default: those that succeeded)",
    )
    add_launch_options(parser)
    add_study_options(parser)
    parser.add_argument("--fresh", action="store_true", help="run all rows again")
    parser.add_argument(
        "--verbose", action="store_true", help="show the prompts and options that were loaded"
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, start nothing")
    add_json(parser)
    parser.epilog = EXAMPLES


def run(args: argparse.Namespace) -> int:
    """Starts a task per row; with ``-o`` waits and writes the table."""
    args.wait, args.reuse = args.file is not None, not args.fresh
    form = _check_output(args)
    launch = plan(args)
    if args.dry_run and not args.json:
        _note_known(launch, args)
    started = begin(launch, args)
    if started is None:
        return 0
    from cpr_nb.handles.session import Session

    session = Session.from_started(started)
    _print_start(started, launch, session, args)
    if form is None:
        if args.json:
            print_json(launch_json(session, launch.plan))
        return 0
    return _finish(session, launch, form, args)


def _check_output(args: argparse.Namespace) -> str | None:
    """The format of the table; None if none is written."""
    if args.file is None:
        return None
    if args.file == STDOUT and args.json:
        raise InputError("both write to standard output: name a file", "-o and --json")
    from cpr_nb.frames.table_file import check_target

    return check_target(args.file, None if args.rows == STDIN else args.rows)


def plan(args: argparse.Namespace) -> Launch:
    """Plans the launch and checks it, without spending anything.

    Args:
        args: The arguments.

    Raises:
        InputError: If anything in it can't be right.
    """
    keywords = study_keywords(args)
    if args.where is not None and (args.rows is not None or "after" not in keywords):
        raise InputError("chooses rows of a session: it needs --after, and no file", "--where")
    if args.rows is None and "after" not in keywords:
        raise InputError("no rows: name a file, or a session with --after (see cpr map --help)")
    rows = None if args.rows is None else _read(args)
    launch = with_trust(lambda: _plan(rows, keywords, args))
    from cpr_nb.frames.mapping import placeholder_warnings
    from cpr_nb.model import templates
    from cpr_nb.model.inputs import slash_warnings

    warnings = [] if launch.is_planned else slash_warnings(launch.plan.tasks)
    if rows is not None:
        warnings += placeholder_warnings(args.template, rows.frame)
        if not templates.names(args.template):
            warnings.append("the template names no column, so each row has the same prompt")
    for warning in warnings:
        note(f"warning: {warning}")
    return launch


def _plan(rows: RowsFile | None, keywords: dict[str, Any], args: argparse.Namespace) -> Launch:
    from cpr_nb.launching.from_frame import plan_map

    options = launch_options(args)
    study, vary, repeats, after = split_keywords(keywords)
    frame = None
    if rows is not None:
        repeat = ["repeat"] if repeats > 1 else []
        rows.check(args.template, [*(vary or ()), *repeat], [options.get("schema")])
        frame = rows.frame
    if after:
        from cpr_nb.launching.after import LaterLaunch

        inputs = session_inputs(after, args, args.where)
        later = LaterLaunch(inputs, options, study.keywords)
        return Launch(later.map(args.template, frame, vary, repeats).plan, later)
    planned = plan_map(args.template, frame, vary, repeats, options)
    study.plan(planned)
    return Launch(planned)


def _read(args: argparse.Namespace) -> RowsFile:
    """The rows of the file that the arguments name."""
    from cpr_nb.frames import rows_file

    form = args.format or rows_file.FORMATS.get(os.path.splitext(args.rows)[1].lower())
    if args.rows == STDIN:
        if sys.stdin is None:
            raise InputError("there is no standard input", "-")
        return rows_file.read_rows(sys.stdin.buffer.read(), "stdin", form or "csv")
    if form is None:
        raise InputError(
            f"must end in {', '.join(rows_file.FORMATS)}, or --format says what it is", args.rows
        )
    try:
        with open(args.rows, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't read it: {reason}", args.rows) from None
    return rows_file.read_rows(data, args.rows, form)


def _note_known(launch: Launch, args: argparse.Namespace) -> None:
    """Says of a dry run how many rows have an answer already."""
    if args.fresh or launch.later is not None or not launch.plan.is_map:
        return
    from cpr_nb.launching.reuse import reused_from

    n_known, n_rows = len(reused_from(launch.plan)), len(launch.plan.tasks)
    if n_known:
        note(f"{n_known} of {n_rows} tasks have an answer already, and would not run again")


def _print_start(
    started: StartedSession, launch: Launch, session: Session, args: argparse.Namespace
) -> None:
    """Prints what was started, or what is reused."""
    from cpr_nb.launching.begin import reuse_message

    out = _words_out(args)
    if not args.json and started.is_new and args.wait:
        print_lines([f"🚀 Session: {session.id}", *launch_lines(started, launch)], out)
        out.flush()
    elif not args.json and started.is_new:
        print_launch(started, launch, out)
        print_lines(["For the table: the same command with -o FILE"], out)
    if line := reuse_message(started, session.snapshot, launch.plan, "--fresh"):
        note(line)


def _words_out(args: argparse.Namespace) -> TextIO:
    """Where the words for the person go: not into the table."""
    return sys.stderr if args.json or args.file == STDOUT else sys.stdout


def _finish(session: Session, launch: Launch, form: str, args: argparse.Namespace) -> int:
    """Waits for the answers and writes the table."""
    if session.state == states.INTERRUPTED:
        _resume(session, launch)
    try:
        session.wait()
    except KeyboardInterrupt:
        note(f"the session keeps running; the same command goes on, and writes {args.file}")
        note(f"To cancel it: {program()} cancel {session.snapshot.short_id}")
        return 130
    from cpr_nb.frames.table_file import write_table
    from cpr_nb.store.spec_file import read_spec

    spec = read_spec(session.paths)
    table = session.best_df() if "best_of" in spec else session.results_df()
    try:
        write_table(table, args.file, form)
    except OSError as error:
        raise InputError(f"can't write it: {error.strerror or error}", args.file) from None
    ends = _row_ends(session, table if "best_of" in spec else None)
    if args.json:
        more = {"output": args.file, "n_rows": len(table), "n_failed_rows": sum(ends.values())}
        print_json({**launch_json(session, launch.plan), **more})
    else:
        again = f"{program()} retry {session.snapshot.short_id} runs these again"
        if not launch.plan.study_keywords and launch.later is None:
            again = "the same command runs these again, and only these"
        words = _summary(session, len(table), ends, args.file)
        print_lines([*words, *([f"  {again}"] if ends else [])], _words_out(args))
    return 1 if ends or session.snapshot.state != states.COMPLETED else 0


def _resume(session: Session, launch: Launch) -> None:
    """Resumes the session, unless the same command in another terminal was faster."""
    note(f"session {session.snapshot.short_id} was interrupted: it is resumed")
    try:
        session.resume(launch.plan.options.get("env"))
    except SessionNotUsable:
        if session.refresh().state == states.INTERRUPTED:
            raise


def _row_ends(session: Session, best: Any) -> dict[str, int]:
    """How the rows have ended that have no answer: their number by the words for it.

    Of rows that ended the same way, the words have the error of the first.

    Args:
        session: The session.
        best: The table of the best candidates; None without ``best_of``.
    """
    from cpr_nb.model.record import task_state
    from cpr_nb.model.text import one_line
    from cpr_nb.model.verdict import is_left_out
    from cpr_nb.views.result_rows import result_rows

    if best is not None:
        n_failed = int((~best["ok"].fillna(False).astype(bool)).sum())
        return {"no candidate has succeeded": n_failed} if n_failed else {}
    errors: dict[str, list[str]] = {}
    for row in result_rows(session.snapshot):
        outcome, reason = task_state(row.answer.fields)[1], row.answer.fields.get("reason")
        if outcome == states.SUCCEEDED or is_left_out(reason):
            continue
        words = str(outcome or "has not ended")
        words = words if reason in (None, outcome, "unknown") else f"{words}: {reason}"
        error = one_line(str(row.answer.fields.get("error") or ""), _ERROR_CHARS)
        errors.setdefault(words, []).append(error)
    return {_with_error(words, every): len(every) for words, every in errors.items()}


def _with_error(words: str, errors: list[str]) -> str:
    """The words for how rows have ended, with the error of the first that has one."""
    first = next(filter(None, errors), "")
    if not first:
        return words
    return f"{words}: {first}" if set(errors) == {first} else f"{words}, such as: {first}"


def _summary(session: Session, n_rows: int, ends: dict[str, int], path: str) -> list[str]:
    """What a person reads when the table is written."""
    from cpr_nb.views.decision_lines import decision_lines
    from cpr_nb.views.durations import session_duration_s
    from cpr_nb.views.formatting import clock, cost, plural, reused
    from cpr_nb.views.grade_lines import grade_lines
    from cpr_nb.views.notice import notice, warnings_of

    snapshot, n_failed = session.refresh().snapshot, sum(ends.values())
    is_good = not n_failed and snapshot.state == states.COMPLETED
    icon = ICONS[states.SUCCEEDED if is_good else states.FAILED]
    figures = [
        plural(n_rows, "row"),
        f"{n_failed} without an answer" if n_failed else "",
        reused(snapshot),
        clock(session_duration_s(snapshot)),
        cost(snapshot.head),
    ]
    name = "the table" if path == STDOUT else path
    line = f"{icon} {name}: {' · '.join(figure for figure in figures if figure)}"
    more = [f"{number} {words}" for words, number in sorted(ends.items())]
    if snapshot.state != states.COMPLETED:
        more.append(
            f"the session is {snapshot.state}: {snapshot.head.get('error') or 'see cpr status'}"
        )
    elif words := notice(snapshot, program()):  # the pilot has ended, and rows wait
        more.append(words)
    more += [*decision_lines(snapshot), *grade_lines(snapshot, program())]
    more += [f"⚠ {warning}" for warning in warnings_of(snapshot, program())]
    if snapshot.count("n_denials"):
        more += denial_lines(snapshot.count("n_denials"), denial_summary(session.tasks))
    return [line, *(f"  {words}" for words in more)]
