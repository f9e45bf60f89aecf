"""Rows of the usage of each model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cpr_nb.frames.streams import ObjectReader, TaskSelection
from cpr_nb.model import states
from cpr_nb.model.model_usage import ModelUsage, add_figures, share_out_figures
from cpr_nb.model.record import task_state

if TYPE_CHECKING:
    from cpr_nb.model.model_usage import Figures


class UsageReader(ObjectReader):
    """Reads the usage of each model from the stream of an attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.usage = ModelUsage()

    def handle_event(self, event: dict[str, Any]) -> None:
        """Handles one event."""
        self.usage.feed(event)


def usage_rows(selection: TaskSelection) -> Iterator[dict[str, Any]]:
    """One row per task and model."""
    for _, task in selection.tasks:
        used: dict[str | None, Figures] = {}
        for _attempt, reader in selection.attempts(task, UsageReader):
            for model, figures in reader.usage.by_model.items():
                add_figures(used, model, figures)
        if task_state(task)[0] == states.ENDED:
            used = share_out_figures(task, used)
        for model, figures in used.items():
            if any(value is not None for value in figures.values()):
                yield {**selection.ids(task), "model": model, **figures}
