"""The rules of a session: asked before tasks start, told of every end."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import instructions, messages
from cpr_nb.runner.rules.rule import TaskEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.history import History
    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.rules.rule import Rule
    from cpr_nb.runner.rules.scores_at_end import Scoring
    from cpr_nb.runner.schedule import Schedule
    from cpr_nb.runner.session_spec import SessionSpec

_CANCELLED = "the session was cancelled"
NOT_NEEDED = Outcome(states.CANCELLED, "not_needed")


def _grade_scores(spec: SessionSpec) -> Rule:
    from cpr_nb.runner.rules.grade_scores import GradeScores

    numbers = {spec.task(number)["id"]: number for number in range(spec.n_tasks)}
    # The last decision needs all scores, and so does the number of rows that are solved.
    decides = "stop_rule" in spec.session or "best_of" in spec.session
    return GradeScores(spec.session["grade"]["session_id"], numbers, decides=decides)


def _grading_rule(spec: SessionSpec) -> Rule:
    import cpr_nb.runner.graded_material  # noqa: F401 - now: later, it could be a newer one
    from cpr_nb.runner.rules.grading_rule import GradingRule

    graded = (spec.task(number)["grades"] for number in range(spec.n_tasks))
    return GradingRule((one["session_id"], one["task_id"]) for one in graded)


def _siblings(spec: SessionSpec) -> Rule:
    from cpr_nb.runner.rules.siblings import Siblings

    return Siblings.of_session(spec.session, spec.n_tasks)


def _pilot(spec: SessionSpec) -> Rule:
    from cpr_nb.runner.rules.pilot import Pilot

    return Pilot.of_session(spec.session, spec.n_tasks)


def _stopping(spec: SessionSpec) -> Rule:
    from cpr_nb.runner.rules.early_stop import make_stopping

    return make_stopping(spec)


#: The keys of session.json that ask for a rule → what makes it. Each imports its own module.
_MAKERS: dict[str, Callable[[SessionSpec], Rule]] = {
    "grade": _grade_scores,
    "grading": _grading_rule,
    "best_of": _siblings,
    "stop_rule": _stopping,
    "pilot": _pilot,
}


class SessionRules:
    """The rules of a session.

    Args:
        spec: What the session is to do.
        recorder: Writes down what happens.

    Attributes:
        effects: Records ends.
    """

    effects: Effects

    def __init__(self, spec: SessionSpec, recorder: Recorder) -> None:
        self._rules = [make(spec) for key, make in _MAKERS.items() if key in spec.session]
        self._score = spec.session.get("score")
        self._scoring: Scoring | None = None
        self._waiting_end: instructions.End | None = None
        self._recorder = recorder
        self._not_needed: set[int] = set()
        self._has_warned = False
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

    def connect(
        self,
        effects: Effects,
        schedule: Schedule,
        harvest: Callable[[instructions.Harvest], Event | None],
        end: Callable[[instructions.End], None],
        *,
        may_ask: bool,
    ) -> None:
        """Connects the rules with the loop, which is made after them.

        Args:
            effects: Records ends.
            schedule: Knows whether somebody has cancelled the session.
            harvest: Starts the harvest of a task's worktree.
            end: Ends the session.
            may_ask: Whether scores may take their time.
        """
        self.effects, self._schedule, self._harvest, self._end = effects, schedule, harvest, end
        if self._score is not None:
            from cpr_nb.runner.rules.scores_at_end import Scoring

            self._scoring = Scoring(self._score, effects, may_ask=may_ask)

    def harvest(self, harvest: instructions.Harvest) -> Event | None:
        """Starts the harvest of a task's worktree, once the task has its score."""
        is_held = self._scoring is not None and self._scoring.hold(harvest)
        return None if is_held else self._harvest(harvest)

    def end(self, end: instructions.End) -> None:
        """Ends the session, once all tasks have their scores."""
        if self._is_waiting():
            self._waiting_end = end
        else:
            self.close()
            self._end(end)

    def _is_waiting(self) -> bool:
        if self._scoring is not None and self._scoring.is_busy:
            return True
        return not self._schedule.is_cancelled and any(rule.is_waiting() for rule in self._rules)

    def give_up(self, why: str) -> None:
        """Records the ends that wait for a score, without one."""
        if self._scoring is not None:
            for held in self._scoring.give_up(why):
                if isinstance(held, instructions.Finish):
                    self._record(held)

    def close(self) -> None:
        """Ends what runs for the rules."""
        if self._scoring is not None:
            self._scoring.close()

    def finish(self, finish: instructions.Finish) -> None:
        """Records how a task ended, once it has its score."""
        if self._scoring is None or not self._scoring.hold(finish):
            self._record(finish)

    def _record(self, finish: instructions.Finish) -> None:
        """Records how a task ended, and tells the rules."""
        task, outcome = finish.task, finish.outcome
        if task in self._not_needed and outcome.outcome == states.CANCELLED:
            outcome = NOT_NEEDED
        for rule in self._rules:
            outcome = rule.outcome_of(task, outcome)
        fields = self.effects.end(task, outcome)
        if fields is not None:
            self._warn_of(fields.get("score_error"))
            self._pass_on(task, fields)
            self._show()  # nobody is asked after the last end

    def _warn_of(self, error: str | None) -> None:
        """Warns of the first answer that has no score: the others often miss it, too."""
        if error and error != _CANCELLED and not self._has_warned:
            self._has_warned = True
            self._recorder.warn(f"an answer has no score: {error}; score_error in results_df")

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
        yield from self._events_of_scores(now)
        for rule in self._rules:
            for task, score in rule.scores(now):
                self.scored(task, score)
        for rule in self._rules:
            for event in rule.events(now):
                if isinstance(event, messages.Cancel):
                    self._not_needed.add(event.task)
                yield event
        self._show()
        if self._waiting_end is not None and not self._is_waiting():
            end, self._waiting_end = self._waiting_end, None
            self.end(end)

    def _show(self) -> None:
        """Shows what the rules say, if that is new."""
        fields: dict[str, Any] = {}
        for rule in self._rules:
            fields |= rule.fields()
        if fields != self._shown:
            self._shown = fields
            self._recorder.show(**fields)

    def _events_of_scores(self, now: float) -> Iterator[Event]:
        """Goes on with the tasks that have their scores by now."""
        if self._scoring is None:
            return
        is_cancelled = self._scoring.is_busy and self._schedule.is_cancelled
        give_up = self._scoring.give_up
        for held in give_up(_CANCELLED) if is_cancelled else self._scoring.released(now):
            if isinstance(held, instructions.Finish):
                self._record(held)
            elif (event := self._harvest(held)) is not None:
                yield event

    def held(self) -> Iterable[int]:
        """The tasks that a rule holds back at first."""
        return {task for rule in self._rules for task in rule.held()}
