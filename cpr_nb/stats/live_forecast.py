"""The forecast of a session that runs, for every interface: the same as `Session.forecast`.

NumPy is loaded once there is something to forecast.
"""

from __future__ import annotations

import math

from cpr_nb.model.json_values import integer
from cpr_nb.model.row_progress import SessionProgress
from cpr_nb.views.rows_so_far import RowsSoFar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.stats.draws import Prediction
    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.figures import FiguresFollower
    from cpr_nb.views.forecast import Outlook

#: With fewer rows there is no range with two ends; the interfaces then show an estimate of theirs.
FEWEST_ENDED = 20
_N_FUTURES = 800


def live_forecast(snapshot: Snapshot, figures: FiguresFollower) -> Outlook | None:
    """What is left of a session, and what it will have cost.

    Args:
        snapshot: The session.
        figures: Its figures, up to date.

    Returns:
        The range of what is left, in seconds, and the cost in total with its range; a high end
        that can't be trusted is infinite. None while too few rows have ended.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> from cpr_nb.views.figures import session_figures
        >>> snapshot = read_session("/no/such/session-1")
        >>> live_forecast(snapshot, session_figures(snapshot)) is None
        True
    """
    progress = RowsSoFar(snapshot, figures).progress()
    if progress.is_held:  # what waits for somebody's word is not to come
        n_held = integer((snapshot.head.get("pilot") or {}).get("n_held")) or 0
        n_more = max(0, progress.n_more - n_held // progress.tasks_per_row)
        progress = progress._replace(n_more=n_more)
    if len(progress.ended) < FEWEST_ENDED or not progress.n_more + len(progress.running):
        return None
    return _outlook(progress, snapshot.session_id)


def _outlook(progress: SessionProgress, session_id: str) -> Outlook:
    from cpr_nb.stats.session_forecast import forecast

    made = forecast(progress, session_id, _N_FUTURES)
    left, cost = made.time_s.plus(-progress.elapsed_s), made.cost_usd
    return (
        (max(left.low, 0.0), _high(left)) if left.is_known else None,
        (cost.value, cost.low, _high(cost)) if cost.is_known else None,
    )


def _high(prediction: Prediction) -> float:
    return math.inf if prediction.wide else prediction.high
