"""The first lines of a report: what happened, in a sentence made from counts, and five figures."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from cpr_nb.display.report.end_phrases import phrase_of
from cpr_nb.display.report.entries import Entry
from cpr_nb.model import states
from cpr_nb.model.json_values import integer
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.figure_texts import cost_text, range_text
from cpr_nb.views.figures import Figures

_MAX_PHRASES = 5
_SESSION_STATES = {
    states.CANCELLED: "The session was cancelled.",
    states.INTERRUPTED: "The session was interrupted: its runner ended before it did.",
    states.ERROR: "The session ended with an error.",
    states.PAUSED: "The session is paused.",
    states.WAITING: "The session is waiting.",
    states.PLANNED: "The session starts when those before it have ended.",
    states.IMPORTED: "The session ran in another tool, and was imported.",
    states.UNREACHABLE: "Nobody can see from here whether the session still runs.",
    states.STALE: "The session has shown no sign of life.",
    states.UNREADABLE: "The session can't be read.",
}


class KeyFigure(NamedTuple):
    """One of the large figures at the top.

    Args:
        value: The figure.
        beside: What stands beside it, smaller.
        meaning: What stands below it.
    """

    value: str
    beside: str
    meaning: str


def sentence(snapshot: Snapshot, entries: list[Entry], figures: Figures) -> str:
    """Returns what happened: only what can be counted.

    Args:
        snapshot: The session.
        entries: Its tasks.
        figures: Its figures.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> from cpr_nb.views.figures import session_figures
        >>> snapshot = read_session("/none/session-1")
        >>> sentence(snapshot, [], session_figures(snapshot).session(snapshot))
        "The session has no tasks. The session can't be read."
    """
    own = [entry for entry in entries if not entry.is_reused]
    parts = [
        _outcomes(snapshot, own, figures),
        _SESSION_STATES.get(snapshot.state, ""),
        _problems(own),
    ]
    n_questions = sum(len(entry.questions) for entry in own)
    if n_questions:
        verb = "waits" if n_questions == 1 else "wait"
        parts.append(f"{_count(n_questions, 'question').capitalize()} {verb} for an answer.")
    n_reused = len(entries) - len(own)
    if n_reused:
        verb = "has its answer" if n_reused == 1 else "have their answers"
        parts.append(
            f"{_count(n_reused, 'further row').capitalize()} {verb} from earlier sessions."
        )
    return " ".join(part for part in parts if part)


def _outcomes(snapshot: Snapshot, own: list[Entry], figures: Figures) -> str:
    """How many tasks succeeded, in which time and at which cost."""
    n_tasks, n_good = len(own), sum(entry.state == states.SUCCEEDED for entry in own)
    if not n_tasks:
        return "The session has no tasks."
    n_ended = sum(entry.state in states.OUTCOMES for entry in own)
    tasks = formatting.plural(n_tasks, "task")
    if snapshot.is_live or n_ended < n_tasks:
        verb = "has ended" if n_ended < 2 else "have ended"
        text = f"{n_ended or 'None'} of {tasks} {verb}{_with_success(n_good, n_ended)}"
    elif n_good == n_tasks:
        text = "The task succeeded" if n_tasks == 1 else f"All {tasks} succeeded"
    elif n_tasks == 1:
        text = "The task did not succeed"
    else:
        text = f"{n_good or 'None'} of {tasks} succeeded"
    text += _in_time(figures.elapsed_s)
    at_cost = f", at an estimated USD {figures.cost_usd:.2f}" if figures.cost_usd else ""
    return f"{text}{at_cost}."


def _with_success(n_good: int, n_ended: int) -> str:
    """How many of the tasks that have ended so far succeeded."""
    if n_good == n_ended:
        return "" if not n_ended else ", with success," if n_ended == 1 else ", all with success,"
    return f", {n_good or 'none'} of them with success,"


def _in_time(duration_s: float | None) -> str:
    return f" in {in_words(duration_s)}" if duration_s is not None else ""


def in_words(duration_s: float) -> str:
    """Returns a duration in words; of seconds as many as a clock shows.

    Example:
        >>> in_words(42), in_words(500), in_words(7_500)
        ('42 seconds', '8 minutes', '2 hours 5 minutes')
    """
    if duration_s < 90:
        return formatting.plural(int(duration_s), "second")
    minutes = round(duration_s / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return formatting.plural(minutes, "minute")
    more = f" {formatting.plural(rest, 'minute')}" if rest else ""
    return formatting.plural(hours, "hour") + more


def _problems(own: list[Entry]) -> str:
    """What went wrong, the most frequent first, and what was denied."""
    ends = Counter(
        phrase_of(entry.state, str(entry.fields.get("reason") or ""))
        for entry in own
        if entry.state in states.OUTCOMES and entry.state != states.SUCCEEDED
    )
    ranked = ends.most_common()
    clauses = [_clause(n, phrase) for phrase, n in ranked[:_MAX_PHRASES]]
    n_other = sum(n for _, n in ranked[_MAX_PHRASES:])
    if n_other:
        clauses.append(f"{_count(n_other)} ended without success for other reasons")
    n_denied = sum(len(entry.denials) for entry in own)
    if n_denied:
        clauses.append(f"{_count(n_denied, 'tool call')} {_plural_verb('was denied', n_denied)}")
    if not clauses:
        return ""
    first = clauses[0]
    if ranked:  # the first clause says what is counted
        number_word, _, rest = first.partition(" ")
        first = f"{number_word} {'task' if number_word == 'one' else 'tasks'} {rest}"
    joined = [first, *clauses[1:]]
    text = ", ".join(joined[:-1]) + f" and {joined[-1]}" if len(joined) > 1 else first
    return f"{text[0].upper()}{text[1:]}."


def _clause(count: int, phrase: str) -> str:
    return f"{_count(count)} {_plural_verb(phrase, count)}"


def _plural_verb(phrase: str, count: int) -> str:
    return f"were{phrase[3:]}" if count > 1 and phrase.startswith("was ") else phrase


def _count(count: int, noun: str = "") -> str:
    """A number, and what is counted; one is a word."""
    text = "one" if count == 1 else str(count)
    return f"{text} {noun}{'s' * (count != 1)}" if noun else text


def key_figures(snapshot: Snapshot, entries: list[Entry], figures: Figures) -> list[KeyFigure]:
    """Returns the figures at the top: at most five, and only those that are known.

    Args:
        snapshot: The session.
        entries: Its tasks.
        figures: Its figures.
    """
    own = [entry for entry in entries if not entry.is_reused]
    n_good = sum(entry.state == states.SUCCEEDED for entry in own)
    shown = [KeyFigure(str(n_good), f"of {len(own)}", "tasks succeeded")]
    shown += [_cost(snapshot, figures, n_good), _time(snapshot, own, figures)]
    shown.append(_changes_or_tokens(own, figures))
    n_denied = sum(len(entry.denials) for entry in own)
    if n_denied:
        n_tasks = sum(bool(entry.denials) for entry in own)
        noun = "tool call" if n_denied == 1 else "tool calls"
        shown.append(
            KeyFigure(str(n_denied), "", f"{noun} denied, in {formatting.plural(n_tasks, 'task')}")
        )
    return [figure for figure in shown if figure.value]


def _cost(snapshot: Snapshot, figures: Figures, n_good: int) -> KeyFigure:
    if figures.cost_usd is None:
        return KeyFigure("", "", "")
    each = "" if snapshot.is_live else f"{figures.cost_usd / max(1, n_good):.2f} per success"
    meaning = ["estimated so far" if snapshot.is_live else "estimated", each if n_good else ""]
    unknown = formatting.unknown_costs(snapshot.head.get("n_unknown_costs"))
    return KeyFigure(cost_text(figures), "", ", ".join(filter(None, [*meaning, unknown])))


def _time(snapshot: Snapshot, own: list[Entry], figures: Figures) -> KeyFigure:
    durations = [duration for entry in own if (duration := task_duration_s(entry.fields))]
    agents = f"; {in_words(sum(durations))} of agent time" if durations else ""
    left = f"; {range_text(*figures.left_s)} left" if figures.left_s else ""
    word = "elapsed so far" if snapshot.is_live else "elapsed"
    return KeyFigure(formatting.clock(figures.elapsed_s), "", f"{word}{left or agents}")


def _changes_or_tokens(own: list[Entry], figures: Figures) -> KeyFigure:
    """The lines that branches change; without any, the tokens."""
    n_files = sum(integer(entry.fields.get("n_files_changed")) or 0 for entry in own)
    if n_files:
        added = sum(integer(entry.fields.get("lines_added")) or 0 for entry in own)
        deleted = sum(integer(entry.fields.get("lines_deleted")) or 0 for entry in own)
        meaning = f"lines changed in {formatting.plural(n_files, 'file')}"
        return KeyFigure(f"+{added} −{deleted}", "", meaning)
    n_tokens = figures.n_tokens
    return KeyFigure(formatting.short_count(n_tokens) if n_tokens else "", "", "tokens")
