"""Slurm places the node agents, and breaks. What it believes of its jobs decides nothing."""

from __future__ import annotations

from collections.abc import Callable

from faults.table import CannotInjectError, Tally
from testkit import slurm
from testkit.slurm import Slurm

from nodes.cluster import AGENT, Cluster, Job

Break = Callable[[Slurm, Job], None]


def with_slurm(breaks: Break, how: str, proctrack: str, n_more: int = 0) -> Callable[..., Tally]:
    """A row of the table.

    Args:
        breaks: Breaks it, while tasks are at work on all nodes.
        how: What brings the tasks through.
        proctrack: How Slurm tracks processes.
        n_more: How many attempts more than tasks there must be at least.
    """

    def play(cluster: Cluster, names: list[str]) -> Tally:
        if words := slurm.why_not(proctrack):
            raise CannotInjectError(words)
        with Slurm(cluster.hosts, "h1", cluster.nodes, proctrack=proctrack) as bed:
            cluster.hosts.env.update(bed.env)
            cluster.hosts.env["PATH"] = f"{bed.path}:{cluster.hosts.env['PATH']}"
            # One agent a host: each job takes all of it.
            job = cluster.launch(names, "slurm:--exclusive", "--nodes", str(len(cluster.nodes)))
            job.await_nodes(len(cluster.nodes))
            job.await_requests(30)
            breaks(bed, job)
            job.await_end()
            tally = job.tally(how, len(names) + n_more)
            tally.expect(not bed.jobs(), f"jobs are left: {bed.jobs()}")
        return tally

    return play


def nothing(bed: Slurm, job: Job) -> None:
    """Nothing breaks."""


def scancel(bed: Slurm, job: Job) -> None:
    """One job is cancelled."""
    bed("scancel", _job_on(bed, "h2"))


def requeue(bed: Slurm, job: Job) -> None:
    """One job is requeued, as a preemption does; --no-requeue refuses that, and so it stays."""
    bed("scontrol", "requeue", _job_on(bed, "h2"), check=False)


def controller_killed(bed: Slurm, job: Job) -> None:
    """slurmctld dies, and comes back.

    It may have forgotten the jobs of its last seconds. Then it kills them, runs them again where
    they ran, and drains the nodes for that. Nothing is lost, but somebody has to place new agents.
    """
    bed.kill("slurmctld", bed.controller)
    bed.start("slurmctld", bed.controller)
    bed.await_idle()
    job.wait_for("end or loss of all nodes", lambda: job.has_ended or job.waits_for_nodes)
    if job.waits_for_nodes:
        for node in job.cluster.nodes:
            bed("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        job.add_nodes("slurm:--exclusive", "--nodes", str(len(job.cluster.nodes)))


def daemon_killed(bed: Slurm, job: Job) -> None:
    """A slurmd dies, and comes back."""
    bed.kill("slurmd", "h2")
    bed.start("slurmd", "h2")
    bed.await_idle()


def daemon_away(bed: Slurm, job: Job) -> None:
    """A slurmd dies for good: its node is taken for dead, while the agent there goes on."""
    bed.kill("slurmd", "h2")
    job.wait_for("end of the job", lambda: "h2" not in bed.jobs().values())


def agent_killed(bed: Slurm, job: Job) -> None:
    """The node agent in a job is killed."""
    job.cluster.kill("h2", AGENT)


def _job_on(bed: Slurm, host: str) -> str:
    return next(number for number, node in bed.jobs().items() if node == host)
