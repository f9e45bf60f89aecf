"""Dask places node agents: one in each worker, whatever has started the workers."""

from __future__ import annotations

from cpr_nb.executors import dask_worker
from cpr_nb.executors.placing import Engine, Joining, Placed
from cpr_nb.model.errors import InputError, LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_FIRST_WORKER_S = 30.0
_EXPOSED = (
    "it does not see the folder of the session, and Dask would send the keys to it in the clear: "
    "use a shared folder, Dask with TLS (Security.temporary()), or start cpr agent there yourself"
)
_LOOPBACK = ("127.", "localhost", "[::1]")


class DaskEngine(Engine):
    """Starts a node agent in each worker; from then on Dask is not needed any more.

    It calls ``client.run``, and no task of Dask: a task would be run again whenever a worker that
    had done it dies, and would wait behind what the workers do.

    Args:
        client: A client of Dask.
    """

    name = "dask"

    def __init__(self, client: Any) -> None:
        self._client = client

    def check(self, nodes: int | None) -> None:
        """Refuses a client that can't be used here, or that has no workers; see `Engine.check`."""
        if self._client.asynchronous:
            raise InputError(
                "the client is asynchronous, and a launch does not await: pass Client(cluster)",
                "executor",
            )
        if self._client.status != "running":
            raise InputError(f"the client is {self._client.status}", "executor")
        try:
            self._client.wait_for_workers(nodes or 1, timeout=_FIRST_WORKER_S)
        except TimeoutError:
            pass  # fewer may do
        if not self._client.nthreads():
            raise InputError(
                f"Dask has no workers, and none came within {_FIRST_WORKER_S:g} s: see "
                f"{self._client.dashboard_link}",
                "executor",
            )

    def place(self, joining: Joining, nodes: int | None) -> Placed:
        """Starts an agent in each worker, or in as many as are wanted; see `Engine.place`."""
        root = joining.paths.root
        workers = sorted(self._client.nthreads())[:nodes]
        described, failures = self._run(
            workers, dask_worker.describe, root, dask_worker.digest_of(root)
        )
        agents = _agents(described, joining.slots)
        seeing = [address for address in agents if described[address]["sees_folder"]]
        others = [address for address in agents if address not in seeing]
        exposed = [address for address in others if not self._is_private(address)]
        failures |= dict.fromkeys(exposed, _EXPOSED)
        logs: dict[str, str] = {}
        for group, keys in ((seeing, ""), (sorted({*others} - {*exposed}), joining.keys())):
            started, failed = self._run(group, dask_worker.start_agent, root, agents, keys)
            logs |= started
            failures |= failed
        lines = [f"worker {address}: {why}" for address, why in sorted(failures.items())]
        if not logs:
            raise LaunchError("; ".join(dict.fromkeys(lines)) or "Dask has no workers")
        return DaskAgents(self, logs, lines)

    def last_lines(self, logs: Mapping[str, str]) -> list[str]:
        """The last line of each agent's log.

        Args:
            logs: Worker's address → the path of that log.
        """
        lines, _ = self._run(logs, dask_worker.read_last_line, logs)
        return [line for line in lines.values() if line]

    def _run(
        self, workers: Iterable[str], function: Any, *arguments: Any
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Runs a function once in each worker; returns answers, and why others have none."""
        addresses = list(workers)
        if not addresses:
            return {}, {}
        try:
            answers = self._client.run(function, *arguments, workers=addresses, on_error="return")
        except Exception as error:  # whatever Dask makes of a worker that is away, or has no cpr_nb
            return {}, dict.fromkeys(addresses, _one_line(error))
        failed = {a: _one_line(e) for a, e in answers.items() if isinstance(e, BaseException)}
        return {a: answer for a, answer in answers.items() if a not in failed}, failed

    def _is_private(self, address: str) -> bool:
        """Whether nobody reads what Dask sends to a worker: TLS, or never off this machine."""
        ways = (self._client.scheduler.address, address)
        return all(_is_private_way(way) for way in ways)


class DaskAgents(Placed):
    """The node agents that were started.

    Args:
        engine: The engine.
        logs: Worker's address → the path of its agent's log.
        failures: A line for each worker in which none was started.
    """

    def __init__(self, engine: DaskEngine, logs: Mapping[str, str], failures: list[str]) -> None:
        super().__init__(len(logs), failures)
        self._engine = engine
        self._logs = logs

    def last_words(self) -> list[str]:
        """The last line of each agent's log; see `Placed.last_words`."""
        return self._engine.last_lines(self._logs)


def _agents(
    described: Mapping[str, Mapping[str, Any]], slots: int | None
) -> dict[str, dict[str, Any]]:
    """The name and the slots of each worker's agent.

    A worker that Dask starts again has its name again, so its agent is known to be there already.
    Where several workers share a machine, an agent has as many slots as Dask gave threads to its
    worker.

    Example:
        >>> worker = {"host": "h1", "name": "0", "n_threads": 2}
        >>> _agents({"tcp://a:1": worker, "tcp://b:1": {**worker, "name": 1}}, None)["tcp://b:1"]
        {'name': 'h1-1', 'slots': 2}
    """
    hosts = [worker["host"] for worker in described.values()]
    agents = {}
    for address, worker in described.items():
        is_alone = hosts.count(worker["host"]) == 1
        own = str(worker["name"])
        if "://" in own:  # nobody gave it a name
            own = "" if is_alone else address.rpartition(":")[2]
        name = f"{worker['host']}-{own}" if own else worker["host"]
        n_slots = slots if slots or is_alone else worker["n_threads"]
        agents[address] = {"name": name, "slots": n_slots}
    return agents


def _is_private_way(address: str) -> bool:
    """Whether nobody but this machine reads what goes to an address of Dask.

    Example:
        >>> _is_private_way("tls://10.0.0.1:8786"), _is_private_way("tcp://10.0.0.1:8786")
        (True, False)
    """
    scheme, _, place = address.partition("://")
    return scheme in ("tls", "inproc") or (scheme == "tcp" and place.startswith(_LOOPBACK))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
