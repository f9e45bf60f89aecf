"""Scores tasks before their end is recorded: a task waits for its score, not for anything else."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.scores import FUNCTION, SCORE, SCORE_ERROR, end_score
from cpr_nb.runner import instructions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.rules.function_scores import FunctionScores

    Held = instructions.Finish | instructions.Harvest


class Scoring:
    """Scores the tasks of a session.

    Args:
        spec: What session.json says of the score.
        effects: Knows the tasks that are under way.
        may_ask: Whether a function may be called; else its scores are missing.
    """

    def __init__(self, spec: dict[str, Any], effects: Effects, *, may_ask: bool = True) -> None:
        self._spec, self._effects = spec, effects
        self._held: dict[int, Held] = {}
        self._functions: FunctionScores | None = None
        if spec.get("kind") == FUNCTION and may_ask:
            from cpr_nb.runner.rules.function_scores import FunctionScores

            self._functions = FunctionScores(spec, effects)

    @property
    def is_busy(self) -> bool:
        """Whether a task waits for its score."""
        return bool(self._held)

    def hold(self, held: Held) -> bool:
        """Scores a task that is about to end.

        Args:
            held: What is to be done next. The worktree is still there before a harvest.

        Returns:
            Whether that must wait for the score: `released` returns it then.
        """
        task, outcome = held.task, held.outcome
        task_run = self._effects.task_runs.get(task)
        if task_run is None or task_run.recorded or task_run.extra.keys() & {SCORE, SCORE_ERROR}:
            return False  # it never started, has been recorded before, or has its score
        if self._functions is None:
            result = (task_run.facts.result if task_run.facts else None) or {}
            structure = result.get("structured_output")
            task_run.extra |= end_score(self._spec, outcome.outcome, outcome.reason, structure)
            return False
        if outcome.outcome != states.SUCCEEDED or task_run.facts is None:
            return False
        fields = self._functions.known(task_run)
        if fields is not None:
            task_run.extra |= fields
            return False
        self._functions.ask(task, task_run)
        self._effects.recorder.waits(task, task_run.facts, "its answer is being scored")
        self._held[task] = held
        return True

    def released(self, now: float) -> list[Held]:
        """What need not wait any more.

        Args:
            now: Seconds of the loop's clock.
        """
        if self._functions is None or not self._held:
            return []
        return [self._release(task, fields) for task, fields in self._functions.turn(now)]

    def give_up(self, why: str) -> list[Held]:
        """Lets all go on that wait for a score; they have none."""
        self.close()
        return [self._release(task, {SCORE_ERROR: why}) for task in list(self._held)]

    def close(self) -> None:
        """Ends the program that calls the function."""
        if self._functions is not None:
            self._functions.close()

    def _release(self, task: int, fields: dict[str, Any]) -> Held:
        self._effects.task_runs[task].extra |= fields
        return self._held.pop(task)
