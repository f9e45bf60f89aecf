"""What a session with ``stop_when="decided"`` has decided, as its status.json says and in words."""

from __future__ import annotations

import math
from typing import NamedTuple

from cpr_nb.model import sequential
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_LEVEL_CHARACTERS = 60
_POINTS = 100
_MAX_DIGITS = 6


class LevelDecision(NamedTuple):
    """What is decided about one level, compared with the baseline.

    Attributes:
        level: The level.
        verdict: ``"better"``, ``"worse"``, ``"no_difference"`` (none that matters), or None while
            nothing is decided.
        difference: The mean difference of the pairs, in the unit of the metric; None before the
            first pair.
        low: The lower end of the interval, which holds at every look.
        high: Its upper end.
        n_pairs: How many rows these figures are about.
        n_lost: How many rows before them have no pair: the network, an account or a machine failed.

    Example:
        >>> LevelDecision("opus", "better", 0.25, 0.04, 0.44, 60, 0).verdict
        'better'
    """

    level: Any
    verdict: str | None
    difference: float | None
    low: float
    high: float
    n_pairs: int
    n_lost: int


class Decision(NamedTuple):
    """What a session with ``stop_when="decided"`` says about its levels.

    Attributes:
        metric: ``"ok"`` or ``"score"``.
        factor: The option that varies.
        baseline: The level that the others are compared with.
        alpha: How often any of its verdicts may be wrong, and any of its intervals.
        delta: The smallest difference that matters; None if that was not asked.
        over: ``"rows like these"`` or ``"this table"``.
        n_rows: How many rows there are.
        levels: What is decided about the other levels.

    Example:
        >>> opus = LevelDecision("opus", "better", 0.25, 0.04, 0.44, 60, 0)
        >>> over = "rows like these"
        >>> decision = Decision("ok", "model", "sonnet", 0.05, None, over, 400, (opus,))
        >>> print(decision)  # doctest: +NORMALIZE_WHITESPACE
        opus is better than sonnet on rows like these: +25 points (4 to 44),
        decided after 60 of 400 rows
        >>> decision.is_decided
        True
    """

    metric: str
    factor: str
    baseline: Any
    alpha: float
    delta: float | None
    over: str
    n_rows: int
    levels: tuple[LevelDecision, ...]

    @property
    def is_decided(self) -> bool:
        """Whether there is a verdict about every level."""
        return all(level.verdict for level in self.levels)

    def __str__(self) -> str:
        return "\n".join(self.sentence(level) for level in self.levels)

    def sentence(self, level: LevelDecision) -> str:
        """What is known about a level, in one sentence.

        Args:
            level: One of ``levels``.
        """
        name, base = _name(level.level), _name(self.baseline)
        where = f"on {self.over}"
        if self.over == sequential.THIS_TABLE:
            where = f"on these {self.n_rows - level.n_lost} rows, as run once"
        if level.verdict is None:
            text = f"{name} against {base} {where}: not decided"
        elif level.verdict == sequential.NO_DIFFERENCE:
            text = f"no difference that matters between {name} and {base} {where}"
        else:
            text = f"{name} is {level.verdict} than {base} {where}"
        if level.difference is not None:
            text += f": {self._range(level)}"
        done = "decided after " if level.verdict else "after "
        text += f", {done}{level.n_pairs} of {self.n_rows} rows"
        if level.n_lost:
            were = "1 row has" if level.n_lost == 1 else f"{level.n_lost} rows have"
            text += f"; {were} no pair, for what the tasks ran on failed"
        return text

    def _range(self, level: LevelDecision) -> str:
        """The difference and its interval, as a comparison writes them: shares in points."""
        is_share = self.metric == "ok"
        ends = (level.difference or 0.0, level.low, level.high)
        figures = [(_POINTS if is_share else 1) * end for end in ends]
        digits = _digits(figures, 0 if is_share else None)
        mean, low, high = (f"{round(figure, digits) + 0.0:.{digits}f}" for figure in figures)
        sign = "" if mean.startswith("-") else "+"
        return f"{sign}{mean}{' points' if is_share else ''} ({low} to {high})"


def _digits(figures: list[float], n_least: int | None) -> int:
    """How many decimals a difference and its interval need.

    Steps of a third of the interval's width, since more digits would only look exact. But an end
    that is not 0 never looks like 0: what is decided would look undecided.
    """
    width = max(figures) - min(figures)
    digits = n_least
    if digits is None:
        digits = max(0, -math.floor(math.log10(width / 3))) if width else 2
    nearest = min(map(abs, figures))
    if min(figures) > 0 or max(figures) < 0:
        while digits < _MAX_DIGITS and round(nearest, digits) == 0:
            digits += 1
    return min(digits, _MAX_DIGITS)


def read_decision(head: dict[str, Any]) -> Decision | None:
    """What the head of status.json says of the decision; None if there is nothing sound.

    Args:
        head: The head. An agent may have written it, so nothing in it is taken for granted.

    Example:
        >>> read_decision({}) is None, read_decision({"decision": {"levels": 3}}) is None
        (True, True)
    """
    fields = head.get("decision")
    if not isinstance(fields, dict) or not isinstance(fields.get("levels"), list):
        return None
    levels = [_level(level) for level in fields["levels"]]
    alpha, n_rows = number(fields.get("alpha")), integer(fields.get("n_rows"))
    metric, over = fields.get("metric"), fields.get("over")
    known = metric in ("ok", "score") and over in sequential.SCOPES
    if not known or not levels or None in levels or alpha is None or n_rows is None:
        return None
    return Decision(
        str(metric),
        one_line(str(fields.get("factor"))),
        fields.get("baseline"),
        alpha,
        number(fields.get("delta")),
        str(over),
        n_rows,
        tuple(level for level in levels if level is not None),
    )


def _level(fields: Any) -> LevelDecision | None:
    if not isinstance(fields, dict):
        return None
    low, high = _finite(fields.get("low")), _finite(fields.get("high"))
    n_pairs, n_lost = integer(fields.get("n_pairs")), integer(fields.get("n_lost"))
    verdict = fields.get("verdict")
    if low is None or high is None or n_pairs is None or n_lost is None:
        return None
    return LevelDecision(
        fields.get("level"),
        verdict if verdict in sequential.VERDICTS else None,
        _finite(fields.get("difference")),
        low,
        high,
        n_pairs,
        n_lost,
    )


def _finite(value: object) -> float | None:
    """The value if it is a number, which may be negative."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def _name(level: Any) -> str:
    text = level if isinstance(level, str) else str(level)
    return one_line(text, _MAX_LEVEL_CHARACTERS)
