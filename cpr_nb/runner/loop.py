"""The runner's only loop: feeds events to the state machine, and performs its instructions."""

from __future__ import annotations

import time
from collections import deque

from cpr_nb.model import states
from cpr_nb.model.running_cost import usage_of
from cpr_nb.runner import instructions, messages
from cpr_nb.runner.adoption import restore
from cpr_nb.runner.attempt import Attempt, SideRun
from cpr_nb.runner.clock import AwakeClock
from cpr_nb.runner.effects import Effects, end_all
from cpr_nb.runner.gitinfo import GitQuestion
from cpr_nb.runner.leftovers import Leftovers
from cpr_nb.runner.listener import Listener
from cpr_nb.runner.process_table import ProcessTable
from cpr_nb.runner.task_steps import GRACE_S
from cpr_nb.runner.unsaved_work import UnsavedWork
from cpr_nb.runner.wakeup import Wakeup
from cpr_nb.store.bubblewrap import remove_stand_ins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.runner.disk_monitor import DiskMonitor
    from cpr_nb.runner.history import History
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.recovery import Recovery
    from cpr_nb.runner.remote.leasing import Cluster
    from cpr_nb.runner.remote.node_events import NodeEvents
    from cpr_nb.runner.request_inbox import RequestInbox
    from cpr_nb.runner.rules.session_rules import SessionRules
    from cpr_nb.runner.schedule import Schedule
    from cpr_nb.runner.session_spec import SessionSpec
    from cpr_nb.runner.shared.pool import Pool
    from cpr_nb.runner.starter import Starter

# How often the folder of requests is read. A request is a person's click.
_REQUESTS_EVERY_S = 0.2
_IDENTIFY_AFTER_S = 0.02


class Loop:
    """Works through one session.

    Args:
        inbox: The requests of interfaces.
        spec: What the session is to do.
        recorder: Writes down what happens.
        starter: Starts processes.
        history: What earlier runners wrote.
        recovery: What became of the tasks that they had begun.
        schedule: The state machine, with those tasks restored.
        disk: Watches the disk and our lock.
        settle: Only carry out the requests that wait, then leave; start nothing.
        cluster: The nodes on which the tasks run; None: they run on this machine.
        rules: What decides which of them need not run; None: they all are to run.
    """

    def __init__(
        self,
        inbox: RequestInbox,
        spec: SessionSpec,
        recorder: Recorder,
        starter: Starter,
        history: History,
        recovery: Recovery,
        schedule: Schedule,
        disk: DiskMonitor,
        *,
        settle: bool = False,
        cluster: Cluster | None = None,
        rules: SessionRules | None = None,
    ) -> None:
        self._spec = spec
        self._recorder = recorder
        self._starter = starter
        self._history = history
        self._recovery = recovery
        self._schedule = schedule
        self._disk = disk
        self._settle = settle
        self._clock = AwakeClock()
        self._wakeup = Wakeup()
        self._processes = ProcessTable(self._wakeup, spec.session["options"].get("nice"))
        self._inbox = inbox
        self._effects = Effects(spec, recorder, starter, self._processes, self._clock)
        self._task_runs = self._effects.task_runs
        self._rules = rules
        if rules is not None:
            ends = self._harvest, self._end
            rules.connect(self._effects, schedule, *ends, may_ask=not settle)
        self._unsaved = UnsavedWork(recovery.unsaved, self._effects, self._processes, self._handle)
        self._listener = Listener(spec, schedule, self._processes, recorder, self._task_runs)
        inbox.asking = self._listener.asking
        self._git: GitQuestion | None = None
        self._leftovers = Leftovers()
        self._pool = self._new_pool() if any(plan.shares for plan in spec.plans) else None
        self._nodes = self._new_nodes(cluster) if cluster is not None else None
        self._probe_at_s: float | None = None  # seconds since the epoch
        self._next_requests_at = self._next_poll_at = 0.0
        self._more_to_reap = False
        self._leaving = False
        self._done = False
        self._performers: dict[type, Callable[[Any], Any]] = {
            instructions.Start: self._effects.start if self._pool is None else self._pool.start,
            instructions.Prepare: self._start_side,
            instructions.Check: self._start_side,
            instructions.Harvest: self._harvest if rules is None else rules.harvest,
            instructions.Rest: self._effects.rest,
            instructions.Finish: self._effects.finish if rules is None else rules.finish,
            instructions.Terminate: self._effects.terminate,
            instructions.Kill: self._effects.kill,
            instructions.Abandon: self._effects.abandon,
            instructions.PollOutput: self._effects.poll_output,
            instructions.ReportState: self._report_state,
            instructions.ReportParallel: self._recorder.report_parallel,
            instructions.End: self._end if rules is None else rules.end,
        }

    def _new_pool(self) -> Pool:
        from cpr_nb.runner.shared.pool import Pool  # a few sessions need it

        return Pool(
            self._effects,
            self._schedule,
            self._leftovers,
            self._history.last_process,
            self._recovery.processes.values(),
            self._handle,
            self._handle_end,
        )

    def _new_nodes(self, cluster: Cluster) -> NodeEvents:
        from cpr_nb.runner.remote.node_events import NodeEvents  # a few sessions need it

        ends = self._handle, self._handle_end, self._handle_side_end
        nodes = NodeEvents(cluster, self._wakeup, self._effects, self._pool, *ends)
        self._listener.hands_on = nodes.hands_on
        return nodes

    def run(self) -> None:
        """Runs until every task has ended, or someone stops this runner."""
        self._starter.helpers.hold(self._spec)
        self._restore()
        if self._nodes is not None:
            self._nodes.open(with_nodes=not self._settle)
        self._read_requests(self._clock.turn())
        if self._settle:
            self._handle(messages.Pause(self._clock.now()))
        self._ask_rules(self._clock.now())
        self._handle(messages.Tick(self._clock.now()))
        if not self._settle:
            self._git = GitQuestion(self._spec.session["cwd"])
        while not self._done and not self._may_leave():
            self._recorder.flush(self._clock.now())
            ready = self._wakeup.wait(self._timeout_ms())
            now = self._clock.turn()
            if self._disk.has_new_owner(now):
                self._processes.kill_all()  # and nothing more is written: it has a new owner
                return
            # First: an end starts the next task, and whoever stopped us may have asked for a pause.
            is_due = self._read_requests(now)
            self._reap()
            if self._nodes is not None:
                self._nodes.turn(now)
            for attempt in self._processes.reap_adopted(ready, poll=is_due):
                interrupted = self._leaving or attempt.is_unasked
                self._handle_end(attempt, None, {}, interrupted=interrupted)
            self._processes.identify(self._recorder.journal)
            self._poll_streams(now)
            if self._pool is not None:
                self._pool.turn(now, self._disk.reason)
            self._check_disk(now)
            if self._wakeup.n_stops and not self._leaving:
                self._leave(now)
            self._ask_rules(now)
            self._handle(messages.Tick(now))
            self._leftovers.sweep_in_time(now)
        if self._nodes is not None:
            self._nodes.close(for_good=self._done or self._disk.is_gone)
        self._inbox.close(has_ended=self._done or self._disk.is_gone)

    def abort(self, error: str) -> None:
        """Ends what runs, and records why the runner failed."""
        self._processes.kill_all()
        if self._rules is not None:
            self._rules.give_up("the runner failed")
        end_all(self._schedule, self._effects, f"the runner failed: {error}")
        self._recorder.end(states.ERROR, error)
        self._inbox.close(has_ended=True)

    # -- restoring and leaving --------------------------------------------------------------

    def _restore(self) -> None:
        """Goes on with what earlier runners had begun."""
        now = self._clock.now()
        restore(self._recovery, self._history, self._effects, self._handle, self._handle_end)
        self._unsaved.start_some(now)
        for event in self._inbox.replay(self._history.cancels, now):
            self._handle(event)

    def _leave(self, now: float) -> None:
        """Someone stops us (logout, Slurm, systemd): our agents end, and can be resumed."""
        self._leaving = True
        self._leave_by = now + GRACE_S
        self._recorder.journal("runner_stopping", signal=self._wakeup.stop_signal)
        self._handle(messages.Pause(now))
        if self._pool is not None:
            self._pool.leave()
        if self._rules is not None:
            self._rules.close()
        for run in self._processes:
            run.terminated = True
            run.terminate()

    def _may_leave(self) -> bool:
        """Whether nothing is left to do for a runner that does not stay to the end."""
        if not (self._settle or self._leaving):
            return self._disk.is_gone and self._processes.kill_all()  # nobody could read what comes
        if not (self._have_agents_ended() if self._leaving else self._is_settled()):
            return False
        self._leftovers.sweep()
        self._compare_repositories()
        self._recorder.leave(self._wakeup.stop_signal)
        return True

    def _is_settled(self) -> bool:
        """Whether everything that was requested is done and recorded."""
        busy = any(run.terminated or not isinstance(run, Attempt) for run in self._processes)
        return not (busy or self._recorder.trouble)

    def _have_agents_ended(self) -> bool:
        """Whether no agent runs now; those that take too long are killed."""
        in_time = self._clock.now() < self._leave_by and self._wakeup.n_stops < 2
        return not (self._processes.has_visible and in_time) and self._processes.kill_all()

    # -- time -------------------------------------------------------------------------------

    def _timeout_ms(self) -> float:
        if self._more_to_reap:
            return 0
        now = self._clock.now()
        waits = [self._next_requests_at - now, self._listener.poll_every_s]
        is_behind = self._nodes is not None and self._nodes.cluster.has_unsent
        if self._processes.unidentified or is_behind:
            waits.append(_IDENTIFY_AFTER_S)
        flush_s = self._recorder.flush_due_s(now)
        if flush_s is not None:
            waits.append(flush_s)
        for timer in (self._schedule, self._pool):
            if timer is not None and (at_s := timer.next_at) is not None:
                waits.append(at_s - now)
        return max(0.0, min(waits)) * 1000 + 1  # poll() counts in whole milliseconds

    # -- what happened ----------------------------------------------------------------------

    def _handle(self, event: messages.Event) -> None:
        events = deque([event])
        while events:
            for instruction in self._schedule.handle(events.popleft()):
                follow_up = self._performers[type(instruction)](instruction)
                if follow_up is not None:
                    events.append(follow_up)

    def _ask_rules(self, now: float) -> None:
        if self._rules is not None and not (self._settle or self._leaving):
            for event in self._rules.events(now):
                self._handle(event)

    def _reap(self) -> None:
        """Handles the children that have ended, for a while: each end starts another child."""
        self._more_to_reap = False
        while not self._more_to_reap:
            ended = self._processes.reap()
            if ended is None:
                return
            pid, run, status, peak_rss_bytes = ended
            if isinstance(run, Attempt):
                self._handle_end(run, status, {"peak_rss_bytes": peak_rss_bytes})
            elif isinstance(run, SideRun):
                self._handle_side_end(run, status)
            elif run is not None and self._pool is not None:
                self._pool.ended(run, status)
            elif self._git is not None and pid == self._git.pid:
                self._recorder.write_runner(**self._git.reply(status))
            self._more_to_reap = self._are_requests_due(self._clock.now())

    def _handle_end(
        self,
        attempt: Attempt,
        status: int | None,
        extra: dict[str, Any],
        *,
        interrupted: bool = False,
    ) -> None:
        now, task = self._clock.now(), attempt.task
        attempt.clean_up(self._leftovers, status)
        exit_, facts = attempt.collect(status)
        self._recorder.warn(*attempt.new_setup_problems())
        exit_.setup_problem = attempt.setup_problem
        if facts.is_cut_off:
            self._effects.count_transcript_tokens(task, facts)
        if facts.claude_version and "claude_version" not in self._recorder.runner:
            self._recorder.write_runner(claude_version=facts.claude_version)
        self._task_runs[task].end(now, exit_, facts, {**extra, **attempt.place_fields})
        limit = attempt.limit
        if limit is not None and self._listener.hands_on(attempt, limit):
            limit, exit_.result, interrupted = None, None, True
        event = messages.Ended(now, task, exit_, facts.cost_usd, limit=limit)
        event.began = facts.answered or attempt.stream.first_init is not None
        event.interrupted, event.usage = interrupted or self._leaving, usage_of(facts)
        for one in (*self._listener.ended(attempt, now), event):
            self._handle(one)

    def _handle_side_end(self, run: SideRun, status: int) -> None:
        run.kill_tree()
        if run.sandboxed and run.sandboxed not in self._processes.sandboxed_folders():
            remove_stand_ins(run.sandboxed)
        reply = {"error": run.error(status)} if run.kind == "check" else run.reply()
        if self._leaving:
            return  # the runner that comes after us does it again
        event = self._effects.side_event(run.kind, run.task, reply)
        if event is not None:
            self._handle(event)
        self._unsaved.start_some(self._clock.now())

    def _poll_streams(self, now: float) -> None:
        """Reads what is new in the streams of the running tasks."""
        if now < self._next_poll_at:
            return
        for event in self._listener.poll(now):
            self._handle(event)
        self._next_poll_at = now + self._listener.poll_every_s

    def _check_disk(self, now: float) -> None:
        if self._probe_at_s is not None and time.time() >= self._probe_at_s:
            self._probe_at_s = None
            self._handle(messages.Probe(now))
        change = self._disk.poll(now, self._recorder.trouble or self._effects.disk_trouble)
        self._effects.disk_trouble = ""
        if change is not None:
            self._handle(messages.DiskFull(now, change) if change else messages.DiskFree(now))

    def _are_requests_due(self, now: float) -> bool:
        return now >= self._next_requests_at or self._wakeup.was_stopped

    def _read_requests(self, now: float) -> bool:
        if not self._are_requests_due(now):
            return False
        self._wakeup.was_stopped = False
        self._next_requests_at = now + _REQUESTS_EVERY_S
        self._recorder.check_files()
        for event in self._inbox.drain(now):
            self._handle(event)
        return True

    # -- what to do -------------------------------------------------------------------------

    def _start_side(
        self, instruction: instructions.Instruction, *, may_wait: bool = True
    ) -> messages.Event | None:
        if self._leaving:
            return None  # the runner that comes after us does it
        kind = type(instruction).__name__.lower()
        return self._effects.start_side(kind, instruction.task, may_wait=may_wait)

    def _harvest(self, harvest: instructions.Harvest) -> messages.Event | None:
        self._recorder.harvest(harvest, self._task_runs[harvest.task])
        self._compare_repositories()  # before our own git runs there
        return self._start_side(harvest, may_wait=harvest.may_wait)

    def _report_state(self, report: instructions.ReportState) -> None:
        self._probe_at_s = until_s = report.until_s
        if until_s is None and report.gives_up_at is not None:
            until_s = time.time() + report.gives_up_at - self._clock.now()
        self._recorder.report_state(report, until_s)

    def _compare_repositories(self) -> None:
        self._recorder.warn(*self._effects.repositories.changes())

    def _end(self, end: instructions.End) -> None:
        if self._pool is not None:
            self._pool.close()
        self._leftovers.sweep()
        if self._git is not None and self._git.pid:
            self._recorder.write_runner(**self._git.wait())
        self._compare_repositories()
        if self._nodes is not None:
            self._nodes.cluster.leave()
        self._recorder.end(end.state)
        while self._recorder.trouble and not self._disk.is_gone:
            self._wakeup.wait(1000.0)
            self._disk.poll(self._clock.turn(), self._recorder.trouble)
            self._recorder.write_durably()
        self._done = True
