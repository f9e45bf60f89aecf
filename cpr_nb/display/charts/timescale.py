"""From wall time to x; long stretches in which nothing ran are cut out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cpr_nb.views.formatting import clock

#: Steps between two labels, in seconds.
_STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
)
#: An idle stretch is cut if it is longer than this share of the time in which something ran.
_IDLE_SHARE = 0.2
_CUT_WIDTH = 26.0


class TimeScale:
    """Maps seconds since the epoch to x.

    Args:
        spans: When something ran: begin, end.
        left: The x of the first moment.
        right: The x of the last one.

    Example:
        >>> scale = TimeScale([(0, 60), (30, 100)], 0, 200)
        >>> scale(50.0)
        100.0
    """

    def __init__(self, spans: Iterable[tuple[float, float]], left: float, right: float) -> None:
        self._pieces = _pieces(sorted(spans))
        self.begin_s, self.end_s = self._pieces[0][0], self._pieces[-1][1]
        self.left, self.right = left, right
        active_s = sum(end - begin for begin, end in self._pieces)
        n_cuts = len(self._pieces) - 1
        # However many cuts there are, half of the width is left for what ran.
        self._cut_width = min(_CUT_WIDTH, (right - left) / 2 / max(n_cuts, 1))
        self._per_s = (right - left - self._cut_width * n_cuts) / max(active_s, 1e-9)

    def __call__(self, time_s: float) -> float:
        """Returns the x of a moment; in a cut, the beginning of the next stretch."""
        x = self.left
        for begin, end in self._pieces:
            if time_s <= end:
                return min(self.right, x + max(0.0, time_s - begin) * self._per_s)
            x += (end - begin) * self._per_s + self._cut_width
        return self.right

    def cuts(self) -> list[tuple[float, float, str]]:
        """Returns where time was cut out: from x, to x, and how long it was."""
        pairs = zip(self._pieces, self._pieces[1:], strict=False)
        return [(self(a[1]), self(b[0]), clock(b[0] - a[1])) for a, b in pairs]

    def ticks(self, most: int = 8) -> list[tuple[float, str]]:
        """Returns x and label of round times since the beginning."""
        active_s = sum(end - begin for begin, end in self._pieces)
        step = next((s for s in _STEPS_S if active_s / s <= most), None)
        step = step or max(_STEPS_S[-1], int(active_s / most))
        labels = []
        for begin, end in self._pieces:
            first = -(-(begin - self.begin_s) // step)
            n_steps = int((end - self.begin_s) // step - first) + 1
            times_s = [(first + i) * step for i in range(n_steps)]
            labels += [(self(self.begin_s + s), clock(s)) for s in times_s]
        return labels


def _pieces(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the stretches of time that are drawn; spans close to each other are merged."""
    merged: list[tuple[float, float]] = []
    for begin, end in spans:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    active_s = sum(end - begin for begin, end in merged)
    pieces: list[tuple[float, float]] = []
    for begin, end in merged:
        if pieces and begin - pieces[-1][1] <= max(1.0, active_s * _IDLE_SHARE):
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((begin, end))
    begin, end = pieces[-1]
    pieces[-1] = (begin, max(end, begin + 0.001))
    return pieces
