"""Reads what is new in the streams of the running tasks: events for the state machine."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.limits import reserved
from cpr_nb.model.outcome import Exit, derive
from cpr_nb.model.running_cost import usage_of
from cpr_nb.runner import messages
from cpr_nb.runner.attempt import Attempt
from cpr_nb.runner.load_gauge import LoadGauge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cpr_nb.model.limits import Limit
    from cpr_nb.runner.asking import Asking
    from cpr_nb.runner.process_table import ProcessTable
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.schedule import Schedule
    from cpr_nb.runner.session_spec import SessionSpec
    from cpr_nb.runner.task_run import TaskRun


# How often the streams of running tasks are read: that late we notice that the API refuses.
_POLL_EVERY_S = 0.25
# The same where a task must not run if the CLI's set-up is not as asked: it says so some 100 ms
# before its first request (measured).
_SETUP_POLL_S = 0.01


class Listener:
    """Listens to the attempts that run.

    Args:
        spec: What the session is to do.
        schedule: The state machine, which may want to know how busy the machine is.
        processes: What runs.
        recorder: Writes down that a task has answered while its process still runs.
        task_runs: The tasks that are under way.

    Attributes:
        hands_on: Whether a limit that a stream reports concerns only the node of its attempt.
        asking: Passes on what agents ask; None in a session whose agents ask nobody.
        poll_every_s: How long after `poll` it is to be called again.
    """

    def __init__(
        self,
        spec: SessionSpec,
        schedule: Schedule,
        processes: ProcessTable,
        recorder: Recorder,
        task_runs: dict[int, TaskRun],
    ) -> None:
        self._reserve = spec.session["options"].get("reserve")
        self._counts_costs = "budget_usd" in spec.session["options"]  # of tasks that run
        self._plans = spec.plans
        self._gauge = LoadGauge(schedule.wants_load)
        self._processes = processes
        self._recorder = recorder
        self._task_runs = task_runs
        self.hands_on: Callable[[Attempt, Limit], bool] = lambda _attempt, _limit: False
        self.poll_every_s = _POLL_EVERY_S
        self._all_due_at = 0.0
        self.asking = self._new_asking(spec) if spec.session["options"].get("ask") else None

    def _new_asking(self, spec: SessionSpec) -> Asking:
        from cpr_nb.runner.asking import Asking  # a few sessions need it

        return Asking(spec, self._processes, self._recorder)

    def poll(self, now: float) -> Iterator[messages.Event]:
        """Yields what the streams show; each event is to be handled before the next one is read.

        Args:
            now: Seconds of the loop's clock.
        """
        all_are_due = now >= self._all_due_at
        if all_are_due:
            self._all_due_at = now + _POLL_EVERY_S
            self._processes.keep_nice(now)
            yield from self._gauge.poll(now)
        for run in self._processes:
            if isinstance(run, Attempt) and (all_are_due or run.awaits_setup):
                news = run.stream.poll(now)
                if run.has_just_begun():
                    yield messages.Began(now, run.task)
                yield from self._windows(run, now)
                if news.answered:
                    yield messages.Responded(now, run.task)
                elif news.refused_s is not None:
                    yield messages.Throttled(now, run.task, news.refused_s)
                limit = run.limit_so_far(news.limit)  # later than the answer, if there was one
                if limit is not None and self.hands_on(run, limit):
                    run.kill_tree()
                elif limit is not None:
                    yield messages.Limited(now, run.task, limit)
                if self._counts_costs and run.stream.last_output_at == now:
                    yield messages.Spent(now, run.task, usage_of(run.stream.facts))
                yield from self._lingering(run, now)
                yield from self._setup(run, now)
        if self.asking is not None:
            self.asking.turn(now)
        attempts = (run for run in self._processes if isinstance(run, Attempt))
        is_urgent = any(attempt.awaits_setup for attempt in attempts)
        is_urgent |= self.asking is not None and self.asking.has_unsent
        self.poll_every_s = _SETUP_POLL_S if is_urgent else _POLL_EVERY_S

    def ended(self, attempt: Attempt, now: float) -> list[messages.Event]:
        """An attempt is over, and all that it asked; returns what its stream has shown last."""
        if self.asking is not None:
            self.asking.ended(attempt)
        return list(self._windows(attempt, now))

    def _windows(self, run: Attempt, now: float) -> Iterator[messages.Event]:
        """What the account's usage windows mean for a session that leaves a part of them."""
        info, run.stream.usage_windows = run.stream.usage_windows, None
        if self._reserve is not None and info is not None:
            yield messages.WindowUsed(now, run.task, reserved(info, self._reserve))

    def _setup(self, run: Attempt, now: float) -> Iterator[messages.Event]:
        self._recorder.warn(*run.new_setup_problems())
        if run.setup_problem and not run.terminated:
            yield messages.SetupRefused(now, run.task)

    def _lingering(self, run: Attempt, now: float) -> Iterator[messages.Event]:
        since, task_run = run.stream.lingers_since, self._task_runs.get(run.task)
        if task_run is None or run.terminated:
            return
        if since != task_run.lingers_since:
            task_run.lingers_since = since
            yield messages.Lingering(now, run.task, since)
        background = run.stream.background
        waits_for = background.now if background.turn_ended else ""
        if waits_for != task_run.waits_for:
            task_run.waits_for = waits_for
            self._record(run, task_run, waits_for)

    def _record(self, run: Attempt, task_run: TaskRun, waits_for: str) -> None:
        if not waits_for:
            self._recorder.works_again(run.task)
            return
        plan, facts = self._plans[run.task], run.stream.facts
        outcome = derive(
            Exit(0, result=facts.result, answered=facts.answered),
            schema=plan.schema,
            fail_on_denied=plan.fail_on_denied,
        )
        if outcome.outcome == states.SUCCEEDED:
            self._recorder.answered(run.task, task_run, facts, outcome, f"answered; {waits_for}")
        else:
            self._recorder.waits(run.task, facts, f"no answer yet; {waits_for}")
