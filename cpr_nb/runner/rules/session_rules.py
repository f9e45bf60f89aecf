"""The rules of a session: asked before tasks start, told of every end."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.rules.rule import TaskEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from cpr_nb.runner import instructions
    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.history import History
    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.rules.rule import Rule
    from cpr_nb.runner.session_spec import SessionSpec

NOT_NEEDED = Outcome(states.CANCELLED, "not_needed")


def _siblings(spec: SessionSpec) -> Rule:
    from cpr_nb.runner.rules.siblings import Siblings

    return Siblings.of_session(spec.session, spec.n_tasks)


def _pilot(spec: SessionSpec) -> Rule:
    from cpr_nb.runner.rules.pilot import Pilot

    return Pilot.of_session(spec.session, spec.n_tasks)


#: The keys of session.json that ask for a rule → what makes it. Each imports its own module.
_MAKERS: dict[str, Callable[[SessionSpec], Rule]] = {"best_of": _siblings, "pilot": _pilot}


class SessionRules:
    """The rules of a session.

    Args:
        spec: What the session is to do.
        recorder: Writes down what happens.

    Attributes:
        effects: Records ends; the loop sets it.
    """

    effects: Effects

    def __init__(self, spec: SessionSpec, recorder: Recorder) -> None:
        self._rules = [make(spec) for key, make in _MAKERS.items() if key in spec.session]
        self._recorder = recorder
        self._not_needed: set[int] = set()
        self._shown: dict[str, Any] = {}

    def restore(self, history: History, numbers: dict[str, int]) -> None:
        """Tells the rules what ended under earlier runners."""
        reopened = {numbers[task_id] for task_id in history.reopened}
        for rule in self._rules:
            rule.reopened(reopened)
        if history.is_rest_asked:
            self.rest_asked()
        past = {numbers[task_id]: task for task_id, task in history.tasks.items()}
        for number in sorted(past):
            if (fields := past[number].ended) is not None:
                self._pass_on(number, fields)

    def finish(self, finish: instructions.Finish) -> None:
        """Records how a task ended, and tells the rules."""
        task, outcome = finish.task, finish.outcome
        if task in self._not_needed and outcome.outcome == states.CANCELLED:
            outcome = NOT_NEEDED
        fields = self.effects.end(task, outcome)
        if fields is not None:
            self._pass_on(task, fields)

    def _pass_on(self, task: int, fields: dict[str, Any]) -> None:
        names = ("outcome", "reason", "score", "cost_usd", "duration_s")
        end = TaskEnd(*(fields.get(name) for name in names))  # type: ignore[arg-type]
        for rule in self._rules:
            rule.ended(task, end)

    def rest_asked(self) -> None:
        """Somebody wants what the rules hold back to run, too."""
        for rule in self._rules:
            rule.rest_asked()

    def scored(self, task: int, score: float | None) -> None:
        """A task got its score after its end; None: it will have none."""
        for rule in self._rules:
            rule.scored(task, score)

    def events(self, now: float) -> Iterator[Event]:
        """What the rules have decided since they were last asked."""
        for rule in self._rules:
            for event in rule.events(now):
                if isinstance(event, messages.Cancel):
                    self._not_needed.add(event.task)
                yield event
        fields: dict[str, Any] = {}
        for rule in self._rules:
            fields |= rule.fields()
        if fields != self._shown:
            self._shown = fields
            self._recorder.show(**fields)

    def held(self) -> Iterable[int]:
        """The tasks that a rule holds back at first."""
        return {task for rule in self._rules for task in rule.held()}
