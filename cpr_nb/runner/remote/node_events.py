"""Hands on what the hub says of processes: starts, refusals, ends and losses, for the loop."""

from __future__ import annotations

from cpr_nb.model.limits import LOGIN
from cpr_nb.model.machine_causes import cause_of
from cpr_nb.model.quick_json import loads
from cpr_nb.model.text import one_line
from cpr_nb.runner import messages
from cpr_nb.runner.attempt import Attempt, SideRun
from cpr_nb.runner.remote.landing import Landed
from cpr_nb.runner.spawning import HeldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.model.limits import Limit
    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.process_table import Run
    from cpr_nb.runner.remote.leasing import Cluster
    from cpr_nb.runner.remote.remote_process import RemoteProcess
    from cpr_nb.runner.shared.pool import Pool
    from cpr_nb.runner.shared.shared_process import SharedProcess
    from cpr_nb.runner.wakeup import Wakeup

_NOT_HOME = "task {}: what it last did on node {} is lost with it, and the task does it anew"
_LOST_CHECK = "the node that ran it was lost"


def _unprepared(data: bytes) -> tuple[str, str] | None:
    """Why a node could not make a task's checkout, as it said."""
    if not data:
        return None
    try:
        fields = loads(data)
    except ValueError:
        fields = {}
    reason = "setup_failed" if fields.get("reason") == "setup_failed" else "worktree"
    return reason, one_line(str(fields.get("error")))


class NodeEvents:
    """Hands on what is heard of the nodes.

    Args:
        cluster: The nodes.
        wakeup: Watches the link with the hub.
        effects: Begins attempts and checks.
        pool: The processes that serve several tasks, if there are any.
        handle: Handles an event.
        handle_end: Handles the end of an attempt, as `Loop` does.
        handle_side_end: Handles the end of a check, as `Loop` does.
    """

    def __init__(
        self,
        cluster: Cluster,
        wakeup: Wakeup,
        effects: Effects,
        pool: Pool | None,
        handle: Callable[[messages.Event], None],
        handle_end: Callable[..., None],
        handle_side_end: Callable[[SideRun, int], None],
    ) -> None:
        self.cluster = cluster
        self._wakeup = wakeup
        self._watched_fd = -1
        self._effects = effects
        self._pool = pool
        self._handle = handle
        self._handle_end = handle_end
        self._handle_side_end = handle_side_end
        self._n_slots = -1
        self._to_acknowledge: list[str] = []
        self._takers: dict[str, Callable[[Any, RemoteProcess, dict[str, Any]], None]] = {
            "started": self._started,
            "adopted": self._adopted,
            "refused": self._refused,
            "ended": self._ended,
            "lost": self._lost,
        }

    def open(self, *, with_nodes: bool) -> None:
        """Opens the hub, and says how many tasks there is room for: at first for none.

        Args:
            with_nodes: Whether nodes are to join; else only what runs there already is asked for.
        """
        if with_nodes or self.cluster.leases:
            self.cluster.open()
        self._report_slots()
        self._watch()

    def close(self, *, for_good: bool) -> None:
        """Has nothing more to do with the nodes: see `Cluster.close`."""
        self._acknowledge()
        self.cluster.close(for_good=for_good)

    def hands_on(self, attempt: Attempt, limit: Limit) -> bool:
        """Whether a refused login concerns only the node of an attempt, which is handed on then."""
        process = attempt.process
        is_its = limit.kind == LOGIN and bool(process.node)
        return is_its and self.cluster.refuse_login(process.life)

    def turn(self, now: float) -> None:
        """Hands on what was heard since."""
        news = self.cluster.receive(now)
        self._watch()
        self._report_slots()
        for message in news:
            process = self.cluster.leases.get(message["token"])
            if process is not None:
                run = self._effects.processes.run_of(process.key)
                self._takers[message["type"]](run, process, message)
            elif message["type"] == "ended":
                self._to_acknowledge.append(message["token"])
        self._acknowledge()
        self._report_slots()

    def _acknowledge(self) -> None:
        """Lets nodes forget the ends that are in the journal."""
        if self._to_acknowledge and not self._effects.recorder.trouble:
            for token in self._to_acknowledge:
                self.cluster.send("acked", token=token)
            self._to_acknowledge = []

    def _watch(self) -> None:
        """Watches the link with the hub, which may be a new one."""
        if self._watched_fd != self.cluster.fd:
            if self._watched_fd >= 0:
                self._wakeup.unwatch(self._watched_fd)
            self._watched_fd = self.cluster.fd
            if self._watched_fd >= 0:
                self._wakeup.watch(self._watched_fd)

    def _report_slots(self) -> None:
        if self._n_slots != self.cluster.n_slots:
            self._n_slots = self.cluster.n_slots
            self._handle(messages.Slots(self._effects.clock.now(), self._n_slots))

    def _started(
        self, run: Run | SharedProcess | None, process: RemoteProcess, message: dict[str, Any]
    ) -> None:
        process.pid, is_new = message.get("pid") or 0, not process.is_started
        process.is_started = True
        if isinstance(run, Attempt) and is_new:
            self._handle(self._effects.started(run))

    def _adopted(
        self, run: Run | SharedProcess | None, process: RemoteProcess, message: dict[str, Any]
    ) -> None:
        if isinstance(run, Attempt):
            fields = {"pid": process.pid, "node": process.node}
            self._effects.recorder.journal("adopted", task_id=run.task_id, **fields)
        self._started(run, process, {"pid": process.pid, **message})

    def _refused(
        self, run: Run | SharedProcess | None, process: RemoteProcess, message: dict[str, Any]
    ) -> None:
        self._land(run, process)
        error = OSError(message["errno"], message["strerror"], message["filename"])
        cause = cause_of(error, process.program, process.folder)
        error = HeldError(cause) if cause.kind else error
        self._free_slot(process)
        event = None
        if isinstance(run, Attempt):
            event = self._effects.refused(run, error)
        elif isinstance(run, SideRun):
            event = self._effects.side_not_started(run.kind, run.task, error)
        elif run is not None and self._pool is not None:
            self._pool.refused(run, error)
        if event is not None:
            self._handle(event)

    def _ended(
        self, run: Run | SharedProcess | None, process: RemoteProcess, message: dict[str, Any]
    ) -> None:
        self._land(run, process)  # first: once its end is journalled, nobody would
        status, cause, token = message["status"], message["cause"], process.token
        self.cluster.journal_end(process, message)
        self._free_slot(process)
        self._to_acknowledge.append(token)
        if isinstance(run, Attempt):
            self._begin_late(run, process)
            extra = {"peak_rss_bytes": message["rss_bytes"]}
            self._handle_end(run, status, extra, interrupted=bool(cause) or run.is_unasked)
        elif isinstance(run, SideRun) and not cause:
            self._handle_side_end(run, status)
        elif isinstance(run, SideRun):
            self._check_again(run)
        elif run is not None and self._pool is not None:
            self._pool.ended(run, status, interrupted=bool(cause))

    def _lost(
        self, run: Run | SharedProcess | None, process: RemoteProcess, message: dict[str, Any]
    ) -> None:
        self._land(run, process)
        self.cluster.journal_end(process, message)
        self._free_slot(process)
        if isinstance(run, Attempt):
            self._begin_late(run, process)
            self._handle_end(run, None, {}, interrupted=True)
        elif isinstance(run, SideRun):
            self._check_again(run)
        elif run is not None and self._pool is not None:
            self._pool.ended(run, 9, interrupted=True)

    def _land(self, run: Run | SharedProcess | None, process: RemoteProcess) -> None:
        """Puts in its place what has come home: before the end is judged, which may need it."""
        if process.carried is None:
            return
        task_id = run.task_id if isinstance(run, Attempt | SideRun) else ""
        try:
            landed = process.carried.land(self._effects.starter.paths, task_id)
        except OSError as error:
            self._effects.recorder.warn(f"{error.filename}: {error.strerror}")
            landed = Landed()
        if not isinstance(run, Attempt):
            return
        run.unprepared = _unprepared(landed.unprepared)
        if not (landed.is_complete or run.unprepared) and process.is_started:
            self._effects.recorder.warn(_NOT_HOME.format(task_id, process.node))

    def _free_slot(self, process: RemoteProcess) -> None:
        """Nothing runs there any more: there is room for another task."""
        self.cluster.release(process.token)
        self._effects.processes.remove_run(process.key)
        self._report_slots()  # before its end is handled: that starts another task

    def _begin_late(self, run: Attempt, process: RemoteProcess) -> None:
        """An end that comes without a start: the start is made up for."""
        if not process.is_started:
            process.is_started = True
            self._handle(self._effects.started(run))

    def _check_again(self, run: SideRun) -> None:
        """A check that nobody let run to its end starts again, elsewhere."""
        if run.terminated:
            event = self._effects.side_event(run.kind, run.task, {"error": _LOST_CHECK})
        else:
            event = self._effects.start_side(run.kind, run.task)
        if event is not None:
            self._handle(event)
