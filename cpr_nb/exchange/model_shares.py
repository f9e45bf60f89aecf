"""The share of each model in the tokens and cost of a task, for formats that tell models apart."""

from __future__ import annotations

from cpr_nb.model.events import parse_line
from cpr_nb.model.model_usage import ModelUsage, add_figures, share_out_figures
from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.exchange.session_record import TaskRecord
    from cpr_nb.model.model_usage import Figures

#: The lines that say it in most streams, and those that say it in one that was cut off.
_MARKS = (b'"modelUsage"', b'"model_usage_since_last_result"', b'"init"')
_MARKS_OF_MESSAGES = (b'"result"', b'"init"', b'"assistant"')


def model_shares(task: TaskRecord) -> dict[str | None, Figures]:
    """The tokens and the cost of each model in all attempts of a task.

    Args:
        task: The task.

    Returns:
        Model → its figures by our names; None stands for what no stream says of a model. They add
        up to the figures of the task.
    """
    used: dict[str | None, Figures] = {}
    for attempt in task.attempts:
        path = task.session.snapshot.paths.stream(task.id, attempt)
        figures = _read(path, _MARKS) or _read(path, _MARKS_OF_MESSAGES)
        for model, known in figures.items():
            add_figures(used, model, known)
    shares = share_out_figures(task.fields, used)
    return {model: figures for model, figures in shares.items() if figures}


def _read(path: str, marks: tuple[bytes, ...]) -> dict[str | None, Figures]:
    usage = ModelUsage()
    try:
        with open_regular(path) as file:
            for line in file:
                if any(mark in line for mark in marks):
                    usage.feed(parse_line(line) or {})
    except OSError:
        return {}
    return usage.by_model
