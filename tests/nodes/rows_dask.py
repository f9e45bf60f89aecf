"""Dask places the node agents, and breaks. Its memory of what it has started decides nothing."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.table import Tally
from testkit import processes

from nodes.cluster import AGENT, LEASE_S, RUNNER, SLOTS, Cluster, Job, tasks_of

Break = Callable[[Cluster, Job], None]
_KERNEL = Path(__file__).with_name("dask_kernel.py")
_WORKER = "distributed.cli.dask_worker"
_SCHEDULER = "distributed.cli.dask_scheduler"


def on_a_local_cluster(breaks: Break, how: str, n_more: int = 0) -> Callable[..., Tally]:
    """A row of the table: the cluster is a LocalCluster of three processes on one host."""

    def play(cluster: Cluster, names: list[str]) -> Tally:
        with _kernel(cluster, names, "") as job:
            return _play(cluster, job, breaks, how, n_more)

    return play


def on_hosts(breaks: Break, how: str, n_more: int = 0) -> Callable[..., Tally]:
    """A row of the table: a scheduler on the runner's host, a worker on each node."""

    def play(cluster: Cluster, names: list[str]) -> Tally:
        address = f"tcp://{cluster.hosts.address[RUNNER]}:8786"
        programs = {RUNNER: [_SCHEDULER, "--port", "8786", "--no-dashboard"]}
        for host in cluster.nodes:
            programs[host] = [_WORKER, address, "--nthreads", "1", "--no-dashboard"]
        for host, words in programs.items():
            log = cluster.folder / f"dask-{host}.log"
            cluster.started.append(
                cluster.hosts.start(host, "python", "-m", *words, log=log),
            )
        with _kernel(cluster, names, address) as job:
            return _play(cluster, job, breaks, how, n_more)

    return play


def _play(cluster: Cluster, job: Job, breaks: Break, how: str, n_more: int) -> Tally:
    job.await_nodes(len(cluster.nodes))
    job.await_requests(30)
    breaks(cluster, job)
    job.await_end()
    return job.tally(how, len(job.names) + n_more)


@contextlib.contextmanager
def _kernel(cluster: Cluster, names: list[str], scheduler: str) -> Iterator[Job]:
    """A kernel that has launched a session, and stays."""
    options = {
        "slots": SLOTS,
        "lease_s": LEASE_S,
        "max_parallel": SLOTS * len(cluster.nodes),
        "permissions": "all",
    }
    settings = cluster.hosts.common / "kernel.json"
    words = {"scheduler": scheduler, "n_workers": len(cluster.nodes), "options": options}
    settings.write_text(json.dumps(words))
    argv = ["sh", "-c", 'cd /root/work && exec "$@"', "sh", "python", str(_KERNEL), str(settings)]
    with (cluster.folder / "kernel.log").open("ab") as log:
        kernel = subprocess.Popen(
            cluster.hosts.argv(RUNNER, *argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert kernel.stdin is not None and kernel.stdout is not None
    try:
        kernel.stdin.write(json.dumps(tasks_of(names, steps=8)) + "\n")
        kernel.stdin.flush()
        path = kernel.stdout.readline().strip()
        assert path, (cluster.folder / "kernel.log").read_text()[-2000:]
        yield Job(cluster, Path(path), names)
    finally:
        with contextlib.suppress(BrokenPipeError):
            kernel.stdin.close()
        kernel.stdout.close()
        kernel.wait()


def nothing(cluster: Cluster, job: Job) -> None:
    """Nothing breaks."""


def local_worker_killed(cluster: Cluster, job: Job) -> None:
    """A worker process is killed; the node agent that it started stays."""
    cluster.kill_one(RUNNER, "spawn_main")


def local_agent_killed(cluster: Cluster, job: Job) -> None:
    """A node agent of a LocalCluster is killed."""
    cluster.kill_one(RUNNER, AGENT)


def kernel_killed(cluster: Cluster, job: Job) -> None:
    """The kernel is killed, and with it the scheduler and all workers."""
    cluster.kill(RUNNER, _KERNEL.name)


def worker_killed(cluster: Cluster, job: Job) -> None:
    """A worker with its nanny is killed."""
    cluster.kill("h2", _WORKER)
    for pid in cluster.hosts.pids("h2", "spawn_main"):
        processes.end(pid)


def machine_lost(cluster: Cluster, job: Job) -> None:
    """The machine of a worker loses its power."""
    cluster.hosts.power_cut("h2")


def scheduler_killed(cluster: Cluster, job: Job) -> None:
    """The scheduler is killed: the workers leave, the node agents stay."""
    cluster.kill(RUNNER, _SCHEDULER)
