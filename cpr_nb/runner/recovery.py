"""Restores a session whose runner is gone: what has ended, what lives, what continues.

An attempt is identified by the token in the environment of its processes. Its main process is
the one whose pid was journalled. If the runner died between the intent and that, it is the
oldest process with the token that leads a session of its own. A pid of another PID namespace
(a container, say) means nothing here: there it is the oldest one that writes to the stream.

A process of another namespace may be invisible. Then the lock that its output carries says
whether it lives. It is waited for: it is never started again, and never ended from here.
"""

from __future__ import annotations

import os
import time

from cpr_nb.model.json_values import integer
from cpr_nb.model.outcome import Outcome
from cpr_nb.model.record import is_unsaved
from cpr_nb.runner import process
from cpr_nb.runner.attempt import unseen_pid
from cpr_nb.runner.instructions import ASK_FOR_STRUCTURE, CONTINUE
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.task_state import AttemptState, RestoredTask
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cpr_nb.runner.attempt import Attempt, Process
    from cpr_nb.runner.history import History, Place, TaskHistory
    from cpr_nb.runner.remote.leasing import Cluster
    from cpr_nb.runner.session_spec import SessionSpec
    from cpr_nb.runner.shared.recovered import RecoveredProcess
    from cpr_nb.runner.starter import Starter
    from cpr_nb.store.layout import SessionPaths


# How many of the agents that can't be seen are named.
_N_NAMED = 3


class Recovery:
    """What became of the tasks that earlier runners had begun.

    Args:
        paths: The session's paths.
        history: What those runners wrote.
        numbers: Task id → its number, from 0, of every task in the history.
        spec: What the session is to do.
        starter: Makes the attempts.
        cluster: The nodes of the session, if it has any.
        may_save: Whether work that an earlier runner could not save is to be saved now.

    Attributes:
        restored: Where the state machine continues each of the tasks.
        attempts: The attempts that had a process: task → attempt. One that lives has a
            ``pidfd``.
        alive: The tasks whose agent still runs.
        on_nodes: Those of them whose agent runs on a node, as far as is known.
        statuses: What wait() said of attempts that have ended on a node: task → status.
        elapsed_s: How long each of these tasks had been at work.
        started_s: When each of these attempts started, in seconds since the epoch.
        unseen: The ids of the tasks whose agent runs where it can't be seen from here.
        figures: What is known of the costs of each of the tasks, without its attempt that runs.
        unsaved: Tasks that have ended without their work saved: task → its id, attempt, fields.
        processes: The shared processes that they had started, if those may have left anything.
    """

    def __init__(
        self,
        paths: SessionPaths,
        history: History,
        numbers: Mapping[str, int],
        spec: SessionSpec,
        starter: Starter,
        *,
        may_save: bool = True,
        cluster: Cluster | None = None,
    ) -> None:
        self.restored: dict[int, RestoredTask] = {}
        self.attempts: dict[int, Attempt] = {}
        self.alive: set[int] = set()
        self.on_nodes: set[int] = set()
        self.statuses: dict[int, int] = {}
        self._cluster = cluster
        self._process_leases = history.process_leases
        self.elapsed_s: dict[int, float] = {}
        self.started_s: dict[int, float | None] = {}
        self.unseen: list[str] = []
        self._seen_namespace = process.pid_namespace() if process.sees_processes() else None
        self.figures: list[dict[str, Any]] = []
        self.unsaved: dict[int, dict[str, Any]] = {}
        self._may_save = may_save
        self._paths = paths
        self._spec = spec
        self._starter = starter
        marked: dict[str, list[int]] = {}
        if history.tasks:
            marked = process.find_marked(starter.mark)
        self.processes = self._shared_processes(history, numbers)
        for task_id, task in history.tasks.items():
            if task_id in numbers:
                self._restore(numbers[task_id], task_id, task, marked)
        # A check that was under way runs again, and so does the helper of a worktree. A shared
        # process without a task has nothing to do.
        busy = {shared.token for shared in self.processes.values() if shared.busy_pid}
        process.sweep([t for t in marked if not (t in busy or t.rpartition("@")[2].isdigit())])

    def _shared_processes(
        self, history: History, numbers: Mapping[str, int]
    ) -> dict[int, RecoveredProcess]:
        if not history.places:
            return {}
        from cpr_nb.runner.shared.recovered import RecoveredProcess  # a few sessions need it

        processes = {
            number: RecoveredProcess(
                number,
                self._paths,
                self._starter.process_token(number),
                [place for place in places if place.task_id in numbers],
            )
            for number, places in history.places.items()
        }
        unknown = {
            task_id: task
            for task_id, task in history.tasks.items()
            if task_id in numbers and task.place is None and not (task.ended or task.rested)
        }
        for shared in processes.values() if unknown else ():
            shared.find_places(unknown)
        return processes

    def conversation_id(self, task: int) -> str:
        """The conversation of a task's attempt."""
        attempt = self.restored[task].attempt
        return attempt.conversation_id if attempt is not None else ""

    def _restore(
        self, number: int, task_id: str, task: TaskHistory, marked: Mapping[str, list[int]]
    ) -> None:
        self.figures.append(task.figures if task.ended is None else task.ended)
        if task.ended is not None:
            ended = Outcome(task.ended["outcome"], str(task.ended.get("reason", "unknown")))
            self.restored[number] = RestoredTask(ended, None)
            if self._may_save and is_unsaved(task.ended):
                self._restore_unsaved(number, task_id, task.ended, ended)
        elif task.attempt:  # else nothing that can be read says that it began
            self.elapsed_s[number] = self._elapsed_s(task_id, task)
            if task.harvest is not None:
                self._restore_harvest(number, task, task.harvest)
            elif task.rested is not None:
                self._restore_rest(number, task, task.rested)
            else:
                self._restore_attempt(number, task)
                if self._cluster is not None:
                    self._find_on_node(number, task_id, task, self._cluster)
                else:
                    self._find_process(number, task_id, task, marked)

    def _restore_harvest(self, number: int, task: TaskHistory, outcome: Outcome) -> None:
        attempt = AttemptState(task.attempt, task.conversation_id, "", task.n_free)
        attempt.has_worktree = True
        self.restored[number] = RestoredTask(outcome, attempt, to_harvest=True)
        task_spec = self._spec.task(number)
        gone = LocalProcess(0, "", -1)
        self.attempts[number] = self._starter.attempt(gone, number, task_spec, task.attempt)

    def _restore_unsaved(
        self, number: int, task_id: str, fields: dict[str, Any], outcome: Outcome
    ) -> None:
        conversation_id = str(fields.get("conversation_id") or "")
        attempt = AttemptState(integer(fields.get("attempts")) or 1, conversation_id, "", 0)
        attempt.has_worktree = True
        self.restored[number] = RestoredTask(outcome, attempt, to_harvest=True)
        self.unsaved[number] = {"task_id": task_id, "attempt": attempt.number, "fields": fields}

    def _restore_rest(self, number: int, task: TaskHistory, outcome: Outcome) -> None:
        resume = ASK_FOR_STRUCTURE if outcome.reason == "no_structure" else CONTINUE
        attempt = AttemptState(task.attempt + 1, task.conversation_id, resume, task.n_free)
        attempt.outcome, attempt.has_worktree = outcome, task.has_worktree
        self.restored[number] = RestoredTask(outcome, attempt)

    def _restore_attempt(self, number: int, task: TaskHistory) -> None:
        attempt = AttemptState(task.attempt, task.conversation_id, "", task.n_free)
        attempt.cause, attempt.has_worktree = task.cause, task.has_worktree
        self.restored[number] = RestoredTask(None, attempt)

    def _find_on_node(self, number: int, task_id: str, task: TaskHistory, cluster: Cluster) -> None:
        """Goes on with an attempt that was leased to a node, unless it is over there."""
        self.started_s[number] = parse_iso(task.started_at)
        if task.place is not None and task.place.process in self.processes:
            self._find_shared_on_node(number, task, task.place, cluster)
            return
        lease, token = task.lease, self._starter.token(task_id, task.attempt)
        # Another machine may see the session's folder with another identity, which tokens have.
        is_its = lease is not None and lease.token.endswith(f"/{task_id}@{task.attempt}")
        if lease is None or lease.is_over or not is_its:
            process: Process = LocalProcess(0, token, -1)
            if lease is not None and lease.status is not None and not lease.interrupted:
                self.statuses[number] = lease.status
        else:
            names = task_id, task.attempt
            files = self._paths.stream(*names), self._paths.stderr(*names)
            remote = cluster.adopt(lease, *files, self._starter.config_folder(task_id))
            remote.pid, remote.is_started = task.pid or 0, task.started_at is not None
            process = remote
            self.alive.add(number)
            self.on_nodes.add(number)
        task_spec = self._spec.task(number)
        self.attempts[number] = self._starter.attempt(process, number, task_spec, task.attempt)

    def _find_shared_on_node(
        self, number: int, task: TaskHistory, place: Place, cluster: Cluster
    ) -> None:
        """The same for an attempt that a shared process serves: it is the last one that it does."""
        shared, lease = self.processes[place.process], self._process_leases.get(place.process)
        process: Process = LocalProcess(0, shared.token, -1)
        if lease is not None and not lease.is_over and shared.is_last(place):
            config_folder = self._starter.config_folder("")  # it has no variables of a task's own
            process = cluster.adopt(lease, shared.path, shared.stderr_path, config_folder)
            process.pid, process.is_started = task.pid or 0, True
        attempt = self._attempt(number, task, process, shared)
        self.attempts[number] = attempt
        if not attempt.process.has_ended:
            self.alive.add(number)
            self.on_nodes.add(number)

    def _find_process(
        self, number: int, task_id: str, task: TaskHistory, marked: Mapping[str, list[int]]
    ) -> None:
        pid, shared = task.pid, self.processes.get(task.place.process) if task.place else None
        token, stream = self._starter.token(task_id, task.attempt), ""
        if shared is not None:
            token, stream = shared.token, shared.path
        is_seen = task.pid_namespace == self._seen_namespace
        if pid is None or not is_seen:
            leaders = [pid for pid in marked.get(token, ()) if process.leads_session(pid)]
            if not is_seen:
                stream = stream or self._paths.stream(task_id, task.attempt)
                leaders = [pid for pid in leaders if process.writes_to(pid, stream)]
            pid = next(iter(leaders), 0)
        pidfd = process.open_marked(pid, token)
        pid = 0 if pidfd is None else pid  # the journal may be wrong, or the pid is reused by now
        pidfd = -1 if pidfd is None else pidfd
        self.started_s[number] = parse_iso(task.started_at)
        attempt = self._attempt(number, task, LocalProcess(pid, token, pidfd), shared)
        if not (attempt.process.pid or is_seen) and attempt.stream.is_open:
            attempt.process.pid = unseen_pid(number)
            self.unseen.append(task_id)
        self.attempts[number] = attempt
        if attempt.process.pid:
            self.alive.add(number)

    def _attempt(
        self,
        number: int,
        task: TaskHistory,
        process: Process,
        shared: RecoveredProcess | None,
    ) -> Attempt:
        task_spec = self._spec.task(number)
        if shared is not None and task.place is not None:
            options = self._starter.attempt_options(task_spec)
            try:
                return shared.attempt(task.place, process, number, options)
            except OSError:
                pass  # somebody removed its file: the task's own has what was copied
        return self._starter.attempt(process, number, task_spec, task.attempt)

    @property
    def warnings(self) -> list[str]:
        """What the user should know of agents that can't be seen."""
        if not self.unseen:
            return []
        n_more = len(self.unseen) - _N_NAMED
        names = ", ".join([*self.unseen[:_N_NAMED], *([f"{n_more} more"] if n_more > 0 else [])])
        return [
            f"agents of an earlier runner work in another PID namespace (a container): {names}. "
            "They are waited for, and can't be ended from here"
        ]

    def _elapsed_s(self, task_id: str, task: TaskHistory) -> float:
        """How long a task was at work: until its last sign of life."""
        began_s = parse_iso(task.began_at)
        if began_s is None:
            return 0.0
        try:
            last_s = os.stat(self._paths.stream(task_id, task.attempt)).st_mtime
        except OSError:
            last_s = began_s
        return max(0.0, min(last_s, time.time()) - began_s)
