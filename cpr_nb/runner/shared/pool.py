"""The shared processes of a session: started, given tasks, watched, ended."""

from __future__ import annotations

import os

from cpr_nb.runner import messages
from cpr_nb.runner.session_spec import ChangedError
from cpr_nb.runner.shared import process_machine as machine
from cpr_nb.runner.shared.borders import RESULT
from cpr_nb.runner.shared.ended_processes import EndedProcesses
from cpr_nb.runner.shared.offer import Offer
from cpr_nb.runner.shared.process_groups import Group
from cpr_nb.runner.shared.renewal import why_not
from cpr_nb.runner.shared.shared_process import SharedProcess
from cpr_nb.runner.spawning import HeldError, NoNodeError, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.instructions import Start
    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.runner.schedule import Schedule
    from cpr_nb.runner.shared.recovered import RecoveredProcess
    from cpr_nb.runner.shared.served_attempt import ServedAttempt

#: How often the stream of a process is read, depending on what is expected of it, in seconds.
_CLEARING_EVERY_S = 0.003
_STARTING_EVERY_S = 0.02
_SOONEST_S, _LATEST_S = 0.005, 0.25
#: The longer a task runs, the less it matters when its end is noticed.
_PART_OF_ITS_TIME = 1 / 16
#: By how much the limit of a process and that of a task may differ, in shares of the latter.
_LIMIT_TOLERANCE = 0.1


class Pool:
    """Serves tasks.

    Args:
        effects: Begins attempts.
        schedule: The state machine, with the tasks of earlier runners restored.
        leftovers: Gets what tasks may have left behind.
        last_number: The number of the last process that an earlier runner started; 0 for none.
        recovered: The processes that earlier runners started, if those may have left anything.
        handle: Handles an event.
        handle_end: Handles the end of an attempt, as `Loop` does.

    Attributes:
        leaving: Whether the runner is about to leave, so that agents are to end at once.
    """

    def __init__(
        self,
        effects: Effects,
        schedule: Schedule,
        leftovers: Leftovers,
        last_number: int,
        recovered: Iterable[RecoveredProcess],
        handle: Callable[[messages.Event], None],
        handle_end: Callable[..., None],
    ) -> None:
        self._effects = effects
        self._spec = effects.spec
        self._recorder = effects.recorder
        self._starter = effects.starter
        self._processes = effects.processes
        self._clock = effects.clock
        self._schedule = schedule
        self._handle = handle
        self._handle_end = handle_end
        self._waiting: list[Start] = []
        self._alive: list[SharedProcess] = []
        self._attempts: dict[SharedProcess, ServedAttempt] = {}
        self._last_number = last_number
        self._has_news = False  # tasks wait that nobody has looked at
        self._ended = EndedProcesses(leftovers, recovered)
        self.leaving = False
        n_left: dict[int, int] = {}
        for task, plan in enumerate(effects.spec.plans):
            if plan.shares and schedule.is_new(task):
                n_left[plan.process_group] = n_left.get(plan.process_group, 0) + 1
        n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        self._groups = {number: Group(n, n_cores) for number, n in n_left.items()}

    # -- tasks ----------------------------------------------------------------------------------

    def start(self, start: Start) -> messages.Event | None:
        """Gives a task to a process; returns None if it waits for one, and for its own process."""
        group = self._group(start.task)
        if start.resume or group is None or group.is_refused:
            return self._effects.start(start)
        for process in self._alive:
            if self._fits(process, start):
                return self._give(process, start, self._clock.now())
        self._waiting.append(start)
        self._has_news = True
        return None

    def _give(self, process: SharedProcess, start: Start, now: float) -> messages.Event | None:
        offer = Offer(process, self._starter, self._end_soon)
        event = self._effects.start(start, offer)
        if offer.attempt is not None:
            process.group.n_left -= 1
            process.group.sizing.began(now)
            self._attempts[process] = offer.attempt
            self._processes.add_served(offer.attempt)
            process.next_look_at = now + _SOONEST_S
        return event

    def _fits(self, process: SharedProcess, start: Start) -> bool:
        """Whether a process can serve a task now."""
        if process.machine.state != machine.PRIMED or process.group is not self._group(start.task):
            return False
        ours, its = start.may_spend_usd, process.limit_usd
        if ours is None or its is None:
            return ours is its
        if abs(its - ours) <= _LIMIT_TOLERANCE * ours:
            return True
        self._take(
            process, process.machine.close("another budget", self._clock.now()), self._clock.now()
        )
        return False

    def _group(self, task: int) -> Group | None:
        plan = self._spec.plans[task]
        return self._groups.get(plan.process_group) if plan.shares else None

    def _end_soon(self, process: SharedProcess) -> None:
        """The task of a process is to end before it has ended by itself."""
        now = self._clock.now()
        if self.leaving:
            process.terminate()
        else:
            self._take(process, process.machine.interrupt(now), now)

    def _withdraw(self, now: float) -> None:
        """Lets tasks wait elsewhere that may not start any more, or were cancelled."""
        for start in reversed(self._waiting[:]):
            if not self._schedule.may_start_agent(start.task):
                self._waiting.remove(start)
                self._handle(messages.Unplaced(now, start.task))

    # -- processes ------------------------------------------------------------------------------

    def turn(self, now: float, disk_trouble: str) -> None:
        """Does what is due: reads the streams, starts processes, ends them.

        Args:
            now: The time on the loop's clock.
            disk_trouble: Why nothing can be written; empty if all is well.
        """
        self._has_news = False
        for process in self._alive[:] if disk_trouble else ():
            self._take(process, process.machine.close_at_once(disk_trouble, now), now)
        self._withdraw(now)
        self._ended.remove_files()
        for process in self._alive[:]:
            if now >= process.next_look_at or process.stdin.has_unsent:
                self._look(process, now)
        if not self.leaving:
            self._grow(now)

    @property
    def next_at(self) -> float | None:
        """When there is something to do; None if nothing is."""
        now = self._clock.now()
        if self._has_news:
            return now
        moments = [process.next_look_at for process in self._alive]
        for group in {self._group(start.task) for start in self._waiting}:
            moments += [at_s] if group and (at_s := group.sizing.next_at(now)) is not None else []
        return min(moments, default=None)

    def _look(self, process: SharedProcess, now: float) -> None:
        """Reads what is new in a process's stream, and does what follows."""
        process.stdin.flush()
        for mark in process.stream.finish() if process.has_ended else process.stream.poll():
            is_turn = mark.kind == RESULT and process.machine.state == machine.BUSY
            why_not = self._why_not(process, now) if is_turn else ""
            self._take(process, process.machine.handle(mark, now, why_not), now)
        self._take(process, process.machine.tick(now), now)
        process.next_look_at = now + _look_every_s(process, now)
        if (tick_at := process.machine.next_at) is not None:
            process.next_look_at = max(now, min(process.next_look_at, tick_at))

    def _why_not(self, process: SharedProcess, now: float) -> str:
        """Why a process serves no further task after its present one; empty if it does."""
        if self._recorder.trouble:
            return "nothing can be written"
        return why_not(process, self._attempts[process], now)

    def _take(self, process: SharedProcess, steps: list[str], now: float) -> None:
        """Takes the steps that a process's machine asks for."""
        for step in steps:
            if step == machine.END_TASK:
                self._end_task(process, None)
            elif process.has_ended:
                continue
            elif step == machine.CLEAR:
                process.clear()
            elif step == machine.CLOSE:
                process.stdin.close()
            elif step == machine.INTERRUPT:
                process.interrupt()
            elif step == machine.TERMINATE:
                process.terminate()
            elif step == machine.KILL:
                process.kill_tree()
            elif step == machine.READY:
                self._ready(process, now)
            elif step == machine.REFUSE:
                self._refuse(process.group, process.machine.why)

    def _ready(self, process: SharedProcess, now: float) -> None:
        """Gives the next task to a process, if one waits for it."""
        process.stream.tools_used.clear()
        process.group.n_bad_starts = 0
        for start in self._waiting:
            if self._schedule.may_start_agent(start.task) and self._fits(process, start):
                self._waiting.remove(start)
                event = self._give(process, start, now)
                if event is not None:
                    self._handle(event)
                return

    def _end_task(self, process: SharedProcess, status: int | None, *, lost: bool = False) -> None:
        """The task of a process has ended.

        Args:
            process: The process.
            status: What wait() returned, if the process has ended with it.
            lost: Whether that was the end of its node, or of its lease.
        """
        attempt = self._attempts.pop(process)
        attempt.stream.end = process.machine.end
        process.machine.task_over()
        if not self._processes.forget(attempt):  # it was abandoned
            return
        now = self._clock.now()
        if status is None:
            process.group.sizing.ended(
                now - process.given_at, process.process.busy_s() - process.given_busy_s
            )
        attempt.stream.poll(now)
        has_begun = attempt.stream.first_init is not None or attempt.terminated
        interrupted = status is not None and not has_begun  # then it is asked again, uncounted
        self._handle_end(attempt, status, {}, interrupted=interrupted or lost)
        if attempt.stream.trouble:
            process.unfinished.append(attempt.stream)

    def ended(self, process: SharedProcess, status: int, *, interrupted: bool = False) -> None:
        """A process has ended.

        Args:
            process: The process.
            status: What wait() returned.
            interrupted: Whether its node was lost, or had to end it.
        """
        now = self._clock.now()
        process.has_ended = True
        self._look(process, now)
        self._alive.remove(process)
        process.stdin.close()
        why = process.machine.why or f"it ended ({os.waitstatus_to_exitcode(status)})"
        self._journal_end(process, why)
        if process in self._attempts:
            process.machine.end = process.stream.end
            self._end_task(process, status, lost=interrupted)
        elif interrupted:
            self._has_news = True
        elif process.machine.state == machine.STARTING and process.group.bad_start():
            self._refuse(process.group, f"its process ended before it was ready: {why}")
        self._ended.add(process)

    def _journal_end(self, process: SharedProcess, why: str) -> None:
        number, n_tasks = process.number, process.machine.n_tasks
        self._recorder.journal("process_ended", process=number, n_tasks=n_tasks, why=why)

    def _grow(self, now: float) -> None:
        """Starts the processes that are missing."""
        for start in self._waiting[:]:
            group = self._group(start.task)
            if start not in self._waiting or group is None:
                continue
            ours = [process for process in self._alive if process.group is group]
            serving = [p for p in ours if p.machine.state not in (machine.CLOSING, machine.RETIRED)]
            idle = (machine.STARTING, machine.PRIMED)
            n_idle = sum(process.machine.state in idle for process in serving)
            n_waiting = sum(self._group(other.task) is group for other in self._waiting)
            wanted = group.sizing.wanted(
                now,
                n_left=group.n_left + len(serving) - n_idle,
                n_ready=sum(p.machine.state != machine.STARTING for p in serving),
                max_parallel=self._schedule.capacity,
                n_long=sum(process.waits_long(now) for process in serving),
            )
            if len(serving) < wanted and n_idle < n_waiting:
                self._start_process(group, start, now)

    def _start_process(self, group: Group, start: Start, now: float) -> None:
        number = self._last_number = self._last_number + 1
        self._recorder.journal("process_intent", process=number)
        try:
            task_spec = self._effects.task_spec(start)
            process = self._starter.start_shared(number, task_spec)
        except NoNodeError:
            for waiting in self._of_group(group):
                self._handle(messages.Unplaced(now, waiting.task))
            return
        except HeldError as error:
            for waiting in self._of_group(group):
                self._handle(messages.Postponed(now, waiting.task, error.cause))
            return
        except (ChangedError, OSError) as error:
            self._refuse(group, f"its process can't be started: {error}")
            return
        shared = SharedProcess(
            process,
            number,
            group,
            self._starter.paths.process_stream(number),
            self._starter.paths.process_stderr(number),
            now,
            start.may_spend_usd,
            self._starter.agent_folders(task_spec),
        )
        self._recorder.journal("process_started", process=number, pid=process.pid)
        self._alive.append(shared)
        self._processes.add_shared(shared)

    def refused(self, process: SharedProcess, error: OSError) -> None:
        """A node could not start a process."""
        self._alive.remove(process)
        process.has_ended = True
        process.stream.close()
        if isinstance(error, HeldError):
            for waiting in self._of_group(process.group):
                event = messages.Postponed(self._clock.now(), waiting.task, error.cause)
                self._handle(event)
        else:
            self._refuse(process.group, f"its process can't be started: {error}")
        remove([process.path, process.stderr_path])

    def _of_group(self, group: Group) -> list[Start]:
        """Removes and returns what waits for a process of a group."""
        ours = [start for start in self._waiting if self._group(start.task) is group]
        self._waiting = [start for start in self._waiting if start not in ours]
        return ours

    def _refuse(self, group: Group, why: str) -> None:
        """Each task of a group has a process of its own from now on."""
        if not group.is_refused:
            group.is_refused = True
            self._recorder.warn(f"tasks do not share processes: {why}")
        for start in self._of_group(group):
            event = self._effects.start(start)
            if event is not None:
                self._handle(event)

    # -- ends -----------------------------------------------------------------------------------

    def leave(self) -> None:
        """The runner leaves: what runs ends, and can be resumed."""
        self.leaving = True
        for process in self._alive:
            process.terminate()

    def close(self) -> None:
        """The session has ended: what has nothing to do ends, too."""
        for process in self._alive:
            process.stdin.close()
        for process in self._alive:
            process.await_end(machine.GRACE_S)
            self._journal_end(process, "no task is left for it")
            self._ended.add(process)
        self._alive = []
        self._ended.remove_files()


def _look_every_s(process: SharedProcess, now: float) -> float:
    state = process.machine.state
    if state == machine.CLEARING:
        return _CLEARING_EVERY_S
    if state == machine.STARTING:
        return _STARTING_EVERY_S
    if state == machine.BUSY:
        age_s = now - process.given_at
        return min(max(_SOONEST_S, age_s * _PART_OF_ITS_TIME), _LATEST_S)
    return _LATEST_S
