"""The best of N as a decision: how many rows are solved, and each row with its candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cpr_nb.display.charts.svg import GREY, clean, num
from cpr_nb.display.decisions.decision_output import DecisionParts, Sentence
from cpr_nb.display.decisions.decision_table import Cell, Column, DecisionTable
from cpr_nb.display.decisions.range_words import digits_for, number, range_words
from cpr_nb.model.full_mark import UNKNOWN
from cpr_nb.stats.pass_at_k import PassAtK, pass_all_k, pass_at_k
from cpr_nb.views.candidates import CandidateRow, Candidates
from cpr_nb.views.formatting import amount

#: The page shows so many rows; the table has all.
MOST_ROWS = 60
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WIDTH, _HEIGHT, _EDGE = 150, 16, 8
#: Outcome of a row → symbol, words and tone.
_OUTCOMES = {True: ("✓ solved", "ok"), False: ("✕ not solved", "bad"), None: ("unknown", "mute")}
#: What candidates did, in the order in which it is told.
_KINDS = ("ended", "failed", "not_needed", "lost", "open")
_WORDS = {"ended": "succeeded", "not_needed": "not needed", "lost": "lost", "open": "not ended"}


class BestRows(NamedTuple):
    """What the page shows.

    Args:
        candidates: The candidates of all rows.
        title: What the rows' names are, such as ``path``.
        names: The name of each row.
        rescored: Session and task → the score of a winner that was scored anew; None if none was.
    """

    candidates: Candidates
    title: str
    names: Sequence[str]
    rescored: Mapping[tuple[str, str], float] | None = None


def best_parts(rows: BestRows) -> DecisionParts:
    """Makes the page.

    Args:
        rows: The rows with their candidates.
    """
    candidates = rows.candidates
    in_order, solutions = candidates.has_left_out, candidates.solutions()
    figures = pass_at_k(solutions, in_order=in_order) if candidates.best_of.solved_by else []
    every = pass_all_k(solutions, in_order=in_order) if figures else []
    return DecisionParts(
        Sentence(_strong(candidates, figures), _rest(rows)),
        facts=_facts(candidates),
        tables=[_table(rows)],
        method=_method(rows, figures, every),
    )


def _strong(candidates: Candidates, figures: Sequence[PassAtK]) -> str:
    n, n_rows = _n_words(candidates.best_of.n), len(candidates.rows)
    if candidates.best_of.solved_by == UNKNOWN:
        return (
            f"The best of {n} is chosen by its score in {_rows(n_rows)}; nothing says which score "
            "solves one: give full_mark= or check=."
        )
    solved = f"{candidates.n_solved} of {_rows(n_rows)}"
    verb = "is" if candidates.n_solved == 1 else "are"
    return f"{solved} {verb} solved by the best of {n}{_single(figures[:1], n_rows)}."


def _single(first: Sequence[PassAtK], n_rows: int) -> str:
    """What one candidate alone would have solved."""
    if not first or math.isnan(first[0].at_least):
        return ""
    least, most = (round(share * n_rows) for share in (first[0].at_least, first[0].at_most))
    if least == most:
        return f"; a single candidate solves {least}"
    return f"; the first candidate alone solves {least} to {most}"


def _rest(rows: BestRows) -> str:
    candidates, sentences = rows.candidates, []
    if n_later := candidates.n_solved_by_retry:
        verb = "was" if n_later == 1 else "were"
        sentences.append(f"{n_later} of these {verb} solved only by a retry.")
    if candidates.n_open and candidates.best_of.solved_by:
        sentences.append(f"Of {_rows(candidates.n_open)} it is not known yet.")
    cost = candidates.cost_per_solved_usd
    if cost is not None and candidates.best_of.solved_by:
        least = "at least " if candidates.n_unknown_costs else ""
        sentences.append(f"A solved row costs {least}USD {amount(cost)}.")
    if candidates.best_of.is_scored:
        sentences.append(_flattery(rows))
    return " ".join(sentences)


def _flattery(rows: BestRows) -> str:
    """By how much the winners' scores are too good, as far as that is known."""
    losses = [
        row.best.score - rows.rescored[row.best.ids]
        for row in rows.candidates.rows
        if rows.rescored and row.best and row.best.score is not None
        if row.best.ids in rows.rescored
    ]
    if not losses:
        words = "The winners are picked by the same scores that are shown, so these are flattered"
        hint = ": `s.best_df(regrade=True)` has the winners graded anew"
        return f"{words}{hint if rows.candidates.is_graded else ''}."
    loss = math.fsum(losses) / len(losses)
    figure = number(abs(loss), digits_for(0.0, loss))
    if loss <= 0 or not figure.strip("0."):
        return "Scored anew, the winners do not lose on average."
    return f"Scored anew, the winners lose {figure} on average: part of their lead was luck."


def _facts(candidates: Candidates) -> str:
    costs = [f"USD {amount(candidates.cost_usd)} for all candidates"]
    if candidates.n_unknown_costs:
        costs.append(f"the cost of {candidates.n_unknown_costs} that were ended is not known")
    n_left_out = sum(one.is_not_needed for row in candidates.rows for one in row.candidates)
    if n_left_out:
        costs.append(f"{n_left_out} candidates were not needed")
    return " · ".join(costs)


def _table(rows: BestRows) -> DecisionTable:
    candidates = rows.candidates
    is_scored, is_rescored = candidates.best_of.is_scored, rows.rescored is not None
    low, high = _score_range(candidates)
    columns = [Column(rows.title), Column("outcome"), Column("best", True)]
    if is_scored:
        columns += [Column("score", True), Column("margin", True)]
        columns += [Column("rescored", True)] if is_rescored else []
        columns += [Column(f"scores, {number(low, _digits(low))} to {number(high, _digits(high))}")]
    columns += [Column("candidates"), Column("USD est.", True)]
    body = []
    for name, row in list(zip(rows.names, candidates.rows, strict=True))[:MOST_ROWS]:
        words, tone = _OUTCOMES[row.solved]
        cells = [Cell(name), Cell(words, tone), Cell(_which(row))]
        if is_scored:
            cells += [Cell(_score(row), "strong"), Cell(_margin(row))]
            cells += [Cell(_rescored(row, rows.rescored or {}))] if is_rescored else []
            cells += [Cell(_scores_text(row), picture=_scores_picture(row, low, high))]
        cost = row.cost_usd
        cells += [Cell(_counts(row), "mute"), Cell("" if cost is None else amount(cost))]
        body.append(cells)
    return DecisionTable("the best candidate of each row", columns, body)


def _which(row: CandidateRow) -> str:
    return "none" if row.best is None else f"{row.best.number} of {len(row.candidates)}"


def _score(row: CandidateRow) -> str:
    return "" if row.best is None or row.best.score is None else number(row.best.score, 2)


def _margin(row: CandidateRow) -> str:
    if row.n_equal > 1:
        return "tie"
    return "" if row.margin is None else number(row.margin, 2)


def _rescored(row: CandidateRow, rescored: Mapping[tuple[str, str], float]) -> str:
    score = rescored.get(row.best.ids) if row.best else None
    return "" if score is None else number(score, 2)


def _counts(row: CandidateRow) -> str:
    counts = ((kind, row.count(kind)) for kind in _KINDS)
    return ", ".join(f"{count} {_WORDS.get(kind, kind)}" for kind, count in counts if count)


def _score_range(candidates: Candidates) -> tuple[float, float]:
    """The ends of the axis: those of the scores if they have some, else what there is."""
    scores = [
        one.score for row in candidates.rows for one in row.candidates if one.score is not None
    ]
    low, high = candidates.score_range
    low = min([*scores, 0.0]) if low is None else low
    high = max([*scores, 1.0]) if high is None else high
    return (low, high) if high > low else (low, low + 1.0)


def _digits(value: float) -> int:
    return 0 if float(value).is_integer() else 2


def _scores_text(row: CandidateRow) -> str:
    scores = sorted(one.score for one in row.candidates if one.score is not None)
    return " ".join(number(score, 2) for score in scores)


def _scores_picture(row: CandidateRow, low: float, high: float) -> str:
    """A line with a circle for each candidate and a diamond for the best one."""
    others, best = [], ""
    for one in row.candidates:
        if one.score is None or not math.isfinite(one.score):
            continue
        share = min(1.0, max(0.0, (one.score - low) / (high - low)))
        x, y = _EDGE + share * (_WIDTH - 2 * _EDGE), _HEIGHT / 2
        if one is row.best:
            best = f'<path fill="currentColor" d="M{num(x - 5)} {num(y)}l5 -5l5 5l-5 5z"/>'
        else:
            others.append(
                f'<circle cx="{num(x)}" cy="{num(y)}" r="3.5" fill="none" stroke="currentColor" '
                'stroke-width="1.3"/>'
            )
    line = f'<path stroke="{GREY}" stroke-opacity=".4" d="M0 {num(_HEIGHT / 2)}H{_WIDTH}"/>'
    label = clean(f"scores {_scores_text(row)}; the best {_score(row)}")
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{label}">{line}{"".join(others)}{best}</svg>'
    )


def _method(rows: BestRows, figures: Sequence[PassAtK], every: Sequence[PassAtK]) -> str:
    candidates, sentences = rows.candidates, []
    if candidates.best_of.is_scored:
        sentences.append("◆ the best, ○ the others.")
    if figures and figures[-1].n_rows:  # else nobody knows of any row
        words = [
            _pass_words(f"pass@{one.k}", one) for one in dict.fromkeys([figures[0], figures[-1]])
        ]
        words += [_pass_words(f"all {_n_words(one.k)} solve", one) for one in every[-1:]]
        sentences.append(f"{' · '.join(words)}, {_which_rows(candidates, figures)}.")
        sentences.append(
            "Ranges in brackets are 95 % intervals for rows like these; "
            "`s.pass_at_k()` has every k."
        )
    n_more = len(candidates.rows) - MOST_ROWS
    if n_more > 0:
        sentences.append(f"{n_more} more rows are in the table.")
    sentences.append(
        'Merge the winners: `s.best_df().query("solved").cpr.merge()`; the others are kept as '
        "patches."
    )
    return " ".join(sentences)


def _which_rows(candidates: Candidates, figures: Sequence[PassAtK]) -> str:
    n_rows = _rows(figures[-1].n_rows)
    if not candidates.has_left_out:
        return f"from the {n_rows} whose candidates all ran"
    if all(one.is_known for one in figures):
        return f"in the order of their start, over all {n_rows}"
    return (
        f"in the order of their start, over all {n_rows}; bounds, because candidates were ended "
        "that might have solved them"
    )


def _pass_words(name: str, one: PassAtK) -> str:
    """A figure with its interval, or its bounds."""
    interval = ""
    if not math.isnan(one.low):
        interval = f" ({range_words(100 * one.low, 100 * one.high)})"
    if one.is_known:
        return f"{name} {number(100 * one.at_least)} %{interval}"
    return (
        f"{name} between {number(100 * one.at_least)} and {number(100 * one.at_most)} %{interval}"
    )


def _n_words(n: int) -> str:
    """A number in words, if it is small.

    Example:
        >>> _n_words(5), _n_words(20)
        ('five', '20')
    """
    return _NUMBERS[n - 2] if 2 <= n <= len(_NUMBERS) + 1 else str(n)


def _rows(n: int) -> str:
    return f"{n} row{'s' * (n != 1)}"
