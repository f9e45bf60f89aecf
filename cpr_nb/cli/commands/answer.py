"""``cpr answer``: what agents ask, and a person's answers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cpr_nb.cli.common import open_session, print_json, print_lines, print_text
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.cli.render import program
from cpr_nb.model.errors import InputError
from cpr_nb.model.question_fields import DENY, ONCE, SESSION
from cpr_nb.views.formatting import clock, plural
from cpr_nb.views.questions import KEY_CHARS

if TYPE_CHECKING:
    from cpr_nb.handles.session import Session
    from cpr_nb.views.questions import Question

_DONE = {
    ONCE: "allowed once",
    SESSION: "allowed, and in this session from now on: {}",
    DENY: "denied",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser, optional=True)
    parser.add_argument(
        "question",
        metavar="QUESTION",
        nargs="?",
        help="the question, as the list names it; without it, the open questions are listed",
    )
    decisions = parser.add_mutually_exclusive_group()
    for decision, words in (
        (ONCE, "allow this call"),
        (SESSION, "allow it, and what its rule allows, in this session"),
        (DENY, "refuse it; the agent goes on without it"),
    ):
        decisions.add_argument(
            f"--{decision}", dest="decision", action="store_const", const=decision, help=words
        )
    parser.add_argument("--why", metavar="TEXT", default="", help="what a denied agent reads")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Lists the open questions of a session's agents, or answers one."""
    session = open_session(args)
    if args.question is None:
        if args.decision is not None:
            raise InputError("which question? cpr answer SESSION lists them", "answer")
        _print_questions(session, as_json=args.json)
        return 0
    if args.decision is None:
        raise InputError("which answer? --once, --session or --deny", "answer")
    if args.why and args.decision != DENY:
        raise InputError("only a denied agent reads it: leave it out, or use --deny", "--why")
    question = session.question(args.question)
    session.answer(question, args.decision, args.why)
    done = _DONE[args.decision].format(question.rule)
    print_lines([f"Task {question.task_num} {question.wants}: {done}"])
    return 0


def _print_questions(session: Session, *, as_json: bool) -> None:
    questions = session.questions
    if as_json:
        print_json([question._asdict() for question in questions])
    elif not questions:
        print_lines([f"Session {session.id}: nobody asks anything"])
    else:
        print_lines([f"Session {session.id}: {plural(len(questions), 'open question')}"])
    for question in questions if not as_json else ():
        for line in _lines(question, session.snapshot.short_id):
            print_text(line)


def _lines(question: Question, short_id: str) -> Iterator[str]:
    """A question as text: what it is about, why, and the commands that answer it."""
    key, left_s = question.key[:KEY_CHARS], max(0.0, question.expires_at_s - time.time())
    yield f"\n{key}  task {question.task_num} {question.wants}; denied in {clock(left_s)}"
    for line in question.target.splitlines():
        yield f"    {line}"
    facts = (
        ("it says", question.says),
        ("asked because", question.because),
        ("runs in", question.runs_in),
    )
    yield from (f"  {name}: {text}" for name, text in facts if text)
    answer = f"  {program()} answer {short_id} {key}"
    yield f"{answer} --once"
    if question.rule:
        warning = f" ({question.rule_warning})" if question.rule_warning else ""
        yield f"{answer} --session   # allows {question.rule}{warning}"
    yield f"{answer} --deny"
