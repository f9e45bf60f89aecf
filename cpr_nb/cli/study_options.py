"""Options of a launch as a whole: what it comes after, which tasks run, what answers are worth.

They are keywords of `cpr_nb.launch`. A prompts file may have them beside ``prompts``.
"""

from __future__ import annotations

import argparse
import json

from cpr_nb.cli.common import results_dir
from cpr_nb.cli.options import complete_session
from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from cpr_nb.launching.after import LaterLaunch
    from cpr_nb.launching.later_request import SessionInput
    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.launching.start import StartedSession
    from cpr_nb.launching.study import Study
    from cpr_nb.model.spec import TaskSpec

#: Keyword → its metavar and its help. Those that only a prompts file has are rarely used.
_TEXTS: dict[str, tuple[str, str]] = {
    "after": ("SESSION", "start when this session has ended (may be given several times)"),
    "vary": ("NAME=A,B", "run each prompt once for each value, such as model=sonnet,opus"),
    "repeats": ("N", "run each prompt N times"),
    "best_of": (
        "N",
        "run N candidates of each prompt; the best by --check, --score or --grade counts",
    ),
    "at_once": ("N", "how many candidates of a prompt run at once"),
    "full_mark": ("X", "the score from which no further candidate is needed"),
    "score": (
        "WHAT",
        "what scores an answer: a field of the schema, check, grade, module:function",
    ),
    "grade": ("RUBRIC", "have an agent grade each answer from 0 to 1 by this rubric"),
    "grade_model": ("MODEL", "the model that grades"),
    "pilot": ("N", "run N random rows first; cpr resume --skipped runs the others"),
    "stop_when": ("decided", "start no more once it is decided which value of --vary is better"),
    "baseline": ("VALUE", "the value of --vary that the others are compared with"),
    "metric": ("NAME", "what is compared with --stop-when: score, ok, cost_usd, duration_s"),
}
_LISTS = ("after", "vary")
_NUMBERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("repeats", "best_of", "at_once", "pilot"), int),
    "full_mark": float,
}


class Launch:
    """A launch that is planned and checked; nothing is spent or created yet.

    Args:
        plan: What is known of its session.
        later: The launch that comes after others; None for one that starts at once.
    """

    __slots__ = ("later", "plan")

    def __init__(self, plan: LaunchPlan, later: LaterLaunch | None = None) -> None:
        self.plan = plan
        self.later = later

    @property
    def is_planned(self) -> bool:
        """Whether it does not start at once, because another session has not ended."""
        return self.later is not None and not self.later.has_begun

    def begin(self, *, reuse: bool) -> StartedSession:
        """Starts it, or what of it has no answer yet.

        Args:
            reuse: Whether to attach to what did the same.
        """
        if self.later is not None:
            return self.later.begin(reuse=reuse)
        from cpr_nb.launching.begin import start_or_attach

        return start_or_attach(self.plan, reuse=reuse)


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    group = parser.add_argument_group("one launch as a whole")
    for name, (metavar, text) in _TEXTS.items():
        action = "append" if name in _LISTS else "store"
        flag = f"--{name.replace('_', '-')}"
        one = group.add_argument(flag, dest=name, metavar=metavar, action=action, help=text)
        if name == "after":
            one.completer = complete_session  # type: ignore[attr-defined]  # argcomplete's way


def study_keywords(
    args: argparse.Namespace, file: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The keywords of the launch.

    Args:
        args: The arguments; what they say counts.
        file: What the prompts file says.

    Raises:
        InputError: If the text of an option can't be read.
    """
    keywords = dict(file or {})
    for name in _TEXTS:
        value = getattr(args, name, None)
        if value is not None:
            keywords[name] = _read(name, value)
        elif name == "score" and ":" in str(keywords.get(name)):
            # It is imported when it is checked, so a file could run it even in a dry run.
            raise InputError(
                "a prompts file can't name a function to run: pass it as --score MODULE:FUNCTION",
                name,
            )
    return {name: value for name, value in keywords.items() if value is not None}


def _read(name: str, value: Any) -> Any:
    flag = f"--{name.replace('_', '-')}"
    if name == "vary":
        return _factors(value, flag)
    if name not in _NUMBERS:
        return value
    try:
        return _NUMBERS[name](value)
    except ValueError:
        kind = "a number" if _NUMBERS[name] is float else "a whole number"
        raise InputError(f"must be {kind}, not {value!r}", flag) from None


def _factors(texts: list[str], flag: str) -> dict[str, list[Any]]:
    """Factor → its levels, from ``name=a,b``."""
    factors: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, levels = text.partition("=")
        if not equals or name in factors:
            raise InputError(f"must be NAME=A,B, each name once, not {text!r}", flag)
        factors[name] = [_level(level) for level in levels.split(",")]
    return factors


def _level(text: str) -> Any:
    """A level: a number, true or false as JSON has it, else a text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def plan_prompts(
    tasks: list[TaskSpec],
    options: dict[str, Any],
    keywords: Mapping[str, Any],
    args: argparse.Namespace,
) -> Launch:
    """Plans a launch of prompts and checks it.

    Args:
        tasks: The prompts.
        options: The options of the launch.
        keywords: Its further keywords.
        args: The arguments.

    Raises:
        InputError: If it can't be right.
        ClaudeNotFound: If there is no CLI.
    """
    from cpr_nb.launching.plan import plan_launch, plan_variants

    if not keywords:
        return Launch(plan_launch(tasks, options))
    study, vary, repeats, after = split_keywords(keywords)
    if after:
        from cpr_nb.launching.after import LaterLaunch

        later = LaterLaunch(session_inputs(after, args), options, study.keywords)
        return Launch(later.launch(tasks, vary, repeats).plan, later)
    plan = plan_variants(tasks, vary, repeats, options)
    study.plan(plan)
    return Launch(plan)


def split_keywords(
    keywords: Mapping[str, Any],
) -> tuple[Study, Mapping[str, Any] | None, int, list[str]]:
    """The keywords as `cpr_nb.launching.study` has them, the factors, the repeats, the inputs."""
    from cpr_nb.launching.study import Study

    rest = dict(keywords)
    vary, repeats, after = rest.pop("vary", None), rest.pop("repeats", 1), rest.pop("after", [])
    names = [after] if isinstance(after, str) else after
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("must be the id or the name of a session, or a list of them", "after")
    study = Study(rest)
    return study, vary, study.repeats(vary, repeats), names


def session_inputs(
    after: list[str], args: argparse.Namespace, condition: str | None = None
) -> list[SessionInput]:
    """The sessions that a launch comes after.

    Args:
        after: Their ids or names.
        args: The arguments, which name the results directory.
        condition: Which of their rows it is about; None for those that succeeded.

    Raises:
        SessionNotFound: If there is no such session.
        AmbiguousSession: If several fit.
        InputError: If one is named twice.
    """
    from cpr_nb.launching.later_request import SessionInput, read_inputs
    from cpr_nb.store.catalog import find_session

    folder = results_dir(args)
    return read_inputs([SessionInput(str(find_session(folder, one)), condition) for one in after])
