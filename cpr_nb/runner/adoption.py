"""Goes on with the tasks of an earlier runner: adopts what still runs, handles what has ended."""

from __future__ import annotations

from cpr_nb.model.running_cost import usage_of
from cpr_nb.runner import messages
from cpr_nb.runner.task_run import TaskRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cpr_nb.runner.attempt import Attempt
    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.history import History
    from cpr_nb.runner.recovery import Recovery


def restore(
    recovery: Recovery,
    history: History,
    effects: Effects,
    handle: Callable[[messages.Event], None],
    handle_end: Callable[..., None],
) -> None:
    """Goes on with the tasks that an earlier runner had begun.

    Args:
        recovery: What became of them.
        history: What that runner wrote.
        effects: Carries out what follows.
        handle: Handles an event.
        handle_end: Handles the end of an attempt, as `Loop` does.
    """
    now = effects.clock.now()
    for task, elapsed_s in recovery.elapsed_s.items():
        effects.task_runs[task] = TaskRun(effects.recorder.task_id(task), now - elapsed_s)
    for task, attempt in recovery.attempts.items():
        task_run = effects.task_runs[task]
        task_run.begin(attempt.number, recovery.conversation_id(task))
        task_run.started_s = recovery.started_s.get(task)
        note = history.tasks[task_run.task_id].note
        task_run.notes += [note] if note else []
        task_run.worktree_file = effects.starter.worktree_file(task_run.task_id)
        if recovery.restored[task].to_harvest:
            exit_, facts = attempt.collect(None)
            task_run.end(now, exit_, facts, {})
            handle(messages.Spent(now, task, usage_of(facts)))
            event = effects.start_side("harvest", task)
            if event is not None:
                handle(event)
        elif task in recovery.on_nodes:
            effects.processes.add(attempt)
            if attempt.process.is_started:  # else its node says what has become of its start
                handle(messages.Started(now, task))
        elif task in recovery.alive:
            pid = max(attempt.process.pid, 0)
            effects.recorder.journal("adopted", task_id=attempt.task_id, pid=pid)
            effects.processes.adopt(attempt)
            handle(messages.Started(now, task))
        else:
            _end(attempt, recovery.statuses.get(task), effects, handle, handle_end)


def _end(
    attempt: Attempt,
    status: int | None,
    effects: Effects,
    handle: Callable[[messages.Event], None],
    handle_end: Callable[..., None],
) -> None:
    """Handles the end of an attempt that is over; ``status``: what wait() returned, if known."""
    task = attempt.task
    effects.processes.by_task[task] = attempt
    handle(messages.Started(effects.clock.now(), task))
    del effects.processes.by_task[task]
    handle_end(attempt, status, {}, interrupted=status is None)
