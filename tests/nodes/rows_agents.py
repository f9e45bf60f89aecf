"""A node agent, its twin, or the runner breaks. The nodes share a home: nothing is paid twice."""

from __future__ import annotations

import signal
import time

from faults.table import Tally

from nodes.cluster import AGENT, HUB, LEASE_S, RUNNER, Cluster, Job

_RUNNER_PROGRAM = "runner/__main__.py"
#: A lease during which a runner comes back even on a machine with much to do.
LONG_LEASE_S = 40
#: So many requests of the six tasks at work: each of them is in the middle.
MIDDLE = 30


def in_the_middle(cluster: Cluster, names: list[str], *flags: str, steps: int = 8) -> Job:
    """A session whose tasks are at work on all nodes."""
    job = cluster.launch(names, "agents", *flags, steps=steps)
    for host in cluster.nodes:
        cluster.start_agent(host, job)
    job.await_nodes(len(cluster.nodes))
    job.await_requests(MIDDLE)
    return job


def for_leases(n: float, lease_s: int = LEASE_S) -> None:
    """Lets so many leases pass: what is tested is what happens in that time."""
    time.sleep(n * lease_s)


def nothing(cluster: Cluster, names: list[str]) -> Tally:
    """Nothing breaks."""
    job = in_the_middle(cluster, names)
    job.await_end()
    tally = job.tally("nothing breaks", len(names))
    n_attempts = len(job.journal("intent"))
    tally.expect(n_attempts == len(names), f"{n_attempts} attempts")
    return tally


def agent_killed(cluster: Cluster, names: list[str]) -> Tally:
    """Its twin sweeps, and tells."""
    job = in_the_middle(cluster, names)
    cluster.signal(cluster.agent("h2"), signal.SIGKILL)
    job.await_end()
    return job.tally("its twin sweeps, and tells; tasks go on elsewhere", len(names) + 1)


def agent_and_twin_killed(cluster: Cluster, names: list[str]) -> Tally:
    """PDEATHSIG ends the CLIs."""
    job = in_the_middle(cluster, names)
    cluster.signal(cluster.twin("h2"), signal.SIGSTOP)  # it must not sweep before its own end
    cluster.kill("h2", AGENT)
    job.await_end()
    return job.tally("the kernel ends the CLIs; the lease runs out", len(names) + 1)


def agent_stopped(cluster: Cluster, names: list[str]) -> Tally:
    """A stopped node agent; its twin ends its tasks in time."""
    job = in_the_middle(cluster, names, steps=20)  # the others are at work when it goes on
    agent = cluster.agent("h2")
    cluster.signal(agent, signal.SIGSTOP)
    for_leases(2.5)
    cluster.signal(agent, signal.SIGCONT)
    job.await_end()
    return job.tally("its twin ends its tasks when the lease is over", len(names) + 1)


def agent_told_to_leave(cluster: Cluster, names: list[str]) -> Tally:
    """SIGTERM, as of Slurm or of a Kubernetes that takes a machine back."""
    job = in_the_middle(cluster, names)
    cluster.signal(cluster.agent("h2"), signal.SIGTERM)
    job.await_end()
    return job.tally("it ends its tasks and says so", len(names) + 1)


def runner_killed(cluster: Cluster, names: list[str]) -> Tally:
    """The runner comes back within the lease."""
    job = in_the_middle(cluster, names, "--lease-s", str(LONG_LEASE_S))
    cluster.kill(RUNNER, _RUNNER_PROGRAM)
    job.resume()
    job.await_end()
    tally = job.tally("all are adopted", len(names))
    n_attempts = len(job.journal("intent"))
    tally.expect(n_attempts == len(names), f"{n_attempts} attempts")
    return tally


def runner_away(cluster: Cluster, names: list[str]) -> Tally:
    """The runner is away for longer than the lease."""
    job = in_the_middle(cluster, names, steps=40)  # they would not end by themselves
    cluster.kill(RUNNER, _RUNNER_PROGRAM)
    for_leases(2.5)
    job.resume()
    job.await_end()
    return job.tally("nodes end their tasks; they go on when it is back", len(names) + 1)


def runner_stopped(cluster: Cluster, names: list[str]) -> Tally:
    """The runner stands still for longer than the lease, while its hub goes on."""
    job = in_the_middle(cluster, names)
    (pid,) = cluster.hosts.pids(RUNNER, _RUNNER_PROGRAM)
    cluster.signal(pid, signal.SIGSTOP)
    for_leases(2)
    cluster.signal(pid, signal.SIGCONT)
    job.await_end()
    return job.tally("it hears of all ends when it goes on", len(names))


def hub_killed(cluster: Cluster, names: list[str]) -> Tally:
    """The process that speaks with the nodes dies under its runner."""
    job = in_the_middle(cluster, names, "--lease-s", str(LONG_LEASE_S))
    cluster.kill(RUNNER, HUB)
    if job.wait_for("runner or end", lambda: _is_over(job)) == "interrupted":
        job.resume()
    job.await_end()
    return job.tally("another one adopts all", len(names))


def _is_over(job: Job) -> str:
    """What came of a session whose hub died: its end, or that its runner left."""
    if job.status["overall_status"] not in ("running", "waiting"):
        return "ended"
    return "" if job.cluster.hosts.pids(RUNNER, _RUNNER_PROGRAM) else "interrupted"


def cancelled(cluster: Cluster, names: list[str]) -> Tally:
    """A cancel ends what runs on all nodes, and nothing is left there."""
    job = in_the_middle(cluster, names, steps=40)
    cluster.cpr("cancel", job.inside.name.removeprefix("session-"))
    job.await_end()
    outcomes = {task["outcome"] for task in job.status["tasks"]}
    job.names = []  # none of them has an answer
    tally = job.tally("all end at once", 1)
    tally.tasks = len(names)
    tally.expect(outcomes == {"cancelled"}, f"outcomes {outcomes}")
    return tally
