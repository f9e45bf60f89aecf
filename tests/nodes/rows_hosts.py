"""A host or its cable breaks. The hosts share nothing: a dead one takes what it had along."""

from __future__ import annotations

from faults.table import CannotInjectError, Tally

from nodes.cluster import LEASE_S, RUNNER, Cluster, Job
from nodes.rows_agents import LONG_LEASE_S, for_leases, in_the_middle

_MANY = 40  # steps: such tasks don't end while their host is away


def blip(cluster: Cluster, names: list[str]) -> Tally:
    """The network is away for half a lease."""
    lease_s = 2 * LEASE_S
    job = in_the_middle(cluster, names, "--lease-s", str(lease_s))
    cluster.hosts.cut("h2")
    for_leases(0.5, lease_s)
    cluster.hosts.mend("h2")
    job.await_end()
    tally = job.tally("ends are told again", len(names), disks_lost=True)
    n_attempts = len(job.journal("intent"))
    tally.expect(n_attempts == len(names), f"{n_attempts} attempts")
    return tally


def cut(cluster: Cluster, names: list[str]) -> Tally:
    """The network is away for two leases."""
    job = in_the_middle(cluster, names, steps=_MANY // 2)
    cluster.hosts.cut("h2")
    for_leases(2)
    cluster.hosts.mend("h2")
    job.await_end()
    tally = job.tally("its tasks end there, then go on elsewhere", len(names) + 1, disks_lost=True)
    tally.expect(len(job.journal("node")) > len(cluster.nodes), "the node did not come back")
    return tally


def runner_cut(cluster: Cluster, names: list[str]) -> Tally:
    """The runner's own cable is out for two leases: no node is left."""
    job = in_the_middle(cluster, names, steps=_MANY // 2)
    cluster.hosts.cut(RUNNER)
    for_leases(2)
    cluster.hosts.mend(RUNNER)
    job.await_end()
    return job.tally("all nodes end their tasks, and come back", len(names) + 1, disks_lost=True)


def power_cut(cluster: Cluster, names: list[str]) -> Tally:
    """A node's power fails for good."""
    job = in_the_middle(cluster, names)
    cluster.hosts.power_cut("h2")
    job.await_end()
    return job.tally("its tasks go on elsewhere", len(names) + 1, disks_lost=True)


def reboot(cluster: Cluster, names: list[str]) -> Tally:
    """A node's power fails; it boots at once, and joins again."""
    job = in_the_middle(cluster, names)
    cluster.hosts.power_cut("h2")
    cluster.hosts.boot("h2")
    cluster.start_agent("h2", job)
    job.await_end()
    return job.tally("it joins as another life", len(names) + 1, disks_lost=True)


def frozen(cluster: Cluster, names: list[str]) -> Tally:
    """A virtual machine stands still for two leases and a half, then goes on."""
    job = in_the_middle(cluster, names, steps=_MANY // 2)
    try:
        cluster.hosts.freeze("h2")
    except OSError as error:
        raise CannotInjectError(str(error)) from error
    for_leases(2.5)
    cluster.hosts.thaw("h2")
    job.await_end()
    how = "its lease is over when it wakes: its twin ends its tasks in some ms"
    return job.tally(how, len(names) + 1, disks_lost=True, n_late=1)


def runner_rebooted(cluster: Cluster, names: list[str]) -> Tally:
    """The runner's machine loses its power, boots, and its session is resumed within the lease."""
    job = in_the_middle(cluster, names, "--lease-s", str(LONG_LEASE_S), steps=_MANY // 2)
    cluster.hosts.power_cut(RUNNER)
    cluster.hosts.boot(RUNNER)
    job.resume()
    job.await_end()
    return job.tally("resumed there; all are adopted", len(names), disks_lost=True)


def shifted_clocks(cluster: Cluster, names: list[str]) -> Tally:
    """The clocks of the hosts differ by hours, and a cable is out for two leases."""
    return cut(cluster, names)


def by_ssh(cluster: Cluster, names: list[str]) -> Tally:
    """Node agents placed by ssh; one of them is killed, with all its host."""
    job = cluster.launch(names, f"ssh:{','.join(cluster.nodes)}")
    job.await_nodes(len(cluster.nodes))
    job.await_requests(30)
    cluster.hosts.power_cut("h3")
    job.await_end()
    tally = job.tally("placed by ssh; results come home", len(names) + 1, disks_lost=True)
    _expect_transcripts(job, tally)
    return tally


def _expect_transcripts(job: Job, tally: Tally) -> None:
    """Each conversation is on the runner's host: it can be followed up there."""
    folder = job.cluster.path("/root/.claude/projects")
    for task in job.status["tasks"]:
        found = list(folder.glob(f"*/{task['conversation_id']}.jsonl"))
        tally.expect(found, f"the transcript of {task['transaction_id']} did not come home")
