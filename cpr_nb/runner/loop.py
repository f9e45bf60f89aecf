"""Performs what the state machine decides: the runner's only loop, one thread, no busy wait."""

from __future__ import annotations

import time
from collections import deque

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages, process, task_state
from cpr_nb.runner.attempt import Attempt
from cpr_nb.runner.clock import AwakeClock
from cpr_nb.runner.effects import Effects
from cpr_nb.runner.gitinfo import GitQuestion
from cpr_nb.runner.process_table import ProcessTable
from cpr_nb.runner.request_inbox import RequestInbox
from cpr_nb.runner.task_run import TaskRun
from cpr_nb.runner.task_table import GRACE_S
from cpr_nb.runner.transcript import tokens_since
from cpr_nb.runner.wakeup import Wakeup
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.runner.attempt import SideRun
    from cpr_nb.runner.disk_monitor import DiskMonitor
    from cpr_nb.runner.history import History
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.recovery import Recovery
    from cpr_nb.runner.schedule import Schedule
    from cpr_nb.runner.session_spec import SessionSpec
    from cpr_nb.runner.starter import Starter
    from cpr_nb.store.layout import SessionPaths

# How often the folder of requests is looked at. A request is a person's click.
_REQUESTS_EVERY_S = 0.2
# How often the streams of running tasks are read: so late we hear that the API refuses.
_LOOK_EVERY_S = 0.25
_IDENTIFY_AFTER_S = 0.02
# How often what ended tasks left behind is swept up: one look serves all that ended since.
_SWEEP_EVERY_S = 1.0


class Loop:
    """Works through one session.

    Args:
        paths: The session's paths.
        asked: What was asked.
        recorder: Writes down what happens.
        starter: Starts attempts.
        history: What earlier runners wrote.
        recovery: What became of the tasks that they had begun.
        schedule: The state machine, which knows of that already.
        room: Watches the disk and our lock.
        settle: Only carry out the requests that wait, then leave: nothing is started.
    """

    def __init__(
        self,
        paths: SessionPaths,
        asked: SessionSpec,
        recorder: Recorder,
        starter: Starter,
        history: History,
        recovery: Recovery,
        schedule: Schedule,
        room: DiskMonitor,
        *,
        settle: bool = False,
    ) -> None:
        self._asked = asked
        self._recorder = recorder
        self._starter = starter
        self._history = history
        self._recovery = recovery
        self._schedule = schedule
        self._room = room
        self._settle = settle
        self._clock = AwakeClock()
        self._wakeup = Wakeup()
        self._runs = ProcessTable(self._wakeup)
        self._orders = RequestInbox(paths, asked, recorder)
        self._hands = Effects(asked, recorder, starter, self._runs, self._clock)
        self._flights = self._hands.flights
        self._git: GitQuestion | None = None
        self._leftovers: list[str] = []
        self._probe_at_s: float | None = None  # seconds since the epoch
        self._next_sweep_at = self._next_requests_at = self._next_look_at = 0.0
        self._more_to_reap = False
        self._leaving = False
        self._done = False

    def run(self) -> None:
        """Runs until every task has ended, or this runner is told to leave."""
        self._take_up()
        self._read_requests(self._clock.turn())
        if self._settle:
            self._handle(messages.Pause(self._clock.now()))
        self._handle(messages.Tick(self._clock.now()))
        if not self._settle:
            self._git = GitQuestion(self._asked.head["cwd"])
        while not self._done and not self._may_leave():
            self._recorder.flush(self._clock.now())
            ready = self._wakeup.wait(self._timeout_ms())
            now = self._clock.turn()
            self._reap()
            for attempt in self._runs.reap_adopted(ready, poll=now >= self._next_requests_at):
                self._take_end(attempt, None, {}, interrupted=self._leaving)
            self._runs.identify(self._recorder.journal)
            self._listen(now)
            self._read_requests(now)
            self._mind_the_room(now)
            if self._wakeup.n_stops and not self._leaving:
                self._leave(now)
            self._handle(messages.Tick(now))
            self._sweep(now)

    def abort(self, error: str) -> None:
        """The runner can't go on: ends what runs and says why."""
        for run in self._runs:
            run.kill_tree()
        for task in range(self._asked.n_tasks):
            phase = self._schedule.phase(task)
            if phase != task_state.ENDED:
                began = phase != task_state.PENDING
                outcome = states.FAILED if began else states.SKIPPED
                end = Outcome(outcome, "unknown", f"the runner failed: {error}")
                try:
                    self._hands.finish(messages.Finish(task, end))
                except (OSError, ValueError):
                    continue  # what made us fail may be in the way of this too
        self._recorder.end(states.ERROR, error)

    # -- beginning and leaving --------------------------------------------------------------

    def _take_up(self) -> None:
        """Adopts the agents that still run, and hears of the end of those that don't."""
        recovery, now = self._recovery, self._clock.now()
        for task, elapsed_s in recovery.elapsed_s.items():
            task_id = self._asked.task(task)["id"]
            self._flights[task] = TaskRun(task_id, now - elapsed_s)
            self._flights[task].checkout = self._history.tasks[task_id].checkout
        for task, attempt in recovery.attempts.items():
            flight = self._flights[task]
            flight.begin(attempt.number, recovery.conversation_id(task))
            flight.started_s = recovery.started_s.get(task)
            if recovery.past[task].to_harvest:
                flight.end(now, *attempt.collect(None), {})
                self._hands.beside("harvest", task)
                continue
            if task in recovery.alive:
                self._recorder.journal("adopted", task_id=attempt.task_id, pid=attempt.pid)
                self._runs.adopt(attempt)
            else:
                self._runs.by_task[task] = attempt
            self._handle(messages.Started(now, task))
            if task not in recovery.alive:
                del self._runs.by_task[task]
                self._take_end(attempt, None, {}, interrupted=True)
        for event in self._orders.again(self._history.cancels, now):
            self._handle(event)

    def _leave(self, now: float) -> None:
        """Somebody ends us (logout, Slurm, systemd): our agents end, and may be resumed."""
        self._leaving = True
        self._leave_by = now + GRACE_S
        self._recorder.journal("runner_stopping", signal=self._wakeup.stop_signal)
        self._handle(messages.Pause(now))
        for run in self._runs:
            run.stopped = True
            run.terminate()

    def _may_leave(self) -> bool:
        """Whether nothing is left to do for a runner that does not stay to the end."""
        if self._settle:
            busy = any(run.stopped or not isinstance(run, Attempt) for run in self._runs)
            if busy or self._recorder.trouble:
                return False
        elif self._leaving:
            in_time = self._clock.now() < self._leave_by and self._wakeup.n_stops < 2
            if len(self._runs) and in_time:
                return False
            for run in self._runs:
                run.kill_tree()
        elif self._room.is_gone:  # nobody could read what comes: nothing more is to be spent
            for run in self._runs:
                run.kill_tree()
            return True
        else:
            return False
        process.sweep(self._leftovers)
        self._recorder.leave(self._wakeup.stop_signal)
        return True

    # -- time -------------------------------------------------------------------------------

    def _timeout_ms(self) -> float:
        if self._more_to_reap:
            return 0
        now = self._clock.now()
        waits = [self._next_requests_at - now]
        if self._runs.unidentified:
            waits.append(_IDENTIFY_AFTER_S)
        flush_s = self._recorder.flush_due_s(now)
        if flush_s is not None:
            waits.append(flush_s)
        if self._schedule.next_at is not None:
            waits.append(self._schedule.next_at - now)
        return max(0.0, min(waits)) * 1000 + 1  # poll() counts in whole milliseconds

    # -- what happened ----------------------------------------------------------------------

    def _handle(self, event: messages.Event) -> None:
        events = deque([event])
        while events:
            for instruction in self._schedule.handle(events.popleft()):
                follow_up = self._perform(instruction)
                if follow_up is not None:
                    events.append(follow_up)

    def _reap(self) -> None:
        """Takes the children that have ended; not for ever, for each end starts another child."""
        self._more_to_reap = False
        while not self._more_to_reap:
            found = self._runs.reap()
            if found is None:
                return
            pid, run, status, peak_rss_bytes = found
            if isinstance(run, Attempt):
                self._take_end(run, status, {"peak_rss_bytes": peak_rss_bytes})
            elif run is not None:
                self._take_side(run, status)
            elif self._git is not None and pid == self._git.pid:
                self._recorder.write_runner(**self._git.answer(status))
            self._more_to_reap = self._clock.now() >= self._next_requests_at

    def _take_end(
        self,
        attempt: Attempt,
        status: int | None,
        extra: dict[str, Any],
        *,
        interrupted: bool = False,
    ) -> None:
        now, task = self._clock.now(), attempt.task
        if attempt.stopped or status is None:
            attempt.kill_tree()
        else:
            self._leftovers.append(attempt.token)
        exit_, facts = attempt.collect(status)
        if facts.result is None and facts.answered:
            self._ask_transcript(self._flights[task], facts)
        if facts.claude_version and "claude_version" not in self._recorder.runner:
            self._recorder.write_runner(claude_version=facts.claude_version)
        self._flights[task].end(now, exit_, facts, extra)
        event = messages.Ended(now, task, exit_, facts.cost_usd, limit=attempt.limit)
        event.interrupted = interrupted or self._leaving
        self._handle(event)

    def _ask_transcript(self, flight: TaskRun, facts: RunFacts) -> None:
        """The tokens of a run that was killed: its transcript knows them to the end."""
        path = self._starter.transcript(flight.task_id, flight.conversation_id)
        if path is not None and flight.started_s is not None:
            facts.tokens = tokens_since(path, utc_iso(flight.started_s)) or facts.tokens

    def _take_side(self, run: SideRun, status: int) -> None:
        run.kill_tree()
        answer = {"error": run.error(status)} if run.kind == "check" else run.answer()
        if not self._leaving:  # else it is done again by the runner that comes after us
            self._handle(self._hands.side_event(run.kind, run.task, answer))

    def _listen(self, now: float) -> None:
        """Reads along in the streams of the running tasks."""
        if now < self._next_look_at:
            return
        self._next_look_at = now + _LOOK_EVERY_S
        for run in self._runs:
            if isinstance(run, Attempt):
                news = run.stream.look(now)
                if news.answered:
                    self._handle(messages.Responded(now, run.task))
                elif news.refused_s is not None:
                    self._handle(messages.Throttled(now, run.task, news.refused_s))
                if news.limit is not None:  # later than the answer, if there was one
                    self._handle(messages.Limited(now, run.task, news.limit))

    def _mind_the_room(self, now: float) -> None:
        if self._probe_at_s is not None and time.time() >= self._probe_at_s:
            self._probe_at_s = None
            self._handle(messages.Probe(now))
        change = self._room.look(now, self._recorder.trouble or self._hands.disk_trouble)
        self._hands.disk_trouble = ""
        if change is not None:
            self._handle(messages.DiskFull(now, change) if change else messages.DiskFree(now))

    def _read_requests(self, now: float) -> None:
        if now < self._next_requests_at:
            return
        self._next_requests_at = now + _REQUESTS_EVERY_S
        self._recorder.check_files()
        for event in self._orders.take(now):
            self._handle(event)

    # -- what to do -------------------------------------------------------------------------

    def _perform(self, instruction: messages.Instruction) -> messages.Event | None:
        if isinstance(instruction, messages.Start):
            return self._hands.start(instruction)
        if isinstance(instruction, messages.Finish):
            self._hands.finish(instruction)
        elif isinstance(instruction, messages.Harvest):
            self._recorder.harvest(instruction, self._flights[instruction.task])
            return None if self._leaving else self._hands.beside("harvest", instruction.task)
        elif isinstance(instruction, messages.Check | messages.Prepare):
            kind = "check" if isinstance(instruction, messages.Check) else "prepare"
            return None if self._leaving else self._hands.beside(kind, instruction.task)
        elif isinstance(instruction, messages.Rest):
            self._recorder.resting(instruction, self._flights[instruction.task])
        elif isinstance(instruction, messages.Stop):
            run = self._runs.by_task[instruction.task]
            run.stopped = True
            self._recorder.journal("stop", task_id=run.task_id, cause=instruction.cause)
            run.terminate()
        elif isinstance(instruction, messages.Kill):
            self._runs.by_task[instruction.task].kill_tree()
        elif isinstance(instruction, messages.PollOutput):
            return self._listen_to(instruction.task)
        elif isinstance(instruction, messages.ReportState):
            self._probe_at_s = instruction.until_s
            self._recorder.tell(instruction)
        elif isinstance(instruction, messages.End):
            self._end(instruction.state)
        return None

    def _listen_to(self, task: int) -> messages.Event | None:
        run, now = self._runs.by_task[task], self._clock.now()
        if not isinstance(run, Attempt):
            return None
        run.stream.look(now)
        return messages.OutputPolled(now, task, run.stream.last_output_at, run.stream.busy_until)

    def _sweep(self, now: float) -> None:
        if self._leftovers and now >= self._next_sweep_at:
            self._next_sweep_at = now + _SWEEP_EVERY_S
            process.sweep(self._leftovers)
            self._leftovers.clear()

    def _end(self, state: str) -> None:
        process.sweep(self._leftovers)
        self._leftovers.clear()
        if self._git is not None and self._git.pid:
            self._recorder.write_runner(**self._git.wait())
        self._recorder.end(state)
        while self._recorder.trouble and not self._room.is_gone:
            self._wakeup.wait(1000.0)
            self._room.look(self._clock.turn(), self._recorder.trouble)
            self._recorder.settle()
        self._done = True
