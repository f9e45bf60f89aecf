"""A process that is ready, offered to a task that is about to start."""

from __future__ import annotations

from cpr_nb.runner.shared.served_attempt import ServedAttempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.runner.shared.shared_process import SharedProcess
    from cpr_nb.runner.starter import Starter


class Offer:
    """What a task needs to start in a shared process.

    Args:
        process: The process.
        starter: Knows the options of the session's tasks.
        end_soon: Called to end the attempt before it has ended by itself.

    Attributes:
        attempt: The attempt, once it has begun.
    """

    __slots__ = ("_end_soon", "_starter", "attempt", "process")

    def __init__(
        self, process: SharedProcess, starter: Starter, end_soon: Callable[[SharedProcess], None]
    ) -> None:
        self.process = process
        self._starter = starter
        self._end_soon = end_soon
        self.attempt: ServedAttempt | None = None

    @property
    def conversation_id(self) -> str:
        """The conversation that the task will be."""
        return self.process.machine.conversation_id

    @property
    def intent(self) -> dict[str, Any]:
        """What the journal says of it: where the stream of the task will be."""
        return {"process": self.process.number, "offset": self.process.machine.offset}

    def begin(
        self, task: int, task_spec: dict[str, Any], number: int, at_s: float
    ) -> ServedAttempt:
        """Sends the prompt.

        Args:
            task: The task's number, from 0.
            task_spec: Its object in session.json.
            number: Which attempt it is, from 1.
            at_s: The time.

        Raises:
            OSError: If the task's file can't be created; nothing is sent then.
        """
        attempt = ServedAttempt(
            self.process,
            self._end_soon,
            task,
            task_spec["id"],
            number,
            self._starter.paths,
            self._starter.attempt_options(task_spec),
        )
        self.process.machine.give(task, at_s)
        self.process.given(at_s)
        self.process.send(task_spec["prompt"])
        self.attempt = attempt
        return attempt
