"""All that breaks, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults.table import CannotInjectError, Tally
from testkit import slurm

from nodes import rows_agents as agents
from nodes import rows_dask as dask
from nodes import rows_hosts as hosts
from nodes import rows_slurm
from nodes.cluster import Cluster
from nodes.rows_slurm import with_slurm

Play = Callable[[Cluster, list[str]], Tally]


@dataclass(frozen=True)
class Row:
    """One thing that breaks.

    Args:
        name: What the command calls it.
        says: What the table calls it.
        play: Lets it break, and says what became of the tasks.
        shared_home: Whether the hosts have one home.
        has_slurm: Whether it needs Slurm.
        clock_shift_s: By how much the clocks of the last host are ahead.
    """

    name: str
    says: str
    play: Play
    shared_home: bool = True
    has_slurm: bool = False
    clock_shift_s: int = 0

    @contextmanager
    def cluster(self, folder: Path, token: str, claude: str | None) -> Iterator[Cluster]:
        """The hosts that it needs."""
        if claude is None:
            raise CannotInjectError("there is no real CLI here")
        if self.has_slurm and (words := slurm.why_not()):
            raise CannotInjectError(words)
        shift = {"h3": self.clock_shift_s} if self.clock_shift_s else None
        visible = [slurm.programs()] if self.has_slurm else []
        with Cluster(
            folder,
            token,
            claude,
            shared_home=self.shared_home,
            visible=visible,
            clock_shift_s=shift,
        ) as cluster:
            yield cluster


def _agents(name: str, says: str, play: Play) -> Row:
    return Row(name, says, play)


def _hosts(name: str, says: str, play: Play, clock_shift_s: int = 0) -> Row:
    return Row(name, says, play, shared_home=False, clock_shift_s=clock_shift_s)


def _slurm(name: str, says: str, breaks: rows_slurm.Break, how: str, n_more: int) -> Iterator[Row]:
    for proctrack in ("linuxproc", "cgroup"):
        play = with_slurm(breaks, how, proctrack, n_more)
        yield Row(f"slurm-{name}-{proctrack}", f"{says} ({proctrack})", play, has_slurm=True)


_ELSEWHERE = "its tasks go on elsewhere"
_GO_ON = "node agents dial the runner, not Dask: nothing is lost"

ROWS = [
    _agents("nothing", "nothing", agents.nothing),
    _agents("agent", "node agent killed (SIGKILL)", agents.agent_killed),
    _agents("agent-and-twin", "node agent and twin killed", agents.agent_and_twin_killed),
    _agents("agent-stopped", "node agent stopped for 2.5 leases", agents.agent_stopped),
    _agents("agent-sigterm", "SIGTERM to a node agent", agents.agent_told_to_leave),
    _agents("runner", "runner killed, resumed within the lease", agents.runner_killed),
    _agents("runner-away", "runner away for 2.5 leases", agents.runner_away),
    _agents("runner-stopped", "runner stopped for 2 leases", agents.runner_stopped),
    _agents("hub", "hub killed", agents.hub_killed),
    _agents("cancel", "cancel while all nodes work", agents.cancelled),
    _hosts("blip", "network away for half a lease", hosts.blip),
    _hosts("cut", "network away for 2 leases", hosts.cut),
    _hosts("clocks", "the same; a clock is an hour ahead", hosts.shifted_clocks, 3600),
    _hosts("runner-cut", "the runner's network away for 2 leases", hosts.runner_cut),
    _hosts("power", "a node's power fails", hosts.power_cut),
    _hosts("reboot", "the same; it boots and joins again", hosts.reboot),
    _hosts("frozen", "a node frozen for 2.5 leases", hosts.frozen),
    _hosts("runner-reboot", "the runner's machine reboots", hosts.runner_rebooted),
    _hosts("ssh", "placed by ssh; a node's power fails", hosts.by_ssh),
    Row("dask", "Dask, nothing", dask.on_a_local_cluster(dask.nothing, "placed by Dask")),
    Row(
        "dask-worker",
        "LocalCluster: a worker killed",
        dask.on_a_local_cluster(dask.local_worker_killed, _GO_ON),
    ),
    Row(
        "dask-agent",
        "LocalCluster: a node agent killed",
        dask.on_a_local_cluster(dask.local_agent_killed, _ELSEWHERE, 1),
    ),
    Row(
        "dask-kernel",
        "LocalCluster: the kernel killed",
        dask.on_a_local_cluster(dask.kernel_killed, _GO_ON),
    ),
    Row(
        "dask-far-worker",
        "Dask on hosts: a worker killed",
        dask.on_hosts(dask.worker_killed, _GO_ON),
    ),
    Row(
        "dask-scheduler",
        "Dask on hosts: the scheduler killed",
        dask.on_hosts(dask.scheduler_killed, _GO_ON),
    ),
    Row(
        "dask-machine",
        "Dask on hosts: a node's power fails",
        dask.on_hosts(dask.machine_lost, _ELSEWHERE, 1),
    ),
    *_slurm("nothing", "Slurm, nothing", rows_slurm.nothing, "placed by Slurm", 0),
    *_slurm("scancel", "Slurm: scancel of a job", rows_slurm.scancel, _ELSEWHERE, 1),
    *_slurm("requeue", "Slurm: requeue of a job", rows_slurm.requeue, "it goes on", 0),
    *_slurm("agent", "Slurm: a node agent killed", rows_slurm.agent_killed, _ELSEWHERE, 1),
    *_slurm(
        "controller",
        "Slurm: slurmctld killed, back",
        rows_slurm.controller_killed,
        "it goes on, whatever Slurm believes",
        0,
    ),
    *_slurm("daemon", "Slurm: a slurmd killed, back", rows_slurm.daemon_killed, "it goes on", 0),
    *_slurm(
        "daemon-away",
        "Slurm: a slurmd killed for good",
        rows_slurm.daemon_away,
        "NODE_FAIL is no proof: its node agent goes on",
        0,
    ),
]
