"""Carries out what the state machine decides for a task: attempts, checks, worktree helpers."""

from __future__ import annotations

import time

from cpr_nb.model import states
from cpr_nb.model.outcome import LINGERED, Exit, Outcome
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.model.record import harvest_fields
from cpr_nb.model.text import one_line
from cpr_nb.runner import instructions, messages, transitions
from cpr_nb.runner.attempt import Attempt
from cpr_nb.runner.journal import DISK_ERRORS
from cpr_nb.runner.repository_watch import RepositoryWatch
from cpr_nb.runner.resume_prompts import resume_prompt
from cpr_nb.runner.session_spec import ChangedError
from cpr_nb.runner.spawning import HeldError, NoNodeError, remove
from cpr_nb.runner.task_run import TaskRun
from cpr_nb.runner.transcript import tokens_since
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.runner.clock import AwakeClock
    from cpr_nb.runner.graded_material import GradedMaterial
    from cpr_nb.runner.process_table import ProcessTable
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.schedule import Schedule
    from cpr_nb.runner.session_spec import SessionSpec
    from cpr_nb.runner.shared.offer import Offer
    from cpr_nb.runner.starter import Starter


_CHANGED = (
    "session.json was changed while the session ran: a task whose line is not what was launched "
    "is not run (reason changed); find out what changed it, then launch it again"
)
#: What is not done for a task whose line was changed.
_NOT_DONE = {
    "prepare": "not run",
    "check": "its check was not run",
    "harvest": "its worktree was left as it is",
}
#: Where the work of a task is.
_PLACE = ("branch", "worktree", "base_commit")
#: Why a worktree could not be made ready, other than because of git.
_PREPARE_REASONS = ("setup_failed", "changed")


class Effects:
    """Starts what runs for the tasks, and keeps what is known about them from first intent to end.

    Args:
        spec: What the session is to do.
        recorder: Writes down what happens.
        starter: Starts processes.
        processes: Gets what was started.
        clock: The loop's clock.

    Attributes:
        task_runs: The tasks that are under way.
        disk_trouble: Why a task's files could not be created.
        repositories: Compares the repositories that the tasks work in with what they were.
    """

    def __init__(
        self,
        spec: SessionSpec,
        recorder: Recorder,
        starter: Starter,
        processes: ProcessTable,
        clock: AwakeClock,
    ) -> None:
        self.spec = spec
        self.recorder = recorder
        self.starter = starter
        self.processes = processes
        self.clock = clock
        self.task_runs: dict[int, TaskRun] = {}
        self.disk_trouble = ""
        self.repositories = RepositoryWatch(spec.session)
        self._material: GradedMaterial | None = None

    def start(self, start: instructions.Start, offer: Offer | None = None) -> messages.Event | None:
        """Starts an attempt; returns the event that follows, None if it comes later (a node's).

        Args:
            start: What the state machine has decided.
            offer: A process that serves several tasks, and is ready for this one; None: it gets a
                process of its own.
        """
        task, number, now = start.task, start.attempt, self.clock.now()
        task_run = self.task_runs.setdefault(task, TaskRun(self.recorder.task_id(task), now))
        conversation_id, prompt = start.conversation_id, ""
        if offer is not None:
            conversation_id = offer.conversation_id
        elif start.resume:
            if self.starter.has_conversation(task_run.task_id, conversation_id):
                prompt = resume_prompt(start.resume)
            else:
                conversation_id = new_uuid()
        task_run.begin(number, conversation_id)
        place = offer.intent if offer is not None else {}
        self.recorder.intent(task_run.task_id, number, conversation_id, **place)
        if self.recorder.trouble:  # after a crash nothing would show that it began
            self.disk_trouble = self.recorder.trouble
            return messages.Postponed(now, task)
        try:
            task_spec = self.task_spec(start)
            self.repositories.begin(task_spec)
            if offer is not None:
                attempt: Attempt = offer.begin(task, task_spec, number, now)
            else:
                attempt = self.starter.start(
                    task, task_spec, number, conversation_id, prompt, task_run.worktree
                )
        except NoNodeError:
            return messages.Unplaced(now, task)
        except (ChangedError, OSError) as error:
            return self._not_started(task, error)
        if offer is None:
            self.processes.add_started(attempt)
        return self.started(attempt) if attempt.process.is_started else None

    def started(self, attempt: Attempt) -> messages.Started:
        """Records that an attempt's process runs; returns the event."""
        task, process = attempt.task, attempt.process
        task_run = self.task_runs[task]
        task_run.started_s = time.time()
        place = {"node": process.node} if process.node else {}
        self.recorder.started(task, task_run, process.pid, **place)
        return messages.Started(self.clock.now(), task, task_run.conversation_id)

    def refused(self, attempt: Attempt, error: OSError) -> messages.Event:
        """A node could not start an attempt; returns the event that follows."""
        if isinstance(error, HeldError):
            paths, names = self.starter.paths, (attempt.task_id, attempt.number)
            remove((paths.stream(*names), paths.stderr(*names)))
        return self._not_started(attempt.task, error)

    def _not_started(self, task: int, error: ChangedError | OSError) -> messages.Event:
        """The event of an attempt that could not be started."""
        now, task_run = self.clock.now(), self.task_runs[task]
        if isinstance(error, HeldError):
            return messages.Postponed(now, task, error.cause)
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            self.disk_trouble = error.strerror or str(error)
            return messages.Postponed(now, task)
        exit_ = self._exit_before_start(error)
        task_run.end(now, exit_, None, {})
        return messages.Ended(now, task, exit_, began=False)

    def task_spec(self, start: instructions.Start) -> dict[str, Any]:
        """The object of a task that is about to start, with the limit of the session's budget.

        Raises:
            ChangedError: If its line in session.json is not what was launched.
            OSError: If it is to grade an answer that can't be read.
        """
        spec = self.spec.task(start.task)
        if "grades" in spec:
            from cpr_nb.runner.graded_material import GradedMaterial  # a few sessions need it

            self._material = self._material or GradedMaterial()
            spec = self._material.add(spec)
        return _limited(spec, start.may_spend_usd)

    def start_side(self, kind: str, task: int, *, may_wait: bool = True) -> messages.Event | None:
        """Starts a check or a helper of the worktree; returns an event only if that failed.

        Args:
            kind: ``check``, ``prepare`` or ``harvest``.
            task: The task's number, from 0.
            may_wait: Whether it is tried again later if the machine can't start it now.
        """
        now = self.clock.now()
        task_run = self.task_runs.setdefault(task, TaskRun(self.recorder.task_id(task), now))
        try:
            task_spec = self.spec.task(task)
            if kind == "check" and self._must_prepare(task):
                kind, task_run.check_waits = "prepare", True
            if kind == "check":
                run = self.starter.start_check(task, task_spec, task_run.number, task_run.worktree)
            else:
                if kind == "harvest":
                    task_run.release_worktree_file()
                self.repositories.begin(task_spec)
                run = self.starter.start_helper(kind, task, task_spec, task_run.number)
        except ChangedError as error:
            return self._refused_side(kind, task, error)
        except OSError as error:
            return self.side_not_started(kind, task, error, may_wait=may_wait)
        self.recorder.journal(f"{kind}_started", task_id=run.task_id, pid=run.process.pid)
        self.processes.add(run)
        return None

    def side_not_started(
        self, kind: str, task: int, error: OSError, *, may_wait: bool = True
    ) -> messages.Event | None:
        """A check or a helper could not be started; returns the event that follows."""
        if isinstance(error, HeldError) and may_wait:
            return messages.Postponed(self.clock.now(), task, error.cause)
        why = error.cause.words if isinstance(error, HeldError) else words_of(error)
        problem = one_line(f"the {kind} can't be started: {why}")
        return self.side_event(kind, task, {"ok": False, "error": problem})

    def _must_prepare(self, task: int) -> bool:
        """Whether only the journal says where a task's worktree is: that decides nothing."""
        return self.spec.plans[task].worktree and not self.task_runs[task].worktree

    def side_event(self, kind: str, task: int, reply: dict[str, Any]) -> messages.Event | None:
        """Turns the reply of a check or a helper into an event; None if a check is next."""
        now, task_run = self.clock.now(), self.task_runs[task]
        if kind == "check":
            return messages.Checked(now, task, reply["error"], reply.get("reason", "check_failed"))
        if kind == "harvest":
            if not reply["ok"]:  # nobody else says where it is
                reply = {name: task_run.worktree.get(name) for name in _PLACE} | reply
            task_run.extra |= harvest_fields(reply)
            places = reply.get("elsewhere") or ()
            task_run.notes += [f"work lies outside its branch: {place}" for place in places]
            return messages.Harvested(now, task)
        is_for_check, task_run.check_waits = task_run.check_waits, False
        if reply["ok"]:
            task_run.worktree = reply
            task_run.worktree_file = self.starter.worktree_file(task_run.task_id)
            self.recorder.journal("prepared", task_id=task_run.task_id, checkout=reply)
            if is_for_check:
                return self.start_side("check", task)
            return messages.Prepared(now, task, None, exists=True)
        if is_for_check:
            return messages.Checked(now, task, one_line(f"no worktree: {reply.get('error')}"))
        reason = reply["reason"] if reply.get("reason") in _PREPARE_REASONS else "worktree"
        outcome = Outcome(states.FAILED, reason, one_line(str(reply.get("error"))))
        # There may be a worktree, with what a set-up left in it, unless none could be made.
        exists = reply.get("reason") not in ("worktree", "changed")
        return messages.Prepared(now, task, outcome, exists=exists)

    def _exit_before_start(self, error: ChangedError | OSError) -> Exit:
        """The end of an attempt that had no process."""
        if isinstance(error, ChangedError):
            self.recorder.warn(_CHANGED)
            return Exit(changed=f"not run: {error}")
        return Exit(spawn_error=one_line(words_of(error)))

    def _refused_side(self, kind: str, task: int, error: ChangedError) -> messages.Event | None:
        """What follows if a check or a helper is not started because the task's line changed."""
        self.recorder.warn(_CHANGED)
        reply = {"ok": False, "reason": "changed", "error": f"{_NOT_DONE[kind]}: {error}"}
        if kind == "harvest":
            task_run = self.task_runs[task]
            where = task_run.worktree.get("worktree") or ""
            task_run.notes.append(f"{_NOT_DONE[kind]}{where and ': '}{where}")
        return self.side_event(kind, task, reply)

    def terminate(self, terminate: instructions.Terminate) -> None:
        """Asks what runs for a task to end, and keeps the note that goes with it."""
        task, run = terminate.task, self.processes.by_task[terminate.task]
        task_run = self.task_runs[task]
        if isinstance(run, Attempt) and not task_run.notes:
            run.stream.poll(self.clock.now())
            task_run.notes += self._notes_of_stop(task, terminate.cause, run)
        run.terminated = True
        self.recorder.journal(
            "stop",
            task_id=run.task_id,
            cause=terminate.cause,
            note="; ".join(task_run.notes) or None,
        )
        run.terminate()

    def _notes_of_stop(self, task: int, cause: str, run: Attempt) -> list[str]:
        """What its outcome does not tell of an attempt that is stopped after a turn's end."""
        has_answer, waited = run.stream.facts.has_answer, run.stream.background.past
        if cause == LINGERED:
            last = "answer" if has_answer else "last turn"
            linger_s = self.spec.plans[task].linger_s
            return [f"ended {linger_s:g} s after its {last}; {waited}"]
        is_news = has_answer and cause != "cancelled"  # who cancelled it knows
        return [f"stopped after its answer ({cause}); {waited}"] if is_news else []

    def kill(self, kill: instructions.Kill) -> None:
        """Ends what runs for a task at once."""
        self.processes.by_task[kill.task].kill_tree()

    def abandon(self, abandon: instructions.Abandon) -> None:
        """Ends and forgets what runs for a task."""
        self.processes.abandon(abandon.task)

    def poll_output(self, poll: instructions.PollOutput) -> messages.Event | None:
        """Finds out when a task wrote last; returns None if no agent runs for it."""
        run, now = self.processes.by_task[poll.task], self.clock.now()
        if not isinstance(run, Attempt):
            return None
        stream = run.stream
        stream.poll(now)
        return messages.OutputPolled(now, poll.task, stream.last_output_at, stream.busy_until)

    def rest(self, rest: instructions.Rest) -> None:
        """Records how an attempt ended that another one will follow."""
        self.recorder.resting(rest, self.task_runs[rest.task])

    def count_transcript_tokens(self, task: int, facts: RunFacts) -> None:
        """Counts the tokens of an attempt that was killed, with what only its transcript has."""
        task_run = self.task_runs[task]
        path = self.starter.transcript(task_run.task_id, task_run.conversation_id)
        answers = {}
        if path is not None and task_run.started_s is not None:
            answers = tokens_since(path, utc_iso(task_run.started_s))
        facts.count_transcript(answers)

    def finish(self, finish: instructions.Finish) -> None:
        """Records how a task ended."""
        self.end(finish.task, finish.outcome)

    def end(self, task: int, outcome: Outcome) -> dict[str, Any] | None:
        """Records how a task ended; returns its fields, None if its end was recorded before."""
        task_run = self.task_runs.pop(task, None)
        if task_run is None:  # it never started
            task_run = TaskRun(self.recorder.task_id(task), 0.0)
        return self.recorder.ended(task, task_run, outcome)


def words_of(error: OSError) -> str:
    """What the system said of a start that failed."""
    return f"{error.strerror}: {error.filename}"


def _limited(task_spec: dict[str, Any], may_spend_usd: float | None) -> dict[str, Any]:
    """A task's object with the limit that the session's budget sets to it."""
    if may_spend_usd is None:
        return task_spec
    own = {**task_spec.get("options", {}), "task_budget_usd": may_spend_usd}
    return {**task_spec, "options": own}


def end_all(schedule: Schedule, effects: Effects, error: str) -> None:
    """Records the end of every task that has not ended, because the runner can't go on.

    Args:
        schedule: Knows the states of the tasks.
        effects: Records the ends.
        error: Why it can't.
    """
    for task in range(effects.spec.n_tasks):
        state = schedule.state(task)
        if state != transitions.ENDED:
            outcome = states.FAILED if state != transitions.PENDING else states.SKIPPED
            try:
                effects.finish(instructions.Finish(task, Outcome(outcome, "unknown", error)))
            except (OSError, ValueError):
                continue  # what made us fail may be in the way of this too
